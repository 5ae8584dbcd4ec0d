import { afterEach, describe, expect, test } from 'vitest';
import { createEngine, NonRetryableError, task, workflow, type Engine } from '../../src/index.ts';
import { silent } from './kit.ts';

const open: Engine[] = [];
afterEach(async () => {
  for (const engine of open.splice(0)) await engine.close();
});

const part = task({
  name: 'part',
  run: ({ n }: { n: number }) => {
    if (n === 2) throw new NonRetryableError('no', { code: 'TWO' });
    return n * 10;
  },
});
const flow = workflow({ name: 'flow' }, (w) => {
  const a = w.run(
    'a',
    {},
    (_, { attempt }) => {
      if (attempt === 1) throw new Error('once');
      return [1, 2, 3];
    },
    { retry: { maxAttempts: 2, initial: '1ms' } },
  );
  const all = w.map(a, part, (n) => ({ n }), { settle: true });
  const branch = w.when(
    a,
    () => false,
    () => w.run('never', {}, () => 1),
  );
  return { all, end: w.run('end', { b: w.optional(branch, 0) }, ({ b }) => b) };
});
const other = workflow({ name: 'other' }, (w) => w.run('x', {}, () => 1));

function engineWith(): Engine {
  const engine = createEngine({ store: 'sqlite::memory:', use: [flow, other], logger: silent });
  open.push(engine);
  return engine;
}

describe('a run is found', () => {
  test('by its id, the start of it, its key, or as the last one', async () => {
    const engine = engineWith();
    const first = await engine.start(flow, undefined, { key: 'k' });
    const second = await engine.start(other, undefined, { key: 'k' });
    const third = await engine.start(other);
    const find = async (text: string, workflowName?: string) =>
      (await engine.runs.find(text, workflowName === undefined ? {} : { workflow: workflowName })).id;
    expect(await find(first.id)).toBe(first.id);
    expect(await find(first.id.slice(0, 10))).toBe(first.id);
    expect(await find('k', 'other')).toBe(second.id);
    expect(await find('@last')).toBe(third.id);
    expect(await find('@last:flow')).toBe(first.id);
    expect(await find('@last', 'flow')).toBe(first.id);
    await expect(find('k')).rejects.toMatchObject({
      code: 'RUN_AMBIGUOUS',
      details: { candidates: [{ workflow: 'flow' }, { workflow: 'other' }] },
    });
    await expect(find(first.id.slice(0, 10), 'other')).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' });
  });

  test('by the start of its id only where no other begins with it', async () => {
    const engine = engineWith();
    const started = await engine.startMany(
      other,
      Array.from({ length: 1_100 }, () => ({ input: undefined })),
    );
    // Of more than 1,024 ids two begin with the same two characters.
    const starts = Map.groupBy(
      started.map(({ run }) => run?.id ?? ''),
      (id) => id.slice(0, 2),
    );
    const [shared = ''] = [...starts].find(([, ids]) => ids.length > 1) ?? [];
    await expect(engine.runs.find(shared)).rejects.toMatchObject({ code: 'RUN_AMBIGUOUS' });
    // One character is too few, whatever it finds.
    await expect(engine.runs.find(shared.slice(0, 1))).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' });
    await expect(engine.runs.find('')).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' });
    await expect(engine.runs.find("' OR 1=1 --")).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' });
  });
});

test('a run can be looked into: tasks in graph order, counts of maps, failed attempts, payloads', async () => {
  const engine = engineWith();
  await engine.work();
  const run = await engine.start(flow);
  await run.result();
  const { tasks, output, status } = await run.inspect({ items: true });
  expect([status, output]).toMatchObject(['partial', { end: 0 }]);
  expect(tasks.map(({ task: id, item, status: state }) => [id, item, state])).toEqual([
    ['a', undefined, 'success'],
    ['part', undefined, 'success'],
    ['part', 0, 'success'],
    ['part', 1, 'failed'],
    ['part', 2, 'success'],
    ['when', undefined, 'success'],
    ['never', undefined, 'skipped'],
    ['end', undefined, 'success'],
  ]);
  expect(tasks[0]).toMatchObject({
    kind: 'task',
    output: [1, 2, 3],
    attempts: [{ attempt: 1, outcome: 'error', error: { code: 'Error', message: 'once' } }],
  });
  expect(tasks[1]).toMatchObject({ kind: 'map', items: { total: 3, started: 3, ok: 2, failed: 1 }, attempts: [] });
  expect(tasks[3]).toMatchObject({ error: { code: 'TWO', message: 'no' }, attempts: [{ attempt: 1, reason: 'error' }] });
  expect((await run.inspect()).tasks.filter(({ item }) => item !== undefined)).toEqual([]);
});
