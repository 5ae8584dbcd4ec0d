import { createHash, randomFillSync } from 'node:crypto';

/**
 * What the engine takes from the world: time, timers, randomness. Tests and simulations give others; nothing else in the engine reads a
 * clock or sets a timer.
 */
export interface Ports {
  /** Wall clock, milliseconds. */
  now(): number;
  /** Never goes back; milliseconds from any origin. */
  monotonic(): number;
  /** Calls back once, not before `ms` have passed. Any length. */
  timer(ms: number, fn: () => void): Cancel;
  /** Calls back in the next turn of the event loop. */
  turn(fn: () => void): void;
  /** In [0, 1): for jitter. */
  random(): number;
  randomBytes(count: number): Uint8Array;
  /** SHA-256, hex. */
  digest(text: string): string;
}

export type Cancel = () => void;

/** Node's timers fire at once beyond this many milliseconds. */
const LONGEST_TIMER_MS = 2_147_483_647;

/** Random bytes cost a system call each time: they are fetched in advance. No byte is given twice. */
export function pooledRandom(): (count: number) => Uint8Array {
  const pool = new Uint8Array(8_192);
  let used = pool.length;
  return (count) => {
    if (used + count > pool.length) {
      randomFillSync(pool);
      used = 0;
    }
    used += count;
    return pool.slice(used - count, used);
  };
}

/** The real world. Its timers keep the process alive: a worker works until it is closed, a client until nobody waits. */
export const realPorts: Ports = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  timer: (ms, fn) => {
    let handle: NodeJS.Timeout;
    const arm = (left: number): void => {
      const step = Math.min(Math.max(0, left), LONGEST_TIMER_MS);
      handle = setTimeout(() => (left > step ? arm(left - step) : fn()), Math.ceil(step));
    };
    arm(ms);
    return () => clearTimeout(handle);
  },
  turn: (fn) => {
    setImmediate(fn);
  },
  random: () => Math.random(),
  randomBytes: pooledRandom(),
  digest: (text) => createHash('sha256').update(text).digest('hex'),
};
