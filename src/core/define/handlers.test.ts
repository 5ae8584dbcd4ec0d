import { expect, describe, test } from 'vitest';
import { isPawlError } from '../errors.ts';
import type { Graph } from '../graph/graph.ts';
import { task } from './task.ts';
import { graphProblems } from '../graph/validate.ts';
import { workflow } from './workflow.ts';

const ok = (): number => 1;

function refusal(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (isPawlError(error, 'BUILD_INVALID')) return error.message;
    throw error;
  }
  return 'not refused';
}
const built = (build: Parameters<typeof workflow>[1], options: object = {}): string =>
  refusal(() => workflow({ name: 'case', ...options } as never, build as never));

const everything = workflow({ name: 'case', failurePolicy: 'drain', compensateOn: ['failed'], retry: { maxAttempts: 2 } }, (w) => {
  const stop = task({ name: 'stop', timeout: '1m', run: (n: number) => n });
  w.using('outer', { setup: ok, teardown: () => undefined, failRun: true }, (n) => {
    w.using('inner', { setup: ok, teardown: stop, after: [w.run('first', {}, ok)] }, () => {
      w.run('work', { n }, ok, { catch: () => 2, compensate: () => undefined });
    });
  });
  return {};
});

describe('handlers of a builder', () => {
  test('are tasks of the graph behind the task that they serve', () => {
    const roles = everything.graph.tasks.map(({ id, using, ...one }) => [
      id,
      using,
      one.kind === 'handler' ? `${one.role} ${one.of}` : one.kind,
    ]);
    expect(roles).toEqual([
      ['outer', undefined, 'task'],
      ['outer.teardown', undefined, 'teardown outer'],
      ['first', 'outer', 'task'],
      ['inner', 'outer', 'task'],
      ['inner.teardown', undefined, 'teardown inner'],
      ['work', 'inner', 'task'],
      ['work.catch', undefined, 'catch work'],
      ['work.compensate', undefined, 'compensation work'],
    ]);
    expect(everything.graph).toMatchObject({
      failurePolicy: 'drain',
      compensateOn: ['failed'],
      retry: { maxAttempts: 2, initialMs: 1_000, factor: 2, maxDelayMs: 300_000, jitter: 'full' },
    });
  });

  test('of a teardown have 5 minutes an attempt, unless the task or the bracket says otherwise', () => {
    const attempt = (id: string, flow = everything): unknown =>
      flow.graph.tasks.find((one) => one.id === id && 'contract' in one && one.contract.timeout.attemptMs);
    expect([attempt('outer.teardown'), attempt('inner.teardown')]).toMatchObject([
      { contract: { timeout: { attemptMs: 300_000 } } },
      { contract: { timeout: { attemptMs: 60_000 } } },
    ]);
  });

  test('come back from the graph as data', () => {
    const { tasks, output, failurePolicy, compensateOn, retry } = JSON.parse(JSON.stringify(everything.graph)) as Graph;
    const again = workflow.fromGraph({
      name: 'case',
      failurePolicy: failurePolicy ?? 'continue',
      compensateOn: compensateOn ?? [],
      retry: { maxAttempts: retry?.maxAttempts ?? 1 },
      use: [task({ name: 'stop', timeout: '1m', run: (n: number) => n })],
      tasks: tasks.map((one) => ({ ...one, ...('task' in one ? {} : { run: ok }) })) as never,
      output,
    });
    expect(again.graph).toEqual(everything.graph);
    expect([...again.code.keys()].toSorted()).toEqual([...everything.code.keys()].toSorted());
  });
});

