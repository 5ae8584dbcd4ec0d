import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import type { LifeToKill } from './killed-life.ts';
import { PLOTS } from './plots.ts';
import { expectSame, goneOn, undisturbed } from './points.ts';

const dir = mkdtempSync(join(tmpdir(), 'pawl-lives-'));
afterAll(() => rmSync(dir, { recursive: true }));

const child = fileURLToPath(new URL('./killed-life.ts', import.meta.url));

/** Resolves when a process of its own has been killed at this commit. */
async function killedAt(life: LifeToKill): Promise<void> {
  const dying = spawn(process.execPath, [child, JSON.stringify(life)], { stdio: ['ignore', 'ignore', 'inherit'] });
  expect(await once(dying, 'exit')).toEqual([null, 'SIGKILL']);
}

/** The one who goes on after every so many dies too. */
const SECOND_DEATH_EVERY = 3;

describe('a process that dies at any of its commits leaves to the next one what it needs to come to the same end', () => {
  test.each(Object.entries(PLOTS).map(([name, plotter], i) => ({ name, plotter, i })))('$name', async ({ name, plotter, i }) => {
    const place = mkdtempSync(join(dir, 'plot-'));
    const { became, points } = await undisturbed(plotter, join(place, 'origin'), place);
    expect({ open: became.runs.filter((text) => text.includes('open')), unlike: became.unlike }).toEqual({ open: [], unlike: [] });

    const commits = points.filter((point) => point.name.endsWith('after')).length;
    const kill = {
      statement: 'COMMIT',
      where: i % 2 === 0 ? 'before' : 'after',
      n: 1 + ((i * 7 + 3) % commits),
      over: -1,
      delayMs: 0,
    } as const;
    const folder = join(place, 'killed');
    mkdirSync(folder);
    const killed = killedAt({ plot: name, folder, kill });

    for (const [number, point] of points.entries()) {
      const where = `dead at commit ${point.name}`;
      const again = number % SECOND_DEATH_EVERY === 0 ? `${point.folder}-next` : undefined;
      const next = await goneOn(plotter, point.folder, 1, again);
      expectSame(next.became, became, 1, where);
      const second = next.points[Math.floor(number / SECOND_DEATH_EVERY) % next.points.length];
      if (second === undefined) continue;
      expectSame((await goneOn(plotter, second.folder, 2)).became, became, 2, `${where}, then at commit ${second.name}`);
    }
    await killed;
    expectSame((await goneOn(plotter, folder, 1)).became, became, 1, `killed ${kill.where} commit ${kill.n}`);
  });
});
