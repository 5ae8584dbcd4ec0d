import { PawlError } from '../core/errors.ts';

/** A queue that is full is looked at again after this. */
const RETRY_AFTER_MS = 1_000;

export function queueFull(bound: number): PawlError {
  return new PawlError(
    'RUN_QUEUE_FULL',
    `${bound} or more runs and tasks wait in the queue, and maxQueued is ${bound}; nothing was accepted.`,
    {
      details: { maxQueued: bound, retryAfterMs: RETRY_AFTER_MS },
    },
  );
}
