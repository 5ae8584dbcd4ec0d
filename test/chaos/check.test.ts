import { describe, expect, test } from 'vitest';
import { check } from './check.ts';
import type { History, Life, Outcome, Snapshot } from './history.ts';
import type { BodyRecord, ClientRecord } from './records.ts';

// Made-up histories of a run `r` with the tasks `a`, which a kill at 100 hit, and `b`. Each test bends the sound one.

const record = (type: 'begin' | 'fail' | 'ok', task: string, attempt: number, at: number): BodyRecord => ({
  type,
  run: 'r',
  task,
  item: -1,
  attempt,
  pid: 1,
  at,
});

const step = (attempt: number, at: number): BodyRecord => ({ ...record('begin', 'a', attempt, at), type: 'step', step: 's' });
const stepped = (attempt: number, at: number, value: string): BodyRecord => ({
  ...record('begin', 'a', attempt, at),
  type: 'stepped',
  step: 's',
  value,
});

const life = (name: string, aliveUntil: number, bodies: readonly BodyRecord[], slot = 0): Life => ({
  name,
  slot,
  readyAt: 0,
  aliveUntil,
  bodies,
});
const killed = (...bodies: BodyRecord[]): Life => life('worker-1', 100, bodies);
const after = (...bodies: BodyRecord[]): Life => life('worker-2', 1_000, bodies);

const success = (attempt: number): Outcome => ({ status: 'success', attempt, text: 'at 1 with 1' });
const snapshot = (ended: Record<string, Outcome>, inFlight: number): Snapshot => ({
  at: 110,
  ended: new Map(Object.entries(ended)),
  inFlight,
  integrity: 'ok',
});

const ack = (run = 'r', created = true): ClientRecord => ({ type: 'ack', key: 'k', run, created, at: 10 });
const result = (at = 900): ClientRecord => ({ type: 'result', run: 'r', at });

const sound: History = {
  concurrency: 10,
  lives: [
    killed(record('begin', 'b', 1, 20), record('ok', 'b', 1, 30), record('begin', 'a', 1, 50)),
    after(record('begin', 'a', 2, 200), record('ok', 'a', 2, 300)),
  ],
  client: [ack(), result()],
  snapshots: [snapshot({ 'r b -1': success(1) }, 1)],
  final: {
    runs: [{ run: 'r', workflow: 'w', key: 'k', status: 'success' }],
    ended: new Map([
      ['r a -1', success(2)],
      ['r b -1', success(1)],
    ]),
    integrity: 'ok',
  },
  complaints: [],
  mustShare: false,
};

const rulesOf = (bent: Partial<History>): string[] => [...new Set(check({ ...sound, ...bent }).map(({ rule }) => rule))];
const before = sound.lives[0] ?? killed();
const withMore = (...bodies: BodyRecord[]): readonly Life[] => [
  { ...before, bodies: [...before.bodies, ...bodies] },
  ...sound.lives.slice(1),
];

describe('a sound history', () => {
  test('has no violation', () => expect(check(sound)).toEqual([]));

  test('may repeat a body whose process died, with another number', () => {
    expect(rulesOf({ lives: [before, after(record('begin', 'a', 2, 101), record('ok', 'a', 2, 102))] })).toEqual([]);
  });

  test('may retry a body that failed, in the same process', () => {
    const retried = [record('begin', 'c', 1, 20), record('fail', 'c', 1, 25), record('begin', 'c', 2, 30), record('ok', 'c', 2, 40)];
    expect(rulesOf({ lives: withMore(...retried) })).toEqual([]);
  });

  test('may give a key again, to the run that holds it', () => expect(rulesOf({ client: [ack(), ack('r', false), result()] })).toEqual([]));

  test('may run a step again that was never acknowledged, and read one that was', () => {
    const [, second = after()] = sound.lives;
    const bodies = [...second.bodies, step(2, 210), stepped(2, 220, '1'), stepped(3, 230, '1')];
    expect(
      rulesOf({
        lives: [
          { ...before, bodies: [...before.bodies, step(1, 60)] },
          { ...second, bodies },
        ],
      }),
    ).toEqual([]);
  });
});

describe('what clients were told', () => {
  test('an acknowledged run that is not there', () => {
    expect(rulesOf({ final: { ...sound.final, runs: [] } })).toEqual(['accepted-lost']);
  });

  test('a run that ended otherwise', () => {
    const runs = sound.final.runs.map((run) => ({ ...run, status: 'failed' }));
    expect(rulesOf({ final: { ...sound.final, runs } })).toEqual(['not-success']);
  });

  test('a result that never came', () => expect(rulesOf({ client: [ack()] })).toEqual(['no-result']));

  test('a wrong result', () =>
    expect(rulesOf({ client: [ack(), { ...result(), problem: '1 instead of 2' } as ClientRecord] })).toEqual(['wrong-result']));

  test('one key, two runs', () => {
    const runs = [...sound.final.runs, { run: 'other', workflow: 'w', key: 'k', status: 'success' }];
    expect(rulesOf({ final: { ...sound.final, runs } })).toEqual(['key-split']);
  });

  test('one key, created twice', () => expect(rulesOf({ client: [ack(), ack(), result()] })).toEqual(['created-twice']));
});

