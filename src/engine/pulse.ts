import type { Follower } from './follower.ts';
import { Waiter } from './waiter.ts';

/** Yields at once, after changes of the store (of several that came together once), a last time when `until` has resolved; then ends, as when the signal aborts. */
export async function* pulse(follower: Follower, signal: AbortSignal, until: () => Promise<unknown>): AsyncGenerator<void, void> {
  const waiter = new Waiter();
  const stop = follower.listen(() => waiter.wake());
  const wake = (): void => waiter.wake();
  signal.addEventListener('abort', wake);
  let isLast = false;
  const last = (): void => {
    isLast = true;
    waiter.wake();
  };
  until().then(last, last);
  try {
    while (!signal.aborted) {
      waiter.arm();
      const wasLast = isLast;
      yield;
      if (wasLast) return;
      if (!isLast) await waiter.wait();
    }
  } finally {
    stop();
    signal.removeEventListener('abort', wake);
  }
}
