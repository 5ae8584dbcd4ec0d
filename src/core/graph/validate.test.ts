import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cyclesOf, unreached } from './graph-cycles.ts';
import { task } from '../define/task.ts';
import { graphProblems } from './validate.ts';

type Any = ReturnType<typeof JSON.parse>;

const { contract } = task({ name: 'x', run: () => 1 });
const body = (id: string, more: object = {}): object => ({ id, kind: 'task', input: {}, contract, ...more });
const graphOf = (tasks: unknown, more: object = {}): object => ({ format: 1, workflow: 'a', tasks, output: null, ...more });
const codesOf = (graph: unknown): string[] => graphProblems(graph).map((problem) => problem.code);
const reads = (...ids: string[]): object => ({ input: ids.map(($ref) => ({ $ref })) });

function nested(depth: number): unknown {
  let value: unknown = 1;
  for (let i = 0; i < depth; i++) value = i % 2 ? [value] : { a: value };
  return value;
}

describe('a graph', () => {
  test('that a builder could have made has no problems', () => {
    const tasks = [body('a'), body('b', reads('a')), body('c', { after: ['a', 'b'], join: 'at_least(2)' })];
    expect(graphProblems(graphOf(tasks, { output: { b: { $ref: 'b', path: ['x', 0] } } }))).toEqual([]);
  });

  test.each<[string, unknown, string[]]>([
    ['an unknown upstream', [body('a', { after: ['x'] })], ['unknown_id']],
    ['a read of nothing', [body('a', reads('x'))], ['unknown_id']],
    ['the same id twice', [body('a'), body('b'), body('a')], ['duplicate_id']],
    ['an unknown join', [body('a', { join: 'invalid' })], ['unknown_join']],
    ['at_least(0)', [body('a'), body('b', { after: ['a'], join: 'at_least(0)' })], ['bad_at_least']],
    ['at_least(-1)', [body('a'), body('b', { after: ['a'], join: 'at_least(-1)' })], ['bad_at_least']],
    ['at_least of more than there are', [body('a'), body('b', { after: ['a', 'a'], join: 'at_least(2)' })], ['bad_at_least']],
    ['at_least that is no number', [body('a', { join: 'at_least(x)' })], ['unknown_join']],
    ['at_least over reads and order', [body('a'), body('b'), body('c', { ...reads('a'), after: ['b'], join: 'at_least(2)' })], []],
    ['at_least over settled reads', [body('a'), body('c', { input: { $settle: { $ref: 'a' } }, join: 'at_least(1)' })], []],
    ['always that reads', [body('a'), body('b', { ...reads('a'), join: 'always' })], ['always_reads']],
    ['always that only comes after', [body('a'), body('b', { after: ['a'], join: 'always' })], []],
    ['a task after itself', [body('a', { after: ['a'] })], ['cycle']],
    [
      'what hangs on a cycle only',
      [body('a', reads('b')), body('b', reads('a')), body('c', reads('b')), body('d')],
      ['cycle', 'unreachable'],
    ],
    ['two cycles', [body('a', reads('a')), body('b', reads('c')), body('c', reads('b'))], ['cycle', 'cycle']],
    ['an if of no when', [body('a'), body('b', { if: { when: 'a', is: true } })], ['bad_branch']],
    [
      'a branch whose value reads what it does not wait for',
      [
        body('a'),
        { id: 'w', kind: 'when', input: 1 },
        { id: 'r', kind: 'branch', when: 'w', cases: [{ is: true, value: { $ref: 'a' }, members: [] }] },
      ],
      ['missing_member'],
    ],
    ['an if of itself', [body('a', { if: { when: 'a', is: true } })], ['cycle', 'bad_branch']],
  ])('with %s', (_name, tasks, codes) => {
    expect(codesOf(graphOf(tasks))).toEqual(codes);
  });

  test('shows the path of each cycle in the direction of the flow', () => {
    const tasks = [body('a', { after: ['c'] }), body('b', { after: ['a'] }), body('c', { after: ['b'] }), body('d', { after: ['c', 'd'] })];
    expect(graphProblems(graphOf(tasks)).map((problem) => problem.message)).toEqual(['a cycle: a → b → c → a', 'a cycle: d → d']);
  });

  test('of a hundred thousand tasks in a row is checked', () => {
    const tasks = Array.from({ length: 100_000 }, (_, i) => body(`t${i}`, i === 0 ? {} : reads(`t${i - 1}`)));
    expect(graphProblems(graphOf(tasks))).toEqual([]);
    const ring = graphProblems(graphOf([...tasks.slice(1), body('t0', { after: ['t99999'] })]));
    expect(ring.map((problem) => problem.code)).toEqual(['cycle']);
    expect(ring[0]?.message.length).toBeLessThan(400);
  });

  test.each<[string, unknown]>([
    ['no graph', null],
    ['a number', 5],
    ['a list', []],
    ['no tasks', { format: 1, workflow: 'a', output: null }],
    ['another format', graphOf([], { format: 2 })],
    ['no name', graphOf([], { workflow: '' })],
    ['no output', { format: 1, workflow: 'a', tasks: [] }],
    ['a timeout of nothing', graphOf([], { timeoutMs: 0 })],
    ['something else in it', graphOf([], { nodes: [] })],
    ['null as a task', graphOf([null])],
    ['a task of no kind', graphOf([{ id: 'a' }])],
    ['a task of a kind like a prototype', graphOf([{ id: 'a', kind: 'constructor' }])],
    ['a number as id', graphOf([{ ...body('a'), id: 5 }])],
    ['a control character in an id', graphOf([body('a\n')])],
    ['a text as after', graphOf([body('a', { after: 'b' })])],
    ['numbers in after', graphOf([body('a', { after: [5] })])],
    ['half a contract', graphOf([body('a', { contract: { effects: 'none' } })])],
    ['no attempts', graphOf([body('a', { contract: { ...contract, retry: { ...contract.retry, maxAttempts: 0 } } })])],
    ['an endless timeout', graphOf([body('a', { contract: { ...contract, timeout: { attemptMs: Infinity } } })])],
    ['when: false', graphOf([body('a', { when: false })])],
    ['an unknown form', graphOf([body('a', { input: { $env: 'HOME' } })])],
    ['more beside a form', graphOf([body('a', { input: { $input: [], default: 1 } })])],
    ['a path that is none', graphOf([body('a', { input: { $input: ['a', {}] } })])],
    ['a ref of a number', graphOf([body('a', { input: { $ref: 5 } })])],
    ['a stored text that is none', graphOf([body('a', { input: { $value: '{' } })])],
    ['an item outside a map', graphOf([body('a', { input: { $item: [] } })])],
    ['a Date', graphOf([body('a', { input: { at: new Date() } })])],
    ['a function', graphOf([body('a', { input: () => 1 })])],
    ['NaN', graphOf([body('a', { input: NaN })])],
    ['a hole', graphOf([body('a', { input: Array.from({ length: 2 }) })])],
    ['something deep', graphOf([body('a', { input: nested(100_000) })])],
    ['something endless', graphOf(Object.assign([], { length: 4_000_000_000 }))],
    [
      'a getter that throws',
      graphOf([
        Object.defineProperty({}, 'id', {
          enumerable: true,
          get: () => {
            throw new Error('no');
          },
        }),
      ]),
    ],
  ])('is refused where there is %s', (_name, graph) => {
    expect(graphProblems(graph).length).toBeGreaterThan(0);
  });

  test.each<[string, object]>([
    ['count below 0', { tolerate: { count: -1 } }],
    ['count that is no whole number', { tolerate: { count: 0.5 } }],
    ['ratio below 0', { tolerate: { ratio: -0.01 } }],
    ['ratio above 1', { tolerate: { ratio: 1.001 } }],
    ['ratio that is a text', { tolerate: { ratio: 'x' } }],
    ['concurrency 0', { concurrency: 0 }],
    ['concurrency 1.5', { concurrency: 1.5 }],
    ['maxItems 0', { maxItems: 0 }],
    ['settle: false', { settle: false }],
    ['onEmpty fail', { onEmpty: 'fail' }],
  ])('is refused where a map has %s', (_name, options) => {
    const map = { id: 'm', kind: 'map', task: 't', items: [1], each: { $item: [] }, maxItems: 1, onEmpty: 'success', contract };
    expect(graphProblems(graphOf([map]))).toEqual([]);
    expect(codesOf(graphOf([{ ...map, tolerate: { count: 0, ratio: 1 }, concurrency: 1 }]))).toEqual([]);
    expect(graphProblems(graphOf([{ ...map, ...options }]))).toHaveLength(1);
  });

  test('may have ids like the names of prototypes', () => {
    const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty'];
    expect(codesOf(graphOf(names.map((id) => body(id))))).toEqual([]);
    expect(codesOf(graphOf([body('a', { after: names })]))).toEqual(names.map(() => 'unknown_id'));
    expect(codesOf(graphOf([body('__proto__'), body('a', reads('__proto__'))]))).toEqual([]);
  });

  test('that holds itself, or the same part very often, is refused without an endless walk', () => {
    const self: Any = [];
    self.push(self, self);
    expect(codesOf(graphOf([body('a', { input: self })]))).toContain('too_large');
    let doubled: unknown = 1;
    for (let i = 0; i < 60; i++) doubled = [doubled, doubled];
    expect(codesOf(graphOf([body('a', { input: doubled })]))).toContain('too_large');
  });
});

