/** The harnesses, short: what `npm run chaos` does for minutes. */
import { rmSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { CONTROLS, runControl } from './controls.ts';
import { kill } from './kill.ts';
import { multi } from './multi.ts';
import type { Report } from './report.ts';
import { withSources } from './sources.ts';

const LIMIT_MS = 120_000;

/** Store and records stay where something is wrong with them. */
function expectSound(report: Report): void {
  expect(report.violations.slice(0, 20), `seed ${report.seed}; store and records: ${report.folder}`).toEqual([]);
  rmSync(report.folder, { recursive: true });
}

const seed = (): number => Date.now() % 1_000_000;

describe('a store that outlives its workers', () => {
  test(
    'loses nothing that it acknowledged, however often the worker is killed at a write',
    async () => {
      const report = await withSources(null, (src) => kill({ src, rounds: 8, seed: seed() }));
      expectSound(report);
      expect(report.killPoints).toBe(8);
      expect(report.killsOver50).toBeGreaterThanOrEqual(6);
      expect(report.repeated).toBeGreaterThan(0);
    },
    LIMIT_MS,
  );

  test(
    'serves two workers, one of which is killed every two seconds',
    async () => {
      const report = await withSources(null, (src) => multi({ src, seconds: 6, seed: seed() }));
      expectSound(report);
      expect(report.killPoints).toBe(3);
    },
    LIMIT_MS,
  );
});

describe('a planted fault is found', () => {
  test.each(CONTROLS)(
    '$name',
    async (control) => {
      let { found, report } = await runControl(control);
      // A fault that shows by chance, and less often where the machine is slow, has more than one chance to.
      for (let more = 1; !found && more < 4; more++) {
        rmSync(report.folder, { recursive: true });
        ({ found, report } = await runControl(control, seed()));
      }
      const rules = [...new Set(report.violations.map(({ rule }) => rule))];
      expect(found, `violated were: ${rules.join(', ')}`).toBe(true);
      rmSync(report.folder, { recursive: true });
    },
    LIMIT_MS,
  );
});