describe('what is refused when a workflow is defined', () => {
  test('of the policy, the retry and the compensation of a workflow', () => {
    expect(built(() => ({}), { failurePolicy: 'stop' })).toMatch(/failurePolicy must be 'continue' or 'drain' or 'abort', not "stop"/);
    expect(built(() => ({}), { compensateOn: ['success'] })).toMatch(/compensateOn/);
    expect(built(() => ({}), { compensateOn: [] })).toMatch(/compensateOn/);
    expect(built(() => ({}), { compensateOn: ['failed', 'failed'] })).toMatch(/compensateOn/);
    expect(built(() => ({}), { retry: { maxAttempts: 0 } })).toMatch(/retry\.maxAttempts/);
    expect(built(() => ({}), { retry: { initial: -1 } })).toMatch(/retry\.initial/);
    expect(built(() => ({}), { retry: { on: [] } })).toMatch(/retry\.on: there is no such option/);
    expect(built(() => ({}), { retry: 3 })).toMatch(/retry: must be an object/);
  });

  test('of brackets and handlers', () => {
    expect(built((w) => w.using('db', { setup: ok } as never, () => undefined))).toMatch(
      /setup "db".*teardown must be a task or a function, not undefined/,
    );
    expect(built((w) => w.using('db', { setup: 1, teardown: ok } as never, () => undefined))).toMatch(/setup must be a task or a function/);
    expect(built((w) => w.using('db', { setup: ok, teardown: ok, grace: '0s', on: 1 } as never, () => undefined))).toMatch(
      /on: there is no such option[^]*timeout/,
    );
    expect(built((w) => w.using('db', { setup: ok, teardown: ok }, 'x' as never))).toMatch(/takes a function that makes the tasks inside/);
    expect(built((w) => w.using('db', { setup: ok, teardown: ok, failRun: 1 } as never, () => undefined))).toMatch(
      /failRun must be true or false/,
    );
    expect(built((w) => void w.run('a', {}, ok, { catch: 'x' } as never))).toMatch(/task "a".*catch must be a task or a function/);
    expect(built((w) => void w.run('a', {}, ok, { compensate: 1 } as never))).toMatch(/compensate must be a task or a function/);
    expect(built((w) => void w.map([1], task({ name: 'm', run: (n: number) => n }), (n) => n, { catch: ok } as never))).toMatch(
      /catch: there is no such option/,
    );
  });

  test('an id that a handler has already, with both lines', () => {
    const message = built((w) => {
      w.run('a.catch', {}, ok);
      w.run('a', {}, ok, { catch: ok });
    });
    expect(message).toMatch(/"a\.catch".*handlers\.test\.ts.*there is another task with this id, at .*handlers\.test\.ts/);
  });

  test('an async function of a bracket', () => {
    expect(() => built((w) => w.using('db', { setup: ok, teardown: ok }, async () => undefined))).toThrow(/async/);
  });

  const contract = everything.graph.tasks.flatMap((one) => ('contract' in one ? one.contract : []))[0];
  const data = (...tasks: readonly object[]): string =>
    graphProblems({
      format: 1,
      workflow: 'case',
      output: null,
      tasks: tasks.map((one) => ({ kind: 'task', contract, ...('of' in one ? {} : { input: {} }), ...one })),
    })
      .map((problem) => problem.message)
      .join('\n');
  const handler = { kind: 'handler', role: 'catch', of: 'a' };

  test('in data: what no builder makes', () => {
    expect(data({ id: 'a' }, { ...handler, id: 'h', of: 'b' })).toMatch(/of names "b", which is no task/);
    expect(data({ id: 'a' }, { ...handler, id: 'h', role: 'finally' })).toMatch(/role must be/);
    expect(data({ id: 'a' }, { ...handler, id: 'h' }, { ...handler, id: 'i' })).toMatch(/"a" has another catch already/);
    expect(data({ id: 'a' }, { ...handler, id: 'h' }, { ...handler, id: 'i', of: 'h' })).toMatch(/a catch cannot serve "h", a handler/);
    expect(data({ id: 'a' }, { ...handler, id: 'h' }, { id: 'b', after: ['h'] })).toMatch(/after names "h", a handler/);
    expect(data({ id: 'a' }, { ...handler, id: 'h' }, { id: 'b', input: { $ref: 'h' } })).toMatch(/input names "h", a handler/);
    expect(data({ id: 'a' }, { ...handler, id: 'h', failRun: true })).toMatch(/only a teardown has failRun/);
    expect(data({ id: 'a' }, { ...handler, id: 'h', after: ['a'] })).toMatch(/after is not known here/);
    expect(data({ id: 'a' }, { id: 'b', using: 'a' })).toMatch(/using names "a", which has no teardown/);
    expect(data({ id: 'a', using: 'a' }, { ...handler, id: 'h', role: 'teardown' })).toMatch(/a cycle: a → a/);
    expect(data({ id: 'a', after: ['b'] }, { ...handler, id: 'h', role: 'teardown' }, { id: 'b', using: 'a' })).toMatch(/a cycle/);
  });
});
