import type { Result } from '../report.ts';
import { headlines } from './headlines.ts';

const STORES: Readonly<Record<string, string>> = { sqlite: 'SQLite', postgres: 'Postgres', redis: 'Redis' };

/** The lines of the peers below a workload's figures. */
export function peerLines(results: readonly Result[]): string[] {
  if (results.length === 0) return [];
  return ['  peers, and how many times as fast Pawl is', ...results.map(line)];
}

function line({ workload, store, metrics, repetitions, peer }: Result): string {
  const headline = headlines[workload];
  if (peer === undefined || headline === undefined) return '';
  const name = `    ${`${peer.title}, ${STORES[store] ?? store}`.padEnd(46)}`;
  if (peer.failed !== undefined) return `${name} FAILED: ${peer.failed}`;
  const text = (value: number): string =>
    value.toLocaleString('en-US', { minimumFractionDigits: headline.digits, maximumFractionDigits: headline.digits });
  const ratio = metrics['timesAsFast'] ?? NaN;
  const target = headline.targets?.[peer.key];
  const verdict = target === undefined ? '' : `  target × ≥ ${target}: ${ratio >= target ? 'met' : 'MISSED'}`;
  const twice = metrics['repeated'] === undefined ? '' : `  ${metrics['repeated']} bodies twice, ${metrics['lost']} lost`;
  const factor = `× ${ratio.toLocaleString('en-US', { maximumSignificantDigits: 3 })}`;
  return `${name} ${text(headline.value(metrics)).padStart(9)} ${headline.label.padEnd(15)} ${factor.padEnd(8)} of ${repetitions.length}${twice}${verdict}`.trimEnd();
}
