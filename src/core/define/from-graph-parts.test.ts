/** Graphs inside of graph data: what a builder emits for maps over a part of the graph, and for hooks, is taken with its code. */
import { describe, expect, test } from 'vitest';
import { task, workflow, type HookInput } from '../../index.ts';
import { testEngine } from '../../testing/index.ts';

/** Data from outside is untyped. */
type Any = ReturnType<typeof JSON.parse>;

const parsed = (graph: unknown): Any => JSON.parse(JSON.stringify(graph));
const problemsOf = (def: Any): string => {
  try {
    workflow.fromGraph(def);
  } catch (error) {
    return (error as Error).message;
  }
  return '';
};

describe('what a builder emits', () => {
  const told: string[] = [];
  const tell = task({
    name: 'tell',
    run: (hook: HookInput): void => {
      told.push(`tell ${hook.status}`);
    },
  });
  const note = (hook: HookInput): void => {
    told.push(`start ${hook.status}`);
  };
  const build = () =>
    workflow({ name: 'orders', onStart: note, onFinish: tell }, (w) => {
      const base = w.run('base', {}, () => 10);
      const list = w.map(
        [1, 2, 3],
        (w, item) => {
          const sum = w.run('sum', { item, base }, (input) => (input.item as number) + input.base);
          const size = w.when(
            sum,
            (n) => n > 12,
            () => w.run('large', {}, () => 'large'),
            () => w.run('small', {}, () => 'small'),
          );
          const inner = w.map([sum], (w, each) => w.run('twice', { each }, (input) => input.each * 2), { id: 'inner' });
          return { size, inner };
        },
        { key: (item) => item, concurrency: 2 },
      );
      return { list };
    });

  /** The emitted data with functions in it. */
  const withCode = (graph: Any): Any => {
    const bodies: Record<string, unknown> = {
      base: () => 10,
      sum: (input: Any) => input.item + input.base,
      large: () => 'large',
      small: () => 'small',
      twice: (input: Any) => input.each * 2,
      onStart: note,
    };
    const entry = (one: Any): Any => ({
      ...one,
      ...(one.kind === 'task' && one.task === undefined ? { run: bodies[one.id] } : {}),
      ...(one.kind === 'when' ? { test: (n: number) => n > 12 } : {}),
      ...(one.graph === undefined ? {} : { graph: part(one.graph) }),
    });
    const part = (one: Any): Any => ({ ...one, tasks: one.tasks.map(entry) });
    const { tasks, output, hooks } = part(graph);
    const all = Object.fromEntries(Object.entries(hooks).map(([hook, one]) => [hook, part(one)]));
    return { name: 'orders', tasks, output, hooks: all, use: [tell] };
  };

  test('is taken as data with code, and is the same graph', () => {
    const made = build();
    const again = workflow.fromGraph(withCode(parsed(made.graph)));
    expect(parsed(again.graph)).toEqual(parsed(made.graph));
    expect([...(again.hooks?.keys() ?? [])]).toEqual(['onStart', 'onFinish']);
  });

  test('and runs as the workflow does, with its hooks, after a crash too', async () => {
    const results: unknown[] = [];
    for (const one of [build(), workflow.fromGraph(withCode(parsed(build().graph)))]) {
      told.length = 0;
      const kit = testEngine({ use: [one] });
      kit.crash({ task: 'twice' });
      const run = await kit.start(one);
      await kit.clock.advance('1m');
      results.push([await run.result(), told.toSorted()]);
      await kit.close();
    }
    const list = ['small', 'small', 'large'].map((size, i) => ({ size, inner: [2 * (11 + i)] }));
    expect(results[0]).toEqual([{ list }, ['start running', 'tell success']]);
    expect(results[1]).toEqual(results[0]);
  });

  test('members of a branch inside may be left out, as outside', () => {
    const data = withCode(parsed(build().graph));
    const map = data.tasks.find((one: Any) => one.graph !== undefined);
    for (const one of map.graph.tasks) for (const side of one.cases ?? []) delete side.members;
    expect(parsed(workflow.fromGraph(data).graph)).toEqual(parsed(build().graph));
  });
});

