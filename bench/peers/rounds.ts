import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Metrics } from '../workload.ts';

/** A round of a peer that takes longer is given up. The slowest that ends takes half of it. */
const ROUND_LIMIT_MS = 120_000;

const ROUND = fileURLToPath(import.meta.resolve('./round.ts'));
const CLEAN_LIMIT_MS = 20_000;

/** One round in a process and a folder of its own; what it left on a server is removed, also after Ctrl-C and after a round that failed. */
export async function peerRound(key: string, workload: string, size: number): Promise<Metrics> {
  const folder = mkdtempSync(join(tmpdir(), 'pawl-bench-peer-'));
  const clean = (): void => {
    spawnSync(process.execPath, [ROUND, key, 'clean', '0', folder], { stdio: 'ignore', timeout: CLEAN_LIMIT_MS });
    rmSync(folder, { recursive: true, force: true });
  };
  process.once('exit', clean);
  try {
    return JSON.parse(await answerOf([ROUND, key, workload, String(size), folder], AbortSignal.timeout(ROUND_LIMIT_MS))) as Metrics;
  } finally {
    process.off('exit', clean);
    clean();
  }
}

/** What a Node process wrote to stdout. At the limit it is killed with all that it started; its last words tell why it failed. */
export function answerOf(args: readonly string[], limit: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    let output = '';
    let complaints = '';
    const kill = (): void => {
      if (child.pid === undefined || child.exitCode !== null) return;
      process.kill(-child.pid, 'SIGKILL');
    };
    limit.addEventListener('abort', kill, { once: true });
    process.prependOnceListener('exit', kill); // before its leftovers are removed
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (complaints = (complaints + chunk.toString()).slice(-10_000)));
    child.once('error', reject);
    child.once('close', (code, signal) => {
      limit.removeEventListener('abort', kill);
      process.off('exit', kill);
      if (code === 0) resolve(output);
      else if (limit.aborted) reject(new Error(`did not finish in ${ROUND_LIMIT_MS / 1_000} s`));
      else reject(new Error(`ended with ${signal ?? `exit code ${code}`}: ${reasonIn(complaints)}`));
    });
  });
}

/** The line that names the error, or the last one. */
function reasonIn(complaints: string): string {
  const lines = complaints.split('\n').map((line) => line.trim());
  return lines.findLast((line) => /^\w*Error\b/.test(line)) ?? lines.findLast((line) => line !== '') ?? 'it said nothing';
}
