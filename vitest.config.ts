import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

const noTests = {
  /** Vitest counts a run in which every test was filtered out as a success; a green run that tested nothing is a lie. */
  onTestRunEnd(modules: readonly { children: { allTests(): Iterable<{ result(): { state: string } }> } }[]) {
    const ran = modules.some((module) => [...module.children.allTests()].some((test) => /^(passed|failed)$/.test(test.result().state)));
    if (!ran) {
      process.stderr.write('\nNo test ran.\n');
      process.exitCode = 1;
    }
  },
};

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    setupFiles: ['test/setup.ts'],
    exclude: ['**/node_modules/**', '**/dist/**', 'test/fixtures/**'],
    pool: 'forks',
    // why: of two cores the default leaves one idle
    maxWorkers: Math.max(2, availableParallelism() - 1),
    testTimeout: 30_000,
    hookTimeout: 30_000,
    teardownTimeout: 30_000,
    passWithNoTests: false,
    reporters: ['default', noTests],
  },
});
