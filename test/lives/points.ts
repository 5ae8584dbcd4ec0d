/** Where a process may die: copies of its folder at every commit, as a kill there would leave it. */
import { copyFileSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { hook } from '../store/hooks.ts';
import { effectsIn, Life, type Became, type Plotter } from './life.ts';

export interface Point {
  readonly name: string;
  readonly folder: string;
}

interface Copies {
  readonly into: string;
  /** Only at this commit, from 1; default: at every one. */
  readonly at?: number;
}

/** Copies the folder before and after commits until the returned function is called. Before one only where something happened outside since the last. */
function copyAtCommits(folder: string, { into, at }: Copies): () => Point[] {
  const points: Point[] = [];
  let commits = 0;
  let isWriting = false;
  let outside = -1;
  const take = (name: string): void => {
    if (at !== undefined && at !== commits) return;
    const to = join(into, name);
    mkdirSync(to, { recursive: true });
    for (const file of readdirSync(folder)) if (!file.endsWith('-shm')) copyFileSync(join(folder, file), join(to, file));
    points.push({ name, folder: to });
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
      outside = sizeOf(folder);
      return result;
    },
  });
  return () => {
    undo();
    return points;
  };
}

/** How much was done outside. */
function sizeOf(folder: string): number {
  return statSync(effectsIn(folder), { throwIfNoEntry: false })?.size ?? 0;
}

export async function undisturbed(plotter: Plotter, folder: string, into: string): Promise<{ became: Became; points: Point[] }> {
  const life = await Life.begin(plotter, folder);
  const stop = copyAtCommits(folder, { into });
  try {
    await life.live();
    return { became: await life.became(), points: stop() };
  } finally {
    stop();
    await life.close();
  }
}

/** What becomes of a plot when another process goes on with what `lives` dead ones have left; with copies at a commit of it where asked. */
export async function goneOn(
  plotter: Plotter,
  folder: string,
  lives: number,
  copies?: Copies,
): Promise<{ became: Became; points: Point[] }> {
  const stop = copies === undefined ? () => [] : copyAtCommits(folder, copies);
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
      return [name, counts.map((count, i) => Math.min(Math.max(done[i] ?? 0, count), count + deaths))];
    }),
  );
  expect({ ...effects }, `${where}: what was done outside, by key`).toEqual(within);
}
