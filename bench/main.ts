/**
 * The benchmark: `npm run bench`, `-- --json`, `-- --only w1,w2`, `-- --runs 5`, `-- --size w1=2000`, `-- --peers`. Every round of every workload is a process
 * of its own with a folder of its own. stdout carries the answer, stderr the progress.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { asJson, asTable, type Result } from './report.ts';
import { medians } from './medians.ts';
import { Beside } from './peers/beside.ts';
import { installPeers } from './peers/install.ts';
import type { Metrics, Workload } from './workload.ts';
import { workloads } from './workloads.ts';

/** A round that takes longer hangs. */
const ROUND_LIMIT_MS = 600_000;

const USAGE = `usage: npm run bench -- [--json] [--peers] [--only w1,w2] [--runs repetitions] [--size w1=2000,w4=1000,w4=10000]`;

interface Wanted {
  readonly names: readonly string[];
  readonly repetitions: number;
  readonly sizes: ReadonlyMap<string, readonly number[]>;
  readonly json: boolean;
  readonly peers: boolean;
}

function wanted(): Wanted {
  const { values } = parseArgs({
    options: {
      json: { type: 'boolean', default: false },
      only: { type: 'string' },
      peers: { type: 'boolean', default: false },
      runs: { type: 'string', default: '3' },
      size: { type: 'string' },
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
  return { names, repetitions: count(values.runs), sizes, json: values.json, peers: values.peers };
}

function count(text = ''): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new Error(`"${text}" is no whole number above 0; ${USAGE}`);
  return Number(text);
}

const base = mkdtempSync(join(tmpdir(), 'pawl-bench-'));
process.once('exit', () => rmSync(base, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

async function round(workload: string, part: string, size: number): Promise<Metrics> {
  const folder = join(base, `${workload}-${part}-${size}`);
  mkdirSync(folder, { mode: 0o700 });
  try {
    return await inProcess([workload, part, String(size), folder]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function inProcess(args: readonly string[]): Promise<Metrics> {
  const file = fileURLToPath(import.meta.resolve('./round.ts'));
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [file, ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
      timeout: ROUND_LIMIT_MS,
      killSignal: 'SIGKILL',
    });
    const abandon = (): boolean => child.kill('SIGKILL');
    process.once('exit', abandon);
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.once('error', reject);
    child.once('close', (code, signal) => {
      process.off('exit', abandon);
      if (code === 0) resolve(JSON.parse(output) as Metrics);
      else reject(new Error(`the round ${args.slice(0, 3).join(' ')} ended with ${signal ?? `exit code ${code}`}`));
    });
  });
}

async function repetition(name: string, workload: Workload, sizes: readonly number[]): Promise<readonly Metrics[]> {
  const bySize: Metrics[] = [];
  for (const size of sizes) {
    let metrics: Metrics = {};
    for (const part of Object.keys(workload.parts)) metrics = { ...metrics, ...(await round(name, part, size)) };
    bySize.push(metrics);
  }
  return workload.derive?.(bySize) ?? bySize;
}

async function measure(name: string, { repetitions, sizes }: Wanted, beside?: Beside): Promise<Result[]> {
  const workload = workloads[name];
  if (workload === undefined) return [];
  const wantedSizes = sizes.get(name) ?? workload.sizes;
  const measured: (readonly Metrics[])[] = [];
  for (let i = 1; i <= repetitions; i++) {
    process.stderr.write(`${name}: repetition ${i} of ${repetitions}\n`);
    measured.push(await repetition(name, workload, wantedSizes));
    await beside?.repetition(name, wantedSizes);
  }
  const own = wantedSizes.map((_, at) => {
    const ofSize = measured.map((bySize) => bySize[at] ?? {});
    return { workload: name, engine: 'pawl', store: 'sqlite', metrics: medians(ofSize), repetitions: ofSize };
  });
  const smallest = own[wantedSizes.indexOf(Math.min(...wantedSizes))]?.metrics ?? {};
  return [...own, ...(beside?.results(name, smallest) ?? [])];
}

try {
  const what = wanted();
  if (what.peers) await installPeers();
  const beside = what.peers ? new Beside() : undefined;
  const results: Result[] = [];
  for (const name of what.names) results.push(...(await measure(name, what, beside)));
  process.stdout.write(what.json ? `${asJson(results)}\n` : asTable(results));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
