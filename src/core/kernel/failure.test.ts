import { describe, expect, test } from 'vitest';
import { contract } from '../../../test/semantics/graphs.ts';
import { World } from '../../../test/semantics/world.ts';
import type { BodyTask, ContractData, Graph } from '../graph/graph.ts';
import type { Outcome, RunEvent } from './turn.ts';

const ERROR = JSON.stringify({ name: 'Error', message: 'no' });
const plain: Outcome = { kind: 'error', error: ERROR, facts: {} };
const lost = (crashed: boolean): Outcome => ({ kind: 'lost', crashed });
const handedBack = (began = true): Outcome => ({ kind: 'released', began, ranMs: 10 });
const yes: Outcome = { kind: 'verdict', verdict: true };

const worldOf = (options: Partial<BodyTask> = {}, over: Partial<ContractData> = {}): World => {
  const task: BodyTask = { id: 'a', kind: 'task', input: {}, contract: { ...contract(), ...over }, ...options };
  const graph: Graph = { format: 1, workflow: 'one', tasks: [task], output: {} };
  return new World(graph);
};
const unsafe = contract(true);

/** Ends the task's claim, claiming or waiting first where needed. */
function end(world: World, outcome: Outcome): void {
  for (const { dueAt, node, item } of world.in('retrying')) {
    world.now = Math.max(world.now, dueAt ?? 0);
    world.apply([{ type: 'due', node, item }]);
  }
  const task = world.in('running')[0] ?? world.claim(world.in('queued')[0] ?? taskOf(world));
  world.apply([{ type: 'ended', node: 0, item: -1, token: task.lease?.token ?? 0, outcome }]);
}

const taskOf = (world: World) => world.rows.get('0:-1') ?? expect.fail('no row');

describe('a lost lease', () => {
  test('puts the task back into the queue, and another attempt counts against maxLost, not maxAttempts', () => {
    const world = worldOf();
    end(world, lost(false));
    end(world, lost(true));
    for (let i = 0; i < 2; i++) end(world, plain);
    expect(taskOf(world)).toMatchObject({ status: 'retrying', attempt: 4, losses: 2 });
    end(world, plain);
    expect(taskOf(world)).toMatchObject({ status: 'failed', reason: 'error', attempt: 5 });
  });

  test.each([
    ['lost', [false, false, false]],
    ['lost', [true, false, true]],
    ['crash_loop', [true, true, true]],
  ])('three times fails the task as %s: the process died %j', (reason, crashes) => {
    const world = worldOf();
    for (const crashed of crashes) end(world, lost(crashed));
    expect(taskOf(world)).toMatchObject({ status: 'failed', reason, attempt: 3 });
    expect(world.attempts.map(({ outcome, attempt }) => [attempt, outcome])).toEqual([1, 2, 3].map((attempt) => [attempt, 'lost']));
    expect(world.end).toMatchObject({ status: 'failed' });
  });

  test('while the predicate was asked does not make a crash_loop of losses without a crash', () => {
    const world = worldOf({ when: true });
    end(world, lost(true));
    end(world, yes);
    for (const crashed of [false, true, true]) end(world, lost(crashed));
    expect(taskOf(world)).toMatchObject({ status: 'failed', reason: 'lost' });
  });
});

describe('a hand-back', () => {
  test('goes on with the same attempt, whose running time is kept', () => {
    const world = worldOf();
    end(world, handedBack());
    expect(taskOf(world)).toMatchObject({ status: 'queued', next: 'return', attempt: 1, ranMs: 10 });
    end(world, handedBack());
    expect(taskOf(world)).toMatchObject({ attempt: 1, begun: 1, ranMs: 20, losses: 0 });
  });

  test('is free nine times; the tenth counts as lost', () => {
    const world = worldOf();
    for (let i = 0; i < 9; i++) end(world, handedBack());
    expect(taskOf(world)).toMatchObject({ status: 'queued', next: 'return', attempt: 1, losses: 0 });
    end(world, handedBack());
    expect(taskOf(world)).toMatchObject({ status: 'queued', next: 'start', attempt: 1, losses: 1 });
  });

  test('before the body began costs nothing, of an unsafe task too', () => {
    const world = worldOf({}, unsafe);
    for (let i = 0; i < 30; i++) end(world, handedBack(false));
    expect(taskOf(world)).toMatchObject({ status: 'queued', attempt: 1, handBacks: 0, losses: 0 });
  });
});

