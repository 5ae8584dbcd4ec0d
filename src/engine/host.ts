import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import type { WorkerFacts, WorkerRow } from '../store/store.ts';

/** What this process can say of itself and of others on this host. */
export interface Host {
  facts(now: number): Omit<WorkerFacts, 'slots' | 'serves'>;
  /** True only with proof: same boot, same pid namespace, and no process with that pid and start time (semantics, section 7). */
  isDead(worker: WorkerRow): boolean;
}

export const realHost: Host = {
  facts: (now) => ({
    name: `${hostname()}:${process.pid}`,
    host: hostname(),
    pid: process.pid,
    pidStarted: processStart(process.pid),
    bootId: read('/proc/sys/kernel/random/boot_id'),
    pidNamespace: link('/proc/self/ns/pid'),
    startedAt: now,
  }),
  isDead: (worker) => {
    if (worker.pidStarted === null || worker.bootId === null || worker.pidNamespace === null) return false;
    if (worker.bootId !== read('/proc/sys/kernel/random/boot_id') || worker.pidNamespace !== link('/proc/self/ns/pid')) return false;
    return processStart(worker.pid) !== worker.pidStarted;
  },
};

/** When a process started, in clock ticks since boot; null where there is none, or only its zombie is left. */
function processStart(pid: number): string | null {
  const stat = read(`/proc/${pid}/stat`);
  if (stat === null) return null;
  // why: the command's name, in parentheses, may hold spaces and parentheses
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' || fields[0] === 'X' ? null : (fields[19] ?? null);
}

function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return null;
  }
}

function link(path: string): string | null {
  try {
    return readlinkSync(path);
  } catch {
    return null;
  }
}
