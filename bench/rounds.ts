/** Rounds in processes of their own, each in a folder that is removed with the process of the benchmark at the latest. */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Metrics } from './workload.ts';

/** A round that takes longer hangs. */
const ROUND_LIMIT_MS = 600_000;

const base = mkdtempSync(join(tmpdir(), 'pawl-bench-'));
/** Of all rounds, until the benchmark is over: what they need not make twice. */
const shared = join(base, 'shared');
process.once('exit', () => rmSync(base, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));

/** `work` with an empty folder, which is removed afterwards. */
export async function inFolder<T>(name: string, work: (folder: string) => Promise<T>): Promise<T> {
  const folder = join(base, name);
  mkdirSync(folder, { mode: 0o700 });
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What `bench/round.ts` prints. The process leads a group, so that those it started end with it. */
export function round(args: readonly string[], nodeOptions: readonly string[] = []): Promise<Metrics> {
  const file = fileURLToPath(import.meta.resolve('./round.ts'));
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...nodeOptions, file, ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
      detached: true,
      env: { ...process.env, PAWL_BENCH_SHARED: shared },
    });
    const abandon = (): void => {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    };
    process.once('exit', abandon);
    const limit = setTimeout(abandon, ROUND_LIMIT_MS);
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.once('error', reject);
    child.once('close', (code, signal) => {
      process.off('exit', abandon);
      clearTimeout(limit);
      if (code === 0) resolve(JSON.parse(output) as Metrics);
      else reject(new Error(`the round ${args.slice(0, 3).join(' ')} ended with ${signal ?? `exit code ${code}`}`));
    });
  });
}