describe('a task whose effects are unsafe', () => {
  const unknown: [string, Outcome][] = [
    ['an error', plain],
    ['a timeout', { kind: 'timeout', reason: 'timeout', error: ERROR }],
    ['a lost lease', lost(false)],
    ['a crash', lost(true)],
    ['a drain', handedBack()],
  ];
  test.each(unknown)('is failed with outcome_unknown after %s', (_, outcome) => {
    const world = worldOf({}, { ...unsafe, retry: { ...unsafe.retry, maxAttempts: 5 } });
    end(world, outcome);
    expect(taskOf(world)).toMatchObject({ status: 'failed', reason: 'outcome_unknown', attempt: 1 });
  });

  const known: [string, Outcome, string][] = [
    ['a NonRetryableError', { kind: 'error', error: ERROR, facts: { nonRetryable: true } }, 'error'],
    ['a RetryAfterError without attempts left', { kind: 'error', error: ERROR, facts: { retryAfterMs: 5 } }, 'error'],
    ['output that breaks its schema', { kind: 'refused', reason: 'output_invalid', error: ERROR }, 'output_invalid'],
  ];
  test.each(known)('has a known end after %s', (_, outcome, reason) => {
    const world = worldOf({}, unsafe);
    end(world, outcome);
    expect(taskOf(world)).toMatchObject({ status: 'failed', reason });
  });

  test('is tried again after what its rules or a RetryAfterError call safe', () => {
    const rule = { match: 'SAFE', action: 'retry' as const, retries: 2, initialMs: 5, factor: 1, maxDelayMs: 5 };
    const world = worldOf({}, { ...unsafe, retry: { ...unsafe.retry, maxAttempts: 4, on: [rule] } });
    end(world, { kind: 'error', error: ERROR, facts: { rule: 0 } });
    expect(taskOf(world)).toMatchObject({ status: 'retrying' });
    end(world, { kind: 'error', error: ERROR, facts: { retryAfterMs: 7 } });
    expect(taskOf(world)).toMatchObject({ status: 'retrying', dueAt: world.now + 7 });
  });

  test('has had no effect yet while its predicate is asked', () => {
    const world = worldOf({ when: true }, unsafe);
    end(world, { kind: 'timeout', reason: 'timeout', error: ERROR });
    expect(taskOf(world)).toMatchObject({ status: 'failed', reason: 'definition_error', attempt: 0 });
    const other = worldOf({ when: true }, unsafe);
    end(other, lost(false));
    expect(taskOf(other)).toMatchObject({ status: 'queued', phase: 'evaluate' });
  });
});

describe('a predicate', () => {
  const reportOf = (world: World, outcome: Outcome): RunEvent => {
    const task = world.claim(world.in('queued')[0] ?? taskOf(world));
    return { type: 'ended', node: 0, item: -1, token: task.lease?.token ?? 0, outcome };
  };

  test('that says yes begins the first attempt in the same claim; no skips the task without one', () => {
    const world = worldOf({ when: true });
    world.apply([reportOf(world, yes)]);
    expect(taskOf(world)).toMatchObject({ status: 'running', phase: 'body', attempt: 1 });
    const other = worldOf({ when: true });
    other.apply([reportOf(other, { kind: 'verdict', verdict: false })]);
    expect(taskOf(other)).toMatchObject({ status: 'skipped', reason: 'condition', attempt: 0 });
    expect(other.end).toMatchObject({ status: 'success' });
  });

  test('is decided once: a second report of its verdict is refused', () => {
    const world = worldOf({ when: true });
    const event = reportOf(world, yes);
    world.apply([event]);
    expect(world.apply([event])).toMatchObject({ refused: [0], tasks: [] });
    expect(taskOf(world)).toMatchObject({ status: 'running', attempt: 1 });
  });

  test('is no body: while it is asked, no output is taken', () => {
    const world = worldOf({ when: true });
    const event = reportOf(world, { kind: 'ok', output: '1' });
    expect(world.apply([event])).toMatchObject({ refused: [0], tasks: [] });
  });

  test('that throws fails the task at once, without an attempt', () => {
    const world = worldOf({ when: true });
    world.apply([reportOf(world, { kind: 'refused', reason: 'definition_error', error: ERROR })]);
    expect(taskOf(world)).toMatchObject({ status: 'failed', reason: 'definition_error', attempt: 0 });
    expect(world.attempts).toEqual([]);
  });

  test('is asked again when its worker is lost, but not for ever when it kills it', () => {
    const world = worldOf({ when: true });
    for (let i = 0; i < 10; i++) end(world, lost(false));
    expect(taskOf(world)).toMatchObject({ status: 'queued', phase: 'evaluate', attempt: 0 });
    for (let i = 0; i < 3; i++) end(world, lost(true));
    expect(taskOf(world)).toMatchObject({ status: 'failed', reason: 'crash_loop' });
  });
});

describe('instants', () => {
  const timeout = { attemptMs: 60_000, queueMs: 1_000, totalMs: 5_000 };
  const due: RunEvent = { type: 'due', node: 0, item: -1 };

  test('a queue timeout fails a task that nobody claimed, not a moment early, and uses no attempt', () => {
    const world = worldOf({}, { timeout });
    world.now += 999;
    expect(world.apply([due]).refused).toEqual([0]);
    world.now += 1;
    world.apply([due]);
    expect(taskOf(world)).toMatchObject({ status: 'failed', reason: 'queue_timeout', attempt: 0 });
  });

  test('a retry that would start after the total deadline is none: total_timeout', () => {
    const world = worldOf({}, { timeout: { attemptMs: 60_000, totalMs: 100 } });
    end(world, { kind: 'error', error: ERROR, facts: { retryAfterMs: 101 } });
    expect(taskOf(world)).toMatchObject({ status: 'failed', reason: 'total_timeout' });
  });

  test('a task that was handed back is failed when its total deadline passes in the queue', () => {
    const world = worldOf({}, { timeout });
    end(world, handedBack());
    world.now += 4_999;
    expect(world.apply([due]).refused).toEqual([0]);
    world.now += 1;
    world.apply([due]);
    expect(taskOf(world)).toMatchObject({ status: 'failed', reason: 'total_timeout' });
  });
});
