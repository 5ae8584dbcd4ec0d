/** Every move of both tables is taken through what a user calls, and no other one is. */
import { describe, expect, test } from 'vitest';
import { RUN_TRANSITIONS, TASK_TRANSITIONS } from '../../src/core/kernel/states.ts';
import { parts, Place, type Scenario } from './transitions-kit.ts';
import { OF_RUNS } from './transitions-of-runs.ts';
import { OF_TASKS } from './transitions-of-tasks.ts';

const TABLES = {
  task: TASK_TRANSITIONS.flatMap(({ from, event, to }) => to.map((end) => `${from} | ${event} | ${end}`)),
  run: RUN_TRANSITIONS.flatMap(({ from, event, to }) => to.map((end) => `${from} | ${event} | ${end}`)),
};
const edge = (move: string): string => `${parts(move).from} ${parts(move).to}`;
const SCENARIOS: readonly Scenario[] = [...OF_TASKS, ...OF_RUNS];

describe('a move of a table of states', () => {
  test.each(SCENARIOS)('of a $of: $moves.0', async ({ of, moves, play }) => {
    const place = new Place();
    let found: Awaited<ReturnType<Place['moves']>>;
    try {
      await play(place);
    } finally {
      found = await place.moves();
    }
    const isTaken = (move: string): boolean => {
      const { from, to, reason } = parts(move);
      return [...found[of]].some((one) => (reason === undefined ? one.startsWith(`${from} ${to} `) : one === `${from} ${to} ${reason}`));
    };
    expect(
      moves.filter((move) => !isTaken(move)),
      `taken were ${[...found[of]].join(', ')}`,
    ).toEqual([]);
    for (const kind of ['task', 'run'] as const) {
      const known = new Set(TABLES[kind].map(edge));
      expect([...found[kind]].filter((one) => !known.has(one.split(' ', 2).join(' ')))).toEqual([]);
    }
  });

  test.each(['task', 'run'] as const)('of a %s has a scenario that takes it', (of) => {
    const taken = new Set(SCENARIOS.filter((one) => one.of === of).flatMap(({ moves }) => moves.map((move) => parts(move).name)));
    expect(TABLES[of].filter((move) => !taken.has(move))).toEqual([]);
    expect([...taken].filter((move) => !TABLES[of].includes(move))).toEqual([]);
  });

  test('is in the list', async () => {
    const list = SCENARIOS.flatMap(({ of, moves }) => moves.map((move) => `${of} | ${move}`));
    await expect(`${[...new Set(list)].toSorted().join('\n')}\n`).toMatchFileSnapshot('./transitions.txt');
  });
});
