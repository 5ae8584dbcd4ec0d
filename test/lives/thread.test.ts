/** Lives whose store writes from a thread come to the same end as those that write themselves. The thread is stood for by one that only clones. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type * as threads from 'node:worker_threads';
import { afterAll, describe, test, vi } from 'vitest';
import { opening } from './life.ts';
import { PLOTS } from './plots.ts';
import { expectSame, goneOn, undisturbed } from './points.ts';

vi.mock('node:worker_threads', async (original) => ({
  ...(await original<typeof threads>()),
  Worker: (await import('../store/near-thread.ts')).NearThread,
}));

const dir = mkdtempSync(join(tmpdir(), 'pawl-thread-'));
afterAll(() => rmSync(dir, { recursive: true }));

/** Of the places where a process may die, so many apart. */
const EVERY = 7;

describe('with the writer in a thread', () => {
  test.each(Object.entries(PLOTS).map(([name, plotter], i) => ({ name, plotter, i })))(
    '$name',
    { timeout: 120_000 },
    async ({ plotter, i }) => {
      const place = mkdtempSync(join(dir, 'plot-'));
      const folderOf = (name: string): string => {
        mkdirSync(join(place, name), { recursive: true });
        return join(place, name);
      };
      opening.writer = null;
      const { became } = await undisturbed(plotter, folderOf('main'), folderOf('main-points'));
      opening.writer = 'thread';
      const threaded = await undisturbed(plotter, folderOf('thread'), folderOf('points'));
      expectSame(threaded.became, became, 0, 'with a thread');
      for (const [number, point] of threaded.points.entries()) {
        if (number % EVERY !== i % EVERY) continue;
        expectSame((await goneOn(plotter, point.folder, 1)).became, became, 1, `dead at commit ${point.name}`);
      }
    },
  );
});
