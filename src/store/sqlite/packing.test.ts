import { describe, expect, test } from 'vitest';
import { noChanges, type Changes, type TaskChange } from '../../core/kernel/changes.ts';
import { NO_FLOW, type EndedTask, type RunningTask, type TaskState } from '../../core/kernel/run-state.ts';
import type { RunWrite, StartWrite, WrittenRun } from '../batch.ts';
import { packedRun, packedStart, packedTask, unpackedRun, unpackedStart, unpackedTask } from './packing.ts';
import { KnownServes, receivedBatch, sentBatch } from './wire.ts';

const facts = {
  node: 2,
  item: 5,
  generation: 3,
  attempt: 4,
  begun: 1,
  rank: 17,
  firstQueuedAt: 18,
  losses: 0,
  crashes: 0,
  handBacks: 0,
  draws: [],
  ranMs: 0,
  effect: 1,
  edited: null,
};
const running: RunningTask = { ...facts, status: 'running', phase: 'body', lease: { token: 7, worker: 8 }, startedAt: 19 };
const ended: EndedTask = {
  ...facts,
  status: 'success',
  reason: null,
  output: '{"n":1}',
  error: null,
  startedAt: 19,
  finishedAt: 20,
  allowed: false,
  partial: false,
  dead: false,
  stale: false,
  cached: false,
  handled: false,
  completion: null,
};

describe('a task that crosses to another thread', () => {
  test('is a short list where nothing about it is out of the ordinary', () => {
    for (const task of [running, ended, { ...ended, output: null, startedAt: null }]) {
      const packed = packedTask(task);
      expect(Array.isArray(packed)).toBe(true);
      expect(unpackedTask(structuredClone(packed))).toEqual(task);
    }
  });

  // Each property, with another value: what would be forgotten is found.
  const others: readonly TaskState[] = [
    ...(['losses', 'crashes', 'handBacks', 'ranMs'] as const).flatMap((name) => [
      { ...running, [name]: 1 },
      { ...ended, [name]: 1 },
    ]),
    { ...running, effect: 2 },
    { ...running, edited: '{}' },
    { ...running, draws: [1] },
    { ...running, lease: null },
    { ...running, phase: 'evaluate' },
    { ...running, partial: true },
    { ...running, resumed: true },
    ...(['allowed', 'partial', 'dead', 'stale', 'cached', 'handled'] as const).map((name) => ({ ...ended, [name]: true })),
    { ...ended, status: 'failed', reason: 'error', error: '{}' },
    { ...ended, reason: 'manual' },
    { ...ended, error: '{}' },
    { ...ended, completion: 1 },
    { ...facts, status: 'pending' },
    { ...facts, status: 'queued', phase: 'body', next: 'start', expiresAt: null },
  ];
  test.each(others.map((task) => ({ task })))('is as it was: $task', ({ task }) => {
    expect(unpackedTask(structuredClone(packedTask(task)))).toEqual(task);
  });

  test('is packed with every property that there is', () => {
    for (const task of [running, ended])
      expect(Object.keys(unpackedTask(packedTask(task))).toSorted()).toEqual(Object.keys(task).toSorted());
  });
});

const state = {
  run: 1,
  generation: 2,
  rev: 3,
  status: 'running',
  resumeTo: null,
  parent: null,
  rank: 4,
  startAt: null,
  acceptedAt: 5,
  deadlineAt: null,
  cause: null,
  cancelAsked: null,
  flow: NO_FLOW,
} as const;
const changes = {
  ...noChanges(),
  tasks: [
    { from: running, to: ended },
    { from: undefined, to: { ...running, losses: 1 } },
  ],
};
const end = { from: 'running', status: 'success', reason: null, output: '1', hasOutput: true, finishedAt: 20 } as const;
const write: RunWrite = { firstBody: 9, epoch: 10, shared: true, state, changes, act: null, move: null, cache: null };
const start: StartWrite = {
  uid: new Uint8Array([1, 2]),
  definition: 11,
  firstBody: 12,
  workflow: 'w',
  key: { value: 'k', inputHash: 'h', until: 13 },
  tags: ['t'],
  traceparent: 'p',
  unclaimed: true,
  owner: 14,
  state: { ...state, input: '{}' },
  changes,
  link: null,
  act: null,
};