describe('what has an outcome', () => {
  test('runs again after a snapshot had it', () => {
    const rerun = after(...(sound.lives[1]?.bodies ?? []), record('begin', 'b', 2, 400));
    expect(rulesOf({ lives: [before, rerun], snapshots: [snapshot({ 'r b -1': success(1) }, 2)] })).toEqual(['ran-again']);
  });

  test('runs again after a client had the result', () => expect(rulesOf({ client: [ack(), result(150)] })).toEqual(['ran-again']));

  test('has another one later', () => {
    expect(rulesOf({ snapshots: [snapshot({ 'r b -1': { ...success(1), text: 'at 2 with 1' } }, 1)] })).toEqual(['outcome-changed']);
  });

  test('has none any more', () => {
    const ended = new Map([['r a -1', success(2)]]);
    expect(rulesOf({ final: { ...sound.final, ended } })).toEqual(['outcome-lost']);
  });

  test('has it from a body that never returned', () => expect(rulesOf({ lives: [before] })).toEqual(['invented']));
});

describe('attempts of one task', () => {
  test('overlap while both processes live', () => {
    expect(rulesOf({ lives: [{ ...before, aliveUntil: 250 }, ...sound.lives.slice(1)] })).toEqual(['overlap']);
  });

  test('overlap in one process', () => {
    const both = [record('begin', 'c', 1, 20), record('begin', 'c', 2, 25), record('ok', 'c', 1, 30), record('ok', 'c', 2, 40)];
    expect(rulesOf({ lives: withMore(...both), snapshots: [snapshot({}, 2)] })).toEqual(['overlap']);
  });

  test('follow each other without a failure or a death', () => {
    const twice = [record('begin', 'c', 1, 20), record('ok', 'c', 1, 25), record('begin', 'c', 2, 30), record('ok', 'c', 2, 40)];
    expect(rulesOf({ lives: withMore(...twice), snapshots: [snapshot({}, 2)] })).toEqual(['repeated-without-cause']);
  });

  test('have the same number', () => {
    const bodies = [record('begin', 'a', 1, 200), record('ok', 'a', 2, 300), record('ok', 'a', 1, 300)];
    const ended = new Map([...sound.final.ended, ['r a -1', success(1)]] as const);
    expect(rulesOf({ lives: [before, after(...bodies)], final: { ...sound.final, ended } })).toEqual(['attempt-number']);
  });

  test('are more than were in flight at the kills', () => {
    expect(rulesOf({ snapshots: [snapshot({ 'r b -1': success(1) }, 0)] })).toEqual(['repeated-too-much']);
  });

  test('are more at the same time than a worker has slots', () => {
    const begun = Array.from({ length: 11 }, (_, i) => record('begin', `x${i}`, 1, 40));
    expect(rulesOf({ lives: withMore(...begun) })).toEqual(['over-capacity']);
  });
});

describe('a finished step', () => {
  test('runs again', () => {
    expect(rulesOf({ lives: withMore(step(1, 60), stepped(1, 70, '1'), step(1, 80)) })).toEqual(['step-again']);
  });

  test('has another value', () => {
    expect(rulesOf({ lives: withMore(step(1, 60), stepped(1, 70, '1'), stepped(1, 80, '2')) })).toEqual(['step-changed']);
  });
});

describe('the rest', () => {
  test('a file that is not sound', () =>
    expect(rulesOf({ final: { ...sound.final, integrity: 'row 1 missing from index' } })).toEqual(['integrity']));

  test('what the harness itself complains of', () => expect(rulesOf({ complaints: [{ rule: 'stalled', text: '' }] })).toEqual(['stalled']));

  test('a slot that gets next to nothing', () => {
    const busy = Array.from({ length: 20 }, (_, i) => [record('begin', `x${i}`, 1, 20), record('ok', `x${i}`, 1, 30)]).flat();
    const lives = [...sound.lives, life('worker-3', 1_000, busy, 1)];
    expect(rulesOf({ lives, mustShare: true })).toEqual(['starved']);
  });

  test('a worker that begins nothing', () => {
    const lives = [...sound.lives, life('worker-3', 2_000_000, [])];
    expect(rulesOf({ lives, mustShare: true })).toEqual(['starved']);
  });

  test('a worker that begins nothing because nothing was started yet is no violation', () => {
    const lives = [...sound.lives, life('worker-3', 2_000_000, [])];
    expect(rulesOf({ lives, client: [{ ...ack(), at: 1_500_000 }, result(1_600_000)], mustShare: true })).toEqual([]);
  });
});
