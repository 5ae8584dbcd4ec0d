/**
 * Loaded into every thread of a process before anything else (`node --import`): counts the statements that node:sqlite runs, whichever
 * connection and thread they are of. `exec` counts as one.
 */
import { DatabaseSync, StatementSync } from 'node:sqlite';
import { getEnvironmentData, isMainThread, setEnvironmentData } from 'node:worker_threads';

const KEY = 'pawl-bench-statements';
// What a thread sets here its own threads find.
if (isMainThread) setEnvironmentData(KEY, new SharedArrayBuffer(4));
const counter = new Int32Array(getEnvironmentData(KEY) as unknown as SharedArrayBuffer);

export const statements = (): number => Atomics.load(counter, 0);

function counted(prototype: object, name: string): void {
  const original = Object.getOwnPropertyDescriptor(prototype, name)?.value as (...values: unknown[]) => unknown;
  Object.defineProperty(prototype, name, {
    value: function count(this: unknown, ...values: unknown[]): unknown {
      Atomics.add(counter, 0, 1);
      return original.apply(this, values);
    },
  });
}

for (const name of ['run', 'get', 'all', 'iterate']) counted(StatementSync.prototype, name);
counted(DatabaseSync.prototype, 'exec');
