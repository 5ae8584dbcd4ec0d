/** Where a process may die: copies of its folder at every commit, as a kill there would leave it. */
import { cpSync, existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { hook } from '../store/hooks.ts';
import { Life, type Became, type Plotter } from './life.ts';

export interface Point {
  readonly name: string;
  readonly folder: string;
}

/** Copies the folder before and after every commit until the returned function is called. Before one only where something happened outside since the last. */
export function copyAtCommits(folder: string, into: string): () => Point[] {
  const points: Point[] = [];
  let commits = 0;
  let isWriting = false;
  let outside = -1;
  const take = (name: string): void => {
    const to = join(into, name);
    cpSync(folder, to, { recursive: true, filter: (path) => !path.endsWith('-shm') });
    points.push({ name, folder: to });
    outside = sizeOf(folder);
  };
  const undo = hook({
    onRun: (sql, next) => {
      if (sql === 'BEGIN IMMEDIATE') isWriting = true;
      if (sql === 'BEGIN' || sql === 'ROLLBACK') isWriting = false;
      if (sql !== 'COMMIT' || !isWriting) return next();
      isWriting = false;
      commits++;
      if (sizeOf(folder) !== outside) take(`${commits}-before`);
      const result = next();
      take(`${commits}-after`);
      return result;
    },
  });
  return () => {
    undo();
    return points;
  };
}

/** How much there is beside the database. */
function sizeOf(folder: string): number {
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => !name.startsWith('app.db')) : [];
  return names.reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
}

export async function undisturbed(plotter: Plotter, folder: string, into: string): Promise<{ became: Became; points: Point[] }> {
  const life = await Life.begin(plotter, folder);
  const stop = copyAtCommits(folder, into);
  try {
    await life.live();
    return { became: await life.became(), points: stop() };
  } finally {
    stop();
    await life.close();
  }
}

/** What becomes of a plot when another process goes on with what `lives` dead ones have left; with copies at its commits where asked. */
export async function goneOn(plotter: Plotter, folder: string, lives: number, into?: string): Promise<{ became: Became; points: Point[] }> {
  const stop = into === undefined ? () => [] : copyAtCommits(folder, into);
  try {
    const life = await Life.begin(plotter, folder, lives);
    try {
      await life.live();
      return { became: await life.became(), points: stop() };
    } finally {
      await life.close();
    }
  } finally {
    stop();
  }
}

/** The same ends; what was done outside at least as often, and by each death at most once more. */
export function expectSame(got: Became, wanted: Became, deaths: number, where: string): void {
  const { effects, ...ends } = got;
  const { effects: wantedEffects, ...wantedEnds } = wanted;
  expect(ends, where).toEqual(wantedEnds);
  const within = Object.fromEntries(
    Object.entries(wantedEffects).map(([name, counts]) => {
      const done = effects[name] ?? [];
      return [name, counts.map((count, i) => Math.min(Math.max(done[i] ?? 0, count), count + deaths)).concat(done.slice(counts.length))];
    }),
  );
  expect({ ...effects }, `${where}: what was done outside, by key`).toEqual(within);
}
