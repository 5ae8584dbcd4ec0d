/**
 * The benchmark: `npm run bench`, `-- --json`, `-- --only w1,w2`, `-- --runs 5`, `-- --size w1=2000`, `-- --keep file`, `-- --peers`, `-- --writer thread`,
 * `-- --flush-ms 5`. Every
 * round of every workload is a process of its own with a folder of its own. stdout carries the answer, stderr the progress.
 */
import { appendFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { measure } from './measure.ts';
import { Beside } from './peers/beside.ts';
import { installPeers } from './peers/install.ts';
import { asJson, asTable, type Result } from './report.ts';
import type { Asked } from './workload.ts';
import { workloads } from './workloads.ts';

const USAGE = `usage: npm run bench -- [--json] [--peers] [--keep file] [--only w1,w2] [--runs repetitions] [--size w1=2000,w4=1000,w4=10000] [--writer auto|main|thread] [--flush-ms added]`;

interface Wanted {
  readonly names: readonly string[];
  readonly repetitions: number;
  readonly sizes: ReadonlyMap<string, readonly number[]>;
  readonly json: boolean;
  readonly peers: boolean;
  /** Where a line with the figures is added. */
  readonly keep: string | undefined;
  readonly asked: Asked;
}

function wanted(): Wanted {
  const { values } = parseArgs({
    options: {
      json: { type: 'boolean', default: false },
      keep: { type: 'string' },
      only: { type: 'string' },
      peers: { type: 'boolean', default: false },
      runs: { type: 'string', default: '3' },
      size: { type: 'string' },
      writer: { type: 'string' },
      'flush-ms': { type: 'string' },
    },
  });
  const names = values.only?.split(',') ?? Object.keys(workloads);
  const sizes = new Map<string, number[]>();
  for (const part of values.size?.split(',') ?? []) {
    const [name = '', size] = part.split('=');
    sizes.set(name, [...(sizes.get(name) ?? []), count(size)]);
  }
  for (const name of [...names, ...sizes.keys()])
    if (!Object.hasOwn(workloads, name)) throw new Error(`there is no workload ${name}; ${USAGE}`);
  return {
    names,
    repetitions: count(values.runs),
    sizes,
    json: values.json,
    peers: values.peers,
    keep: values.keep,
    asked: askedOf(values),
  };
}

function askedOf({ writer, 'flush-ms': flushMs }: { readonly writer?: string; readonly 'flush-ms'?: string }): Asked {
  if (writer !== undefined && writer !== 'auto' && writer !== 'main' && writer !== 'thread')
    throw new Error(`there is no writer ${writer}; ${USAGE}`);
  return { ...(writer !== undefined && { writer }), ...(flushMs !== undefined && { flushMs: count(flushMs) }) };
}

function count(text = ''): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new Error(`"${text}" is no whole number above 0; ${USAGE}`);
  return Number(text);
}

try {
  const what = wanted();
  if (what.peers) await installPeers();
  const beside = what.peers ? new Beside() : undefined;
  const results: Result[] = [];
  for (const name of what.names) {
    const workload = workloads[name];
    if (workload !== undefined)
      results.push(
        ...(await measure(name, workload, { repetitions: what.repetitions, sizes: what.sizes.get(name), beside, asked: what.asked })),
      );
  }
  const document = asJson(results);
  if (what.keep !== undefined) appendFileSync(what.keep, `${JSON.stringify({ at: new Date().toISOString(), ...document })}\n`);
  process.stdout.write(what.json ? `${JSON.stringify(document)}\n` : asTable(results));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
