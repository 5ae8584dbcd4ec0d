import { afterEach } from 'vitest';
import { task, workflow, type TaskOpts } from '../../src/index.ts';
import { testEngine, type TestEngine, type TestEngineOptions } from '../../src/testing/index.ts';

const open: TestEngine[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((engine) => engine.close()));
});

/** An engine that is closed after the test. */
export function engineWith(options: TestEngineOptions): TestEngine {
  const engine = testEngine(options);
  open.push(engine);
  return engine;
}

/** Any text, typed. */
export const anyText = {
  '~standard': {
    version: 1 as const,
    vendor: 'test',
    validate: (value: unknown) => ({ value: value as string }),
    types: undefined as unknown as { input: string; output: string },
  },
};

/** A task whose attempts go on until the test ends them, and what of it runs. */
export function gate(name: string, options: TaskOpts = {}) {
  const running = new Map<string, { readonly end: () => void; readonly fail: (error: Error) => void }>();
  const begun: string[] = [];
  let most = 0;
  const job = task({
    name,
    ...options,
    run: async (id: string, ctx): Promise<string> => {
      begun.push(id);
      try {
        return await new Promise<string>((end, fail) => {
          running.set(id, { end: () => end(id), fail });
          most = Math.max(most, running.size);
          ctx.signal.addEventListener('abort', () => fail(new Error('aborted')));
        });
      } finally {
        running.delete(id);
      }
    },
  });
  return {
    task: job,
    running: (): string[] => [...running.keys()],
    begun,
    most: (): number => most,
    end: (id: string): void => running.get(id)?.end(),
    fail: (id: string): void => running.get(id)?.fail(new Error('no')),
  };
}

/** A workflow of one task. */
export const flowOf = (name: string, of: ReturnType<typeof gate>['task'], options: object = {}) =>
  workflow({ name, input: anyText, ...options }, (w, input) => w.run(of, input));

/** Ends everything that runs, until nothing is left. */
export async function endAll(engine: TestEngine, ...gates: ReturnType<typeof gate>[]): Promise<void> {
  for (let left = true; left;) {
    await engine.settle();
    left = false;
    for (const one of gates) {
      for (const id of one.running()) {
        left = true;
        one.end(id);
      }
    }
  }
}
