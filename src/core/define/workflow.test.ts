import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { PawlError } from '../errors.ts';
import { task } from './task.ts';
import type { RefBase } from '../types/types.ts';
import type { Problem } from '../graph/validate.ts';
import { workflow } from './workflow.ts';

type Any = ReturnType<typeof JSON.parse>;

const load = task({ name: 'load', input: z.object({ id: z.string() }), run: async ({ id }) => ({ id, total: 5, lines: [{ sku: 'a' }] }) });
const text = task({ name: 'text', run: async (i: { s: string }) => i.s });

/** The problems of a builder without types: what a JavaScript user or a cast can write. */
function problemsOf(build: (w: Any, input: Any) => unknown): readonly Problem[] {
  try {
    workflow({ name: 'order', input: z.object({ id: z.string() }) }, build as Any);
  } catch (error) {
    const { code, details } = error as PawlError;
    if (code !== 'BUILD_INVALID') throw error;
    return details['problems'] as readonly Problem[];
  }
  return [];
}

const codesOf = (build: (w: Any, input: Any) => unknown): string[] => problemsOf(build).map((problem) => problem.code);
const shape = (graph: { tasks: readonly object[] }): object[] => graph.tasks.map(({ contract: _contract, ...rest }: Any) => rest);

describe('a builder', () => {
  test('becomes a graph: reads are expressions, options are data, functions are kept aside', () => {
    const big = (v: { total: number }): boolean => v.total > 100;
    const note = (): string => 'x';
    const made = workflow({ name: 'order', version: 'v1', input: z.object({ id: z.string() }), timeout: '1d' }, (w, input) => {
      const o = w.run(load, { id: input.id }, { retry: { maxAttempts: 7 }, timeout: '5s', priority: 2 });
      const all = w.map(o.lines, text, (line) => ({ s: line.sku }), {
        key: (line) => line.sku,
        concurrency: 3,
        settle: true,
        tolerate: { ratio: 0.5 },
      });
      const sent = w.run('note', { o, at: new Date(0) }, note, {
        id: 'note-2',
        after: [all],
        join: 'none_failed',
        when: () => true,
        allowFailure: true,
      });
      return { id: o.id, sent: w.optional(sent, 'none'), all };
    });
    expect(made).toMatchObject({ kind: 'workflow', name: 'order', version: 'v1' });
    expect(made.graph).toMatchObject({ format: 1, workflow: 'order', timeoutMs: 86_400_000, inputSchema: { type: 'object' } });
    expect(made.graph.output).toEqual({
      id: { $ref: 'load', path: ['id'] },
      sent: { $optional: { $ref: 'note-2' }, default: 'none' },
      all: { $ref: 'text' },
    });
    expect(shape(made.graph)).toEqual([
      { id: 'load', kind: 'task', task: 'load', input: { id: { $input: ['id'] } } },
      {
        id: 'text',
        kind: 'map',
        task: 'text',
        items: { $ref: 'load', path: ['lines'] },
        each: { s: { $item: ['sku'] } },
        key: { $item: ['sku'] },
        concurrency: 3,
        settle: true,
        tolerate: { ratio: 0.5 },
        maxItems: 10_000,
        onEmpty: 'success',
      },
      {
        id: 'note-2',
        kind: 'task',
        input: { o: { $ref: 'load' }, at: { $value: '{"$tags":{"":"Date"},"$value":"1970-01-01T00:00:00.000Z"}' } },
        after: ['text'],
        join: 'none_failed',
        when: true,
        allowFailure: true,
      },
    ]);
    expect(made.graph.tasks[0]).toMatchObject({
      contract: { priority: 2, timeout: { attemptMs: 5_000 }, retry: { maxAttempts: 7 }, inputSchema: {} },
    });
    expect(made.code.get('load')).toMatchObject({ task: load, run: load.run, input: load.input, rules: [] });
    expect(made.code.get('note-2')).toMatchObject({ run: note, when: expect.any(Function) });
    expect(JSON.parse(JSON.stringify(made.graph))).toEqual(made.graph);
    expect(big({ total: 1 })).toBe(false);
  });

  test('makes of a when its decision, the tasks of its branches and its result', () => {
    const made = workflow({ name: 'order' }, (w) => {
      const o = w.run(load, { id: 'a' });
      const result = w.when(
        o,
        (v) => v.total > 1,
        () => {
          const first = w.run('first', { o }, () => 1);
          const second = w.run('second', { first }, () => 2);
          w.run('alone', {}, () => 3);
          const inner = w.when(
            { first },
            () => true,
            () => w.run('deep', { first }, () => 4),
            { id: 'inner' },
          );
          return { first, second, inner: w.optional(inner) };
        },
        () => 'no',
        { after: [o] },
      );
      return result;
    });
    expect(shape(made.graph)).toEqual([
      { id: 'load', kind: 'task', task: 'load', input: { id: 'a' } },
      { id: 'when', kind: 'when', input: { $ref: 'load' }, after: ['load'] },
      { id: 'first', kind: 'task', input: { o: { $ref: 'load' } }, if: { when: 'when', is: true } },
      { id: 'second', kind: 'task', input: { first: { $ref: 'first' } }, if: { when: 'when', is: true } },
      { id: 'alone', kind: 'task', input: {}, if: { when: 'when', is: true } },
      { id: 'inner', kind: 'when', input: { first: { $ref: 'first' } }, if: { when: 'when', is: true } },
      { id: 'deep', kind: 'task', input: { first: { $ref: 'first' } }, if: { when: 'inner', is: true } },
      {
        id: 'inner.result',
        kind: 'branch',
        when: 'inner',
        cases: [{ is: true, value: { $ref: 'deep' }, members: ['deep'] }],
        if: { when: 'when', is: true },
      },
      {
        id: 'when.result',
        kind: 'branch',
        when: 'when',
        cases: [
          {
            is: true,
            value: { first: { $ref: 'first' }, second: { $ref: 'second' }, inner: { $optional: { $ref: 'inner.result' } } },
            members: ['first', 'second', 'alone', 'inner.result'],
          },
          { is: false, value: 'no', members: [] },
        ],
      },
    ]);
    expect(made.graph.output).toEqual({ $ref: 'when.result' });
    expect(made.code.get('when')?.when?.({ total: 2 })).toBe(true);
  });

  test('has all that the value of a branch reads among its members, since its result waits for these only', () => {
    const { graph } = workflow({ name: 'order' }, (w) => {
      const outside = w.run('outside', {}, () => 1);
      const test = (): boolean => true;
      return w.when(
        {},
        test,
        () => ({ outside, inside: w.run('inside', {}, () => 2) }),
        () => outside,
      );
    });
    expect(graph.tasks.at(-1)).toMatchObject({ cases: [{ members: ['inside', 'outside'] }, { members: ['outside'] }] });
  });

  test('reads parts of optional and settled values', () => {
    const { graph } = workflow({ name: 'order' }, (w) => {
      const o = w.run(load, { id: 'a' }, { when: () => true });
      const either = w.optional(o, { id: 'none', total: 0, lines: [{ sku: 'z' }] });
      const { s } = w.settle({ s: o.total });
      return { id: either.id, sku: either.lines[0].sku, n: either.lines.length, again: w.optional(either), status: s.status };
    });
    const whole = { $optional: { $ref: 'load' }, default: { id: 'none', total: 0, lines: [{ sku: 'z' }] } };
    expect(graph.output).toEqual({
      id: { $optional: { $ref: 'load', path: ['id'] }, default: 'none' },
      sku: { $optional: { $ref: 'load', path: ['lines', 0, 'sku'] }, default: 'z' },
      n: { $optional: { $ref: 'load', path: ['lines', 'length'] }, default: 1 },
      again: whole,
      status: { $settle: { $ref: 'load', path: ['total'] }, path: ['status'] },
    });
  });

  test('may be empty, and may return nothing', () => {
    expect(workflow({ name: 'empty' }, () => {}).graph).toEqual({ format: 1, workflow: 'empty', tasks: [], output: { $undefined: true } });
  });

  test('quotes literals that look like forms, and drops properties that are undefined', () => {
    const { graph } = workflow({ name: 'order' }, (w) => ({
      f: { $ref: 'x' },
      u: undefined,
      r: w.run('a', { u: undefined, v: 1 }, () => 1),
    }));
    expect(graph.output).toEqual({ f: { $value: '{"$ref":"x"}' }, r: { $ref: 'a' } });
    expect(graph.tasks[0]).toMatchObject({ input: { v: 1 } });
  });
});