describe('a graph inside that is at fault', () => {
  const map = (graph: unknown, more: object = {}) => ({
    name: 'outer',
    tasks: [{ id: 'each', kind: 'map', items: [1], each: { item: { $item: [] } }, graph, ...more }],
  });
  const good = { tasks: [{ id: 'a', run: () => 1 }], output: { $ref: 'a' } };

  test('is good as it is', () => {
    expect(problemsOf(map(good))).toBe('');
    expect(problemsOf(map({ ...good, format: 1, workflow: 'outer/each' }))).toBe('');
  });

  test.each<[string, unknown, RegExp]>([
    ['no code', map({ tasks: [{ id: 'a' }] }), /task "each": task "a": it needs a task, or run: a function/],
    ['no graph', map(7), /graph must be a graph, not 7/],
    ['no list', map({ tasks: 7 }), /tasks must be a list/],
    ['no tasks', map({}), /tasks must be a list/],
    ['another name', map({ ...good, workflow: 'other' }), /graph\.workflow must be "outer\/each", not "other"/],
    ['another format', map({ ...good, format: 2 }), /format must be 1/],
    ['hooks of its own', map({ ...good, hooks: {} }), /task "each": hooks is not known here/],
    ['a timeout of its own', map({ ...good, timeoutMs: 5 }), /task "each": timeoutMs is not known here/],
    ['an unknown id', map({ tasks: [{ id: 'a', run: () => 1, after: ['b'] }] }), /after names "b", which is no task/],
    ['an output from outside', map({ ...good, output: { $ref: 'each' } }), /reads "each", which is no task/],
    ['a predicate that is none', map(good, { when: true }), /when must be a predicate over the input, not true/],
    ['a task too', map(good, { task: 'x' }), /it has a task already/],
    ['a retry of its own', map(good, { retry: { maxAttempts: 2 } }), /retry is not known here/],
    ['detached', map(good, { detached: true }), /a part of the graph cannot be detached/],
    [
      'a hook without code',
      { name: 'outer', tasks: [], hooks: { onFinish: { tasks: [{ id: 'a' }] } } },
      /onFinish: task "a": it needs a task/,
    ],
    ['an unknown hook', { name: 'outer', tasks: [], hooks: { onEnd: good } }, /hooks\.onEnd is not known here/],
    ['hooks that are none', { name: 'outer', tasks: [], hooks: 7 }, /hooks must be an object, not 7/],
    ['a hook that is no graph', { name: 'outer', tasks: [], hooks: { onFinish: null } }, /hooks\.onFinish must be a graph/],
    [
      'a hook given twice',
      { name: 'outer', tasks: [], onFinish: () => undefined, hooks: { onFinish: good } },
      /onFinish is given twice, as an option and in hooks/,
    ],
    [
      'a key of the prototype',
      JSON.parse('{"name":"outer","tasks":[],"hooks":{"__proto__":{"tasks":[]}}}'),
      /hooks\.__proto__ is not known/,
    ],
  ])('is refused: %s', (_, def, wanted) => {
    expect(problemsOf(def)).toMatch(wanted);
  });

  test('is refused where it stands in itself, or in too many places, at once', () => {
    const self: Any = { tasks: [] };
    for (let i = 0; i < 8; i++) self.tasks.push({ id: `m${i}`, kind: 'map', items: [1], each: null, graph: self });
    expect(problemsOf(map(self))).toMatch(/maps are nested deeper than 16/);
    let wide: Any = good;
    for (let depth = 0; depth < 8; depth++) {
      const graph = wide;
      wide = { tasks: Array.from({ length: 8 }, (_, i) => ({ id: `m${i}`, kind: 'map', items: [1], each: null, graph })) };
    }
    expect(problemsOf(map(wide))).toMatch(/over 100000 tasks, all together/);
    let deep: Any = { tasks: [] };
    for (let i = 0; i < 5_000; i++) deep = { tasks: [{ id: 'm', kind: 'map', items: [1], each: null, graph: deep }] };
    expect(problemsOf(map(deep))).toMatch(/maps are nested deeper than 16/);
  });
});
