import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createEngine, type Engine, type Registrable } from '../../src/index.ts';
import { LIBRARY, pawl, Place, root } from '../cli/kit.ts';
import { silent } from '../engine/kit.ts';
import { fences, isPrinted, shownFiles } from './blocks.ts';

/** Every command of the guide, in its order, in a folder with its file; what a `text` block shows is what is printed. */
const guide = readFileSync(join(root, 'docs/guides/first-hour.md'), 'utf8');
const terminal = { columns: 160, rows: 40 };

let place: Place;
let engine: Engine;

beforeAll(async () => {
  place = new Place(Object.fromEntries(shownFiles(guide).map(({ name, code }) => [name, code.replace(`'pawl'`, `'${LIBRARY}'`)])));
  const { order } = (await import(pathToFileURL(place.file('pawl.ts')).href)) as { order: Registrable };
  engine = createEngine({ store: place.store, use: [order], logger: silent });
  await engine.work({ drainOn: [] });
});

afterAll(async () => {
  await engine.close();
  place.remove();
});

/** Words as a shell makes them of a command line with single quotes. */
const words = (line: string): string[] => [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare ?? '');

const call = async (line: string) => pawl(place, words(line).slice(1), { terminal, env: { NO_COLOR: '1' } });

test('the walk through the first hour prints what the guide shows, and ends in success with finished work kept', async () => {
  const exits: number[] = [];
  for (const { language, text } of fences(guide)) {
    if (language === 'sh') for (const line of text.split('\n')) expect((await call(line)).exit, line).toBe(0);
    if (language !== 'text') continue;
    const [command = '', ...shown] = text.split('\n');
    const { exit, stdout, stderr } = await call(command.replace(/^\$ /, ''));
    exits.push(exit);
    const printed = stderr + stdout;
    expect(isPrinted(shown.join('\n'), printed), `${command}\nprinted:\n${printed}`).toBe(true);
  }
  expect(exits).toEqual([1, 0, 0, 0, 0, 2, 0, 0, 0, 0]);
  const [run] = (await engine.runs.list({ workflow: 'order' })).runs;
  const tasks = await (await engine.get(run?.id ?? '')).tasks();
  expect(tasks.map(({ task, status, attempt }) => [task, status, attempt])).toEqual([
    ['load', 'success', 1],
    ['charge', 'success', 2],
    ['ship', 'success', 1],
  ]);
}, 30_000);