describe('a builder is refused', () => {
  test('for a second use of an id, naming both lines', () => {
    const [problem, ...rest] = problemsOf((w) => {
      w.run('a', {}, () => 1);
      w.run('a', {}, () => 1);
    });
    expect(rest).toEqual([]);
    expect(problem).toMatchObject({ code: 'duplicate_id' });
    expect(problem?.message).toMatch(
      /^task "a" \(workflow\.test\.ts:(\d+):\d+\): there is another task with this id, at workflow\.test\.ts:(?!\1:)\d+:\d+;/,
    );
  });

  test('with all its problems at once', () => {
    expect(
      codesOf((w, input) => {
        const a = w.run(load, { id: input.id }, { afer: 1, retry: { factor: 0 } });
        w.run(load, { id: () => 1 });
        w.run('b', { a }, 5, { join: 'most', after: [input.id, 7] });
        w.run('c', {}, () => 1, { after: [a], join: 'at_least(2)' });
        w.map(a.lines, 'text', () => ({}));
        w.map([1], text, () => ({ s: 'a' }), {
          maxItems: 0,
          tolerate: { count: -1, ratio: 1.001 },
          concurrency: 1.5,
          onEmpty: 'fail',
          settle: 'yes',
        });
        w.run('\n', {}, () => 1);
        return { f: () => 1 };
      }).toSorted(),
    ).toEqual([
      'bad_at_least',
      'bad_name',
      'bad_option',
      'bad_option',
      'bad_option',
      'bad_option',
      'bad_option',
      'bad_option',
      'bad_option',
      'bad_type',
      'bad_type',
      'bad_type',
      'bad_type',
      'duplicate_id',
      'not_storable',
      'not_storable',
      'unknown_join',
      'unknown_task',
    ]);
  });

  test.each<[string, (w: Any, o: Any) => unknown]>([
    ['a task', (w, o) => w.run('x', { s: o }, () => 1)],
    ['the items of a map', (w, o) => w.map(o, text, () => ({ s: 'a' }))],
    ['the input of an item', (w, o) => w.map([1], text, () => ({ s: o }))],
    [
      'a when',
      (w, o) =>
        void w.when(
          o,
          () => true,
          () => 1,
        ),
    ],
    [
      'the value of a branch',
      (w, o) =>
        w.optional(
          w.when(
            {},
            () => true,
            () => o,
          ),
        ),
    ],
    ['the output', (_w, o) => o],
  ])('where %s reads plainly what may be skipped', (_name, read) => {
    const maybes: ((w: Any) => unknown)[] = [
      (w) =>
        w.when(
          {},
          () => true,
          () => 1,
          { id: 'maybe' },
        ),
      (w) => w.run('maybe', {}, () => 1, { when: () => true }),
      (w) => w.run('maybe', {}, () => 1, { after: [w.run('z', {}, () => 1)], join: 'one_success' }),
      (w) => w.map([1], text, () => ({ s: 'a' }), { id: 'maybe', onEmpty: 'skip' }),
      (w) => {
        let inner: unknown;
        w.when(
          {},
          () => true,
          () => void (inner = w.run('maybe', {}, () => 1)),
          { id: 'outer' },
        );
        return inner;
      },
    ];
    for (const maybe of maybes) {
      expect(codesOf((w) => read(w, maybe(w)))).toEqual(['maybe_ref']);
      expect(codesOf((w) => read(w, w.optional(maybe(w))))).toEqual([]);
    }
  });

  test('where one branch reads a task of the other', () => {
    let inner: Any;
    const read = (w: Any): unknown => w.run('b', { inner }, () => 1);
    expect(
      codesOf((w) =>
        w.when(
          {},
          () => true,
          () => (inner = w.run('a', {}, () => 1)),
          () => read(w),
        ),
      ),
    ).toEqual(['maybe_ref']);
  });

  test('where it uses a ref of another workflow', () => {
    let other: Any;
    workflow({ name: 'other' }, (w) => void (other = w.run('a', {}, () => ({ n: 1 }))));
    expect(codesOf((w) => w.run('b', { n: other.n }, () => 1, { after: [other] }))).toEqual(['foreign_ref', 'foreign_ref']);
    expect(codesOf((w) => w.optional(other))).toEqual(['foreign_ref']);
    expect(codesOf((w) => w.settle({ other }).other)).toEqual(['foreign_ref']);
  });

  test('where it uses an item outside its map, or makes a task inside', () => {
    let item: RefBase<unknown> | undefined;
    expect(
      codesOf((w) => {
        w.map([1], text, (each: Any) => ({ s: (item = each) }));
        w.run('b', { item }, () => 1);
        w.map([1], text, () => ({ s: item }), { id: 'second' });
      }),
    ).toEqual(['item_outside', 'item_outside', 'item_outside']);
    expect(codesOf((w) => w.map([1], text, () => ({ s: w.run('x', {}, () => 1) })))).toEqual(['item_outside']);
  });

  test('where it runs a workflow, or no task at all', () => {
    const child = workflow({ name: 'child' }, () => 1);
    expect(problemsOf((w) => w.run(child, {}))).toEqual([]);
    expect(codesOf((w) => w.run(undefined, {}))).toEqual(['unknown_task']);
    expect(codesOf((w) => w.run('a'))).toEqual(['bad_type']);
    expect(codesOf((w) => void w.when(1, 2, 3))).toEqual(['bad_type', 'bad_type']);
    expect(codesOf((w) => [w.settle(5), w.settle({ a: 1 }), w.optional(1)])).toEqual(['bad_type', 'bad_type', 'bad_type']);
  });

  test('where join always reads data', () => {
    expect(codesOf((w) => w.run('b', { a: w.run('a', {}, () => 1) }, () => 1, { join: 'always', id: 'b' }))).toEqual(['always_reads']);
  });

  test.each<[string, (w: Any) => unknown]>([
    ['itself', async () => 1],
    [
      'in a branch',
      (w) =>
        w.when(
          {},
          () => true,
          async () => 1,
        ),
    ],
    ['in an item', (w) => w.map([1], text, async () => ({ s: 'a' }))],
  ])('where it is async %s', (_name, build) => {
    expect(() => workflow({ name: 'a' }, build as Any)).toThrow(expect.objectContaining({ code: 'BUILD_ASYNC' }));
  });

  test('when it is used after its end', () => {
    let late: Any;
    workflow({ name: 'a' }, (w) => void (late = w));
    expect(() => late.run('b', {}, () => 1)).toThrow(/after the builder of workflow "a" had returned/);
  });

  test('for objects that hold themselves or start with a $ key and hold refs', () => {
    expect(
      codesOf((w) => {
        const a = w.run('a', {}, () => 1);
        const self: Any = { a };
        self.self = self;
        return { self, where: { $gt: a } };
      }),
    ).toEqual(['not_storable', 'bad_expr']);
  });

  test.each([
    undefined,
    null,
    5,
    [],
    {},
    { name: 5 },
    { name: 'a', timeout: 'x' },
    { name: 'a', input: {} },
    { name: 'a', version: '' },
    { name: 'a', zoo: 1 },
  ])('for the options %j', (def) => {
    expect(() => workflow(def as Any, () => 1)).toThrow(expect.objectContaining({ code: 'BUILD_INVALID' }));
  });
});

