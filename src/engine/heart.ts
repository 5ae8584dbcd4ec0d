import type { KernelSettings } from '../core/kernel/turn.ts';
import type { Store } from '../store/store.ts';
import type { StoreClock } from './clock.ts';
import type { Ports } from './ports.ts';

/** Renews a worker's lease until it is stopped or the lease is gone. */
export interface Heart {
  stop(): Promise<void>;
}

export interface HeartOptions {
  readonly worker: number;
  readonly leaseMs: number;
  readonly beatMs: number;
  /** Shared memory of the worker's `Slots`. */
  readonly slots: SharedArrayBuffer;
  readonly slotCount: number;
  readonly kernel: KernelSettings;
  /** The lease ran out or was taken: it is never renewed again. */
  readonly onLost: () => void;
}

export type HeartFactory = (options: HeartOptions) => Heart;

/** A heart in this thread, for stores that live in this process's memory: nobody else could see it die. */
export function timerHeart(store: Store, clock: StoreClock, ports: Ports): HeartFactory {
  return ({ worker, leaseMs, beatMs, onLost }) => {
    let isStopped = false;
    let cancel = (): void => undefined;
    const beat = async (): Promise<void> => {
      const now = clock.now();
      const renewed = await store.beat(worker, now, now + leaseMs);
      if (isStopped) return;
      if (renewed) cancel = ports.timer(beatMs, () => void beat());
      else onLost();
    };
    cancel = ports.timer(beatMs, () => void beat());
    return {
      stop: async () => {
        isStopped = true;
        cancel();
      },
    };
  };
}