test('no value makes the check throw, whatever stands where in a graph', () => {
  const values = fc.oneof(
    fc.anything({ withBigInt: true, withDate: true, withMap: true, withNullPrototype: true, withObjectString: true, maxDepth: 3 }),
    fc.constantFrom('a', 'b', '__proto__', 'task', 'map', true),
  );
  const good = JSON.stringify(
    graphOf([
      body('a'),
      body('b', { ...reads('a'), join: 'all_done', after: ['a'] }),
      { id: 'w', kind: 'when', input: { $ref: 'a' } },
      body('c', { if: { when: 'w', is: true } }),
      { id: 'r', kind: 'branch', when: 'w', cases: [{ is: true, value: { $ref: 'c' }, members: ['c'] }] },
      { id: 'g', kind: 'guard' },
      { id: 's', kind: 'switch', input: { $ref: 'a' }, cases: ['x', 'y'], default: 'skip' },
      body('d', { if: { when: 's', is: 'x' } }),
      { id: 'sr', kind: 'branch', when: 's', cases: [{ is: 'x', value: { $ref: 'd' }, members: ['d'] }] },
      { id: 'f', kind: 'first', parts: [{ name: 'p', value: { $ref: 'a', path: ['q'] } }] },
      {
        id: 'm',
        kind: 'map',
        task: 't',
        items: { $ref: 'a' },
        each: { $item: [] },
        maxItems: 1,
        onEmpty: 'skip',
        tolerate: { count: 1 },
        contract,
      },
    ]),
  );
  expect(graphProblems(JSON.parse(good))).toEqual([]);
  fc.assert(
    fc.property(values, fc.infiniteStream(fc.nat()), (value, choices) => {
      const graph: Any = JSON.parse(good);
      // Down to a random place, and the value there.
      for (let at: Any = graph; ;) {
        const keys = Object.keys(at);
        const key = keys[(choices.next().value ?? 0) % Math.max(1, keys.length)];
        if (key === undefined) break;
        const next = at[key];
        if (typeof next !== 'object' || next === null || (choices.next().value ?? 0) % 4 === 0) {
          at[key] = value;
          break;
        }
        at = next;
      }
      expect(Array.isArray(graphProblems(graph))).toBe(true);
      expect(Array.isArray(graphProblems(value))).toBe(true);
    }),
    { numRuns: 500 },
  );
});