describe('a workflow from data', () => {
  test('is the same as one from a builder', () => {
    const built = workflow({ name: 'order', input: z.object({ id: z.string() }) }, (w, input) => {
      const o = w.run(load, { id: input.id }, { timeout: '5s' });
      const m = w.map(o.lines, text, (line) => ({ s: line.sku }));
      const r = w.when(
        o,
        () => true,
        () => w.run('x', {}, () => 1),
      );
      return { m, r: w.optional(r) };
    });
    const given = workflow.fromGraph({
      name: 'order',
      input: z.object({ id: z.string() }),
      use: [text],
      tasks: [
        { task: load, input: { id: { $input: ['id'] } }, timeout: '5s' },
        { kind: 'map', task: 'text', items: { $ref: 'load', path: ['lines'] }, each: { s: { $item: ['sku'] } } },
        { kind: 'when', id: 'when', input: { $ref: 'load' }, test: () => true },
        { id: 'x', run: () => 1, if: { when: 'when', is: true } },
        { kind: 'branch', id: 'when.result', when: 'when', cases: [{ is: true, value: { $ref: 'x' } }] },
      ],
      output: { m: { $ref: 'text' }, r: { $optional: { $ref: 'when.result' } } },
    });
    expect(given.graph).toEqual(built.graph);
    expect([...given.code.keys()]).toEqual([...built.code.keys()]);
    expect(given.code.get('load')).toMatchObject({ task: load, run: load.run });
  });

  const refusedData = (tasks: unknown, rest: object = {}): string[] => {
    try {
      workflow.fromGraph({ name: 'a', tasks, ...rest } as Any);
    } catch (error) {
      const { code, details } = error as PawlError;
      if (code === 'BUILD_INVALID') return (details['problems'] as Problem[]).map((problem) => problem.code);
      throw error;
    }
    return [];
  };
  const body = (id: string, more: object = {}): object => ({ id, run: () => 1, ...more });

  test.each<[string, unknown, object, string[]]>([
    ['a cycle', [body('a', { after: ['b'] }), body('b', { after: ['a'] })], {}, ['cycle']],
    ['an unknown id', [body('a', { after: ['b'] })], {}, ['unknown_id']],
    ['an id twice', [body('a'), body('a')], {}, ['duplicate_id']],
    ['an unknown join', [body('a', { join: 'invalid' })], {}, ['unknown_join']],
    ['a task that is not in use', [{ id: 'a', task: 'b' }], {}, ['unknown_task']],
    ['a task in use that is none', [], { use: [1] }, ['unknown_task']],
    ['no task and no function', [{ id: 'a' }], {}, ['bad_type']],
    ['a task and a function', [{ task: text, run: () => 1 }], {}, ['bad_type']],
    ['no list', 5, {}, ['bad_type']],
    ['no object in the list', [null, 5], {}, ['bad_type', 'bad_type']],
    ['an unknown option', [body('a', { afer: [] })], {}, ['bad_option']],
    [
      'a member of another branch',
      [
        { kind: 'when', id: 'w', input: 1, test: () => true },
        body('a'),
        { kind: 'branch', id: 'r', when: 'w', cases: [{ is: true, value: 1, members: ['a'] }] },
      ],
      {},
      ['bad_branch'],
    ],
  ])('is refused for %s', (_name, tasks, rest, codes) => {
    expect(refusedData(tasks, rest)).toEqual(codes);
  });

  test('prints the path of a cycle', () => {
    expect(() =>
      workflow.fromGraph({
        name: 'a',
        tasks: [body('a', { after: ['c'] }), body('b', { after: ['a'] }), body('c', { after: ['b'] })] as Any,
      }),
    ).toThrow(/a cycle: a → b → c → a/);
  });
});
