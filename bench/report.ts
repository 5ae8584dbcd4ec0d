import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { peerLines } from './peers/table.ts';
import type { Figure, Metrics } from './workload.ts';
import { workloads } from './workloads.ts';

/** One workload at one size, in one variant: what each repetition measured. */
export interface Result {
  readonly workload: string;
  readonly engine: string;
  readonly store: string;
  /** An empty text where the workload has none. */
  readonly variant: string;
  /** The median of each metric over the repetitions. */
  readonly metrics: Metrics;
  readonly repetitions: readonly Metrics[];
  /** Where it is a peer's. One that failed has no metrics. */
  readonly peer?: { readonly key: string; readonly title: string; readonly version: string; readonly failed?: string };
}

/** The document of `--json`; in its metrics numbers, and the name of the variant. */
export function asJson(results: readonly Result[]): Readonly<Record<string, unknown>> {
  const machine = {
    cpus: availableParallelism(),
    node: process.versions.node,
    sqlite: process.versions.sqlite,
    platform: `${process.platform}-${process.arch}`,
  };
  const rows = results.map(({ workload, engine, store, variant, metrics, peer }) => {
    const variants = workloads[workload]?.variants;
    const ofPeer = peer && { version: peer.version, ...(peer.failed !== undefined && { failed: peer.failed }) };
    return { workload, engine, store, metrics: variants === undefined ? metrics : { [variants.metric]: variant, ...metrics }, ...ofPeer };
  });
  return { v: 1, machine, commit: commit(), results: rows };
}

/** With `-dirty` where the sources are not those of the commit; null outside a checkout. */
function commit(): string | null {
  const { status, stdout } = spawnSync('git', ['describe', '--always', '--dirty', '--abbrev=12'], {
    encoding: 'utf8',
    cwd: import.meta.dirname,
  });
  return status === 0 ? stdout.trim() : null;
}

export function asTable(results: readonly Result[]): string {
  const head = `${availableParallelism()} CPUs, Node ${process.versions.node}, SQLite ${process.versions.sqlite} (WAL, synchronous=FULL), ${process.platform}-${process.arch}, commit ${commit() ?? 'unknown'}`;
  const own = results.filter(({ peer }) => peer === undefined);
  const blocks = own.map((result, at) => {
    const isLastOfItsKind = own[at + 1]?.workload !== result.workload;
    const peers = isLastOfItsKind ? results.filter(({ workload, peer }) => peer !== undefined && workload === result.workload) : [];
    return [block(result), ...peerLines(peers)].join('\n');
  });
  return `${[head, ...blocks].join('\n\n')}\n`;
}

function block(result: Result): string {
  const { workload, store, metrics, variant, repetitions } = result;
  const known = workloads[workload];
  const shown = (known?.figures ?? []).filter(({ metric, ifMeasured }) => ifMeasured !== true || metrics[metric] !== undefined);
  const on = store === 'sqlite' ? '' : `, ${store}`;
  const title = `${workload}  ${known?.title(metrics, variant) ?? ''}${on}; median of ${repetitions.length} (least – most)`;
  return [title, ...shown.map((figure) => row(figure, result))].join('\n');
}

function row(figure: Figure, { metrics, variant, repetitions }: Result): string {
  const { metric, label, digits = 0, target } = figure;
  const text = (value: number): string => value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const value = metrics[metric] ?? NaN;
  const all = repetitions.map((one) => one[metric] ?? NaN);
  const spread = all.length < 2 ? '' : `${text(Math.min(...all))} – ${text(Math.max(...all))}`;
  const verdict = target === undefined ? '' : `target ${target.text}: ${target.holds(value, metrics, variant) ? 'met' : 'MISSED'}`;
  return `    ${label.padEnd(34)} ${text(value).padStart(12)}   ${spread.padEnd(26)} ${verdict}`.trimEnd();
}