test('cycles are found exactly where nodes lead to each other', () => {
  const graphs = fc
    .integer({ min: 1, max: 8 })
    .chain((n) => fc.array(fc.array(fc.nat(n - 1), { maxLength: 3 }), { minLength: n, maxLength: n }));
  fc.assert(
    fc.property(graphs, (upstreams) => {
      const reach = upstreams.map((ups) => {
        const seen = new Set(ups);
        for (const node of seen) for (const up of upstreams[node] ?? []) seen.add(up);
        return seen;
      });
      const cyclic = upstreams.flatMap((_ups, node) => (reach[node]?.has(node) ? [node] : []));
      const cycles = cyclesOf(upstreams);
      expect(cycles.flatMap((cycle) => cycle.nodes).toSorted((a, b) => a - b)).toEqual(cyclic);
      for (const { path } of cycles) {
        expect(path.at(-1)).toBe(path[0]);
        for (let i = 1; i < path.length; i++) expect(upstreams[path[i] ?? -1]).toContain(path[i - 1]);
      }
      const roots = upstreams.flatMap((ups, node) => (ups.length === 0 ? [node] : []));
      const lost = upstreams.flatMap((_ups, node) => (roots.includes(node) || roots.some((root) => reach[node]?.has(root)) ? [] : [node]));
      expect(unreached(upstreams)).toEqual(lost);
    }),
  );
});