describe('a write that crosses to another thread', () => {
  test('is a short list where nothing about it is out of the ordinary, and the same when it arrives', () => {
    for (const one of [write, { ...write, changes: { ...changes, end } }]) {
      const packed = packedRun(one);
      expect(packed === null ? null : unpackedRun(structuredClone(packed))).toEqual(one);
    }
    for (const one of [start, { ...start, key: null, owner: null, traceparent: null, unclaimed: false }]) {
      const packed = packedStart(one);
      expect(packed === null ? null : unpackedStart(structuredClone(packed))).toEqual(one);
    }
  });

  test('starts no children where the list of them is empty', () => {
    const packed = packedStart({ ...start, children: [] });
    expect(packed === null ? null : unpackedStart(packed)).toEqual(start);
  });

  const act = { actor: 'a', action: 'b', request: null, hash: '', result: '{}', facts: '{}', note: null } as unknown as RunWrite['act'];
  const states = [
    { parent: { run: 1, node: 0, item: -1, generation: 1, name: null, kind: 'child', tree: 1, recalled: false, completion: null } },
    { startAt: 1 },
    { deadlineAt: 1 },
    { resumeTo: 'running' },
    { cause: { status: 'failed', reason: 'deadline' } },
    { cancelAsked: 'person' },
    { flow: { ...NO_FLOW, called: 0 } },
  ] as const;
  const others = [
    { moves: [{ from: 'queued', to: 'running' }] },
    { cleared: [1] },
    { records: [{ node: 0, item: -1, generation: 1, kind: 'forget' }] },
    { taken: [1] },
    { recalls: [{ node: 0, item: -1, generation: 1 }] },
    {
      maps: new Map([
        [1, { node: 1, n: 3, next: 0, ok: 0, failed: 0, cancelled: 0, skipped: 0, again: 0, reopened: false, dead: null, stopped: false }],
      ]),
    },
    {
      attempts: [
        {
          node: 0,
          item: -1,
          generation: 1,
          attempt: 1,
          outcome: 'error',
          reason: 'error',
          error: null,
          worker: 1,
          startedAt: 1,
          endedAt: 2,
        },
      ],
    },
    { reset: { kind: 'redrive', generation: 2, tasks: [], kept: [] } },
    { kin: 'told' },
    { completion: 1 },
    { undo: 1 },
    { gate: { kind: 'leave' } },
    { flow: true },
  ] as const;
  const odd: readonly RunWrite[] = [
    ...states.map((over) => ({ ...write, state: { ...state, ...over } })),
    ...others.map((over) => ({ ...write, changes: { ...changes, ...over } as RunWrite['changes'] })),
    { ...write, act },
    { ...write, move: { from: 1, to: 2, nodes: new Map([[0, 1]]), staysUntil: null } },
    { ...write, cache: [{ key: 'k', task: 't', output: null, expiresAt: 1 }] },
    { ...write, children: [start, { ...start, children: [start], act }] },
    { ...write, group: 1 },
    { ...write, untold: true },
  ];
  const oddStarts: readonly StartWrite[] = [
    ...states.map((over) => ({ ...start, state: { ...start.state, ...over } })),
    { ...start, act },
    { ...start, link: { run: 1, kind: 'fork', generation: 1, maps: [] } },
    { ...start, children: [start] },
    { ...start, fire: { schedule: 1 } as unknown as NonNullable<StartWrite['fire']> },
  ];
  test('is as it was where something is', () => {
    const batch = { now: 1, worker: 2, starts: [start, ...oddStarts], runs: [write, ...odd], steps: [], logs: [], share: [], claim: null };
    const arrived = receivedBatch(structuredClone(sentBatch(batch, new KnownServes())), null);
    expect(arrived).toEqual(batch);
    // The store knows a plain run by this very object.
    expect(arrived.runs.filter(({ state: { flow } }) => flow === NO_FLOW)).toHaveLength(batch.runs.length - 1);
  });
});

/** All that there is of what is packed. A property that is missing here does not compile: it must be packed too, or keep what has it from being packed. */
const KNOWN = {
  running: {
    node: 1,
    item: 1,
    generation: 1,
    attempt: 1,
    begun: 1,
    losses: 1,
    crashes: 1,
    handBacks: 1,
    draws: 1,
    ranMs: 1,
    rank: 1,
    firstQueuedAt: 1,
    effect: 1,
    edited: 1,
    status: 1,
    phase: 1,
    lease: 1,
    startedAt: 1,
    partial: 1,
    resumed: 1,
  } satisfies Record<keyof RunningTask, 1>,
  ended: {
    node: 1,
    item: 1,
    generation: 1,
    attempt: 1,
    begun: 1,
    losses: 1,
    crashes: 1,
    handBacks: 1,
    draws: 1,
    ranMs: 1,
    rank: 1,
    firstQueuedAt: 1,
    effect: 1,
    edited: 1,
    status: 1,
    reason: 1,
    output: 1,
    error: 1,
    startedAt: 1,
    finishedAt: 1,
    allowed: 1,
    partial: 1,
    dead: 1,
    stale: 1,
    cached: 1,
    handled: 1,
    completion: 1,
  } satisfies Record<keyof EndedTask, 1>,
  change: { from: 1, to: 1, needs: 1 } satisfies Record<keyof TaskChange, 1>,
  changes: {
    tasks: 1,
    attempts: 1,
    maps: 1,
    moves: 1,
    cleared: 1,
    records: 1,
    taken: 1,
    reset: 1,
    end: 1,
    children: 1,
    recalls: 1,
    kin: 1,
    completion: 1,
    asksKin: 1,
    undo: 1,
    gate: 1,
    flow: 1,
    refused: 1,
  } satisfies Record<keyof Changes, 1>,
  state: {
    run: 1,
    generation: 1,
    rev: 1,
    status: 1,
    resumeTo: 1,
    parent: 1,
    rank: 1,
    startAt: 1,
    acceptedAt: 1,
    deadlineAt: 1,
    cause: 1,
    cancelAsked: 1,
    flow: 1,
  } satisfies Record<keyof WrittenRun, 1>,
  write: {
    firstBody: 1,
    state: 1,
    epoch: 1,
    shared: 1,
    changes: 1,
    act: 1,
    children: 1,
    group: 1,
    untold: 1,
    move: 1,
    cache: 1,
  } satisfies Record<keyof RunWrite, 1>,
  start: {
    uid: 1,
    definition: 1,
    firstBody: 1,
    workflow: 1,
    key: 1,
    tags: 1,
    traceparent: 1,
    unclaimed: 1,
    owner: 1,
    state: 1,
    changes: 1,
    link: 1,
    act: 1,
    children: 1,
    fire: 1,
  } satisfies Record<keyof StartWrite, 1>,
};

test('what is packed has no properties but those that were thought of', () => {
  const made = { running, ended, changes, state, write, start, change: changes.tasks[0] ?? {} };
  for (const [name, known] of Object.entries(KNOWN))
    expect(Object.keys(known)).toEqual(expect.arrayContaining(Object.keys(made[name as keyof typeof made])));
});
