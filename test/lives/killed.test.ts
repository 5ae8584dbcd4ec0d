import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { workflow } from '../../src/index.ts';
import type { LifeToKill } from './killed-life.ts';
import type { Plotter } from './life.ts';
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

/** The one who goes on after every so many dies too, at one of its first commits: the first is its boot. */
const SECOND_DEATH_EVERY = 3;
const secondDeath = (place: string, number: number) => ({
  into: join(place, `second-${number}`),
  at: 2 + (Math.floor(number / SECOND_DEATH_EVERY) % 8),
});

describe('a process that dies at any of its commits leaves to the next one what it needs to come to the same end', () => {
  test.each(Object.entries(PLOTS).map(([name, plotter], i) => ({ name, plotter, i })))(
    '$name',
    { timeout: 120_000 },
    async ({ name, plotter, i }) => {
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
        const next = await goneOn(plotter, point.folder, 1, number % SECOND_DEATH_EVERY === 0 ? secondDeath(place, number) : undefined);
        expectSame(next.became, became, 1, where);
        for (const second of next.points.slice(-1)) {
          expectSame((await goneOn(plotter, second.folder, 2)).became, became, 2, `${where}, then at commit ${second.name}`);
        }
      }
      await killed;
      expectSame((await goneOn(plotter, folder, 1)).became, became, 1, `killed ${kill.where} commit ${kill.n}`);
    },
  );
});

describe('control: what would not do is found', () => {
  const found = async (plotter: Plotter): Promise<unknown> => {
    const place = mkdtempSync(join(dir, 'control-'));
    const { became, points } = await undisturbed(plotter, join(place, 'origin'), place);
    for (const { folder, name } of points) {
      const next = await goneOn(plotter, folder, 1);
      try {
        expectSame(next.became, became, 1, name);
      } catch (error) {
        return error;
      }
    }
    return null;
  };
  const one = (mark: (name: string) => void) =>
    workflow({ name: 'one' }, (w) => {
      w.run('a', {}, () => mark('a'));
      return {};
    });

  test('a start without a key', async () => {
    const plotter: Plotter = () => {
      const flow = one(() => undefined);
      return { use: [flow], acts: [[0, (kit) => kit.start(flow)]], until: 10 };
    };
    expect(await found(plotter)).toBeInstanceOf(Error);
  });

  test('an effect under another key each time', async () => {
    let times = 0;
    const plotter: Plotter = (world) => {
      const flow = one((name) => world.mark({ idempotencyKey: String(++times) }, name));
      return { use: [flow], acts: [[0, (kit) => kit.start(flow, undefined, { key: 'k' })]], until: 10 };
    };
    expect(await found(plotter)).toBeInstanceOf(Error);
  });
});
