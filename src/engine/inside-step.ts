import { AsyncLocalStorage } from 'node:async_hooks';

interface Inside {
  readonly of: object;
  readonly name: string;
  isOver: boolean;
}

const inside = new AsyncLocalStorage<Inside>();

/** Runs the work of a step, and of whatever it calls. */
export async function insideStep<T>(of: object, name: string, fn: () => Promise<T> | T): Promise<T> {
  const step: Inside = { of, name, isOver: false };
  try {
    return await inside.run(step, fn);
  } finally {
    step.isOver = true;
  }
}

/** The step of this body from which a call comes; null where it comes from the body itself. A body that waits for its own step waits for ever. */
export function stepAround(of: object): string | null {
  const step = inside.getStore();
  return step === undefined || step.isOver || step.of !== of ? null : step.name;
}
