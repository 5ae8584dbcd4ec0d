/** Random graphs of every kind of task, under every policy. What their tasks come to is left to whoever drives them. */
import fc from 'fast-check';
import type { Expr, FailurePolicy, Graph, GraphTask, HandlerTask, Join } from '../../src/core/graph/graph.ts';
import { graphProblems } from '../../src/core/graph/validate.ts';
import { contract } from './graphs.ts';

const KINDS = ['task', 'task', 'task', 'task', 'map', 'when', 'switch', 'first', 'first', 'sleep', 'wait', 'approve'] as const;
const JOINS: readonly (Join | null)[] = [
  null,
  null,
  null,
  null,
  'all_success',
  'none_failed',
  'none_failed_min_one_success',
  'one_success',
  'all_done',
  'all_done_min_one_success',
  'one_done',
  'one_failed',
  'all_failed',
  'all_skipped',
  'none_skipped',
  'always',
  'at_least(1)',
];

const raw = fc.record({
  kind: fc.constantFrom(...KINDS),
  ups: fc.array(fc.record({ pick: fc.nat(1_000), mode: fc.constantFrom('order', 'order', 'required', 'optional', 'settle') }), {
    maxLength: 3,
    size: 'max',
  }),
  join: fc.constantFrom(...JOINS),
  gated: fc.boolean(),
  flags: fc.array(fc.boolean(), { minLength: 10, maxLength: 10 }),
  size: fc.nat(4),
  inside: fc.nat(4),
  tolerate: fc.constantFrom(undefined, undefined, { count: 1 }, { ratio: 0.5 }),
});
type Raw = typeof raw extends fc.Arbitrary<infer T> ? T : never;

interface Kinds {
  readonly policy: readonly FailurePolicy[];
  readonly first: boolean;
  readonly size: number;
}

/** Graphs that a workflow may have, or could but for reads that may never be there. */
export const anyGraph = ({ policy, first, size }: Kinds): fc.Arbitrary<Graph> =>
  fc
    .tuple(fc.array(raw, { minLength: 2, maxLength: size, size: 'max' }), fc.constantFrom(...policy), fc.nat(5), fc.nat(1_000))
    .map(([raws, failurePolicy, guard, read]): Graph => {
      const tasks: GraphTask[] = guard === 0 ? [{ id: 'guard', kind: 'guard' }] : [];
      for (const [i, one] of raws.entries())
        tasks.push(...tasksOf(first || one.kind !== 'first' ? one : { ...one, kind: 'task' }, i, tasks));
      const withBranches = [...tasks, ...branchesOf(tasks)];
      const readable = withBranches.filter(({ kind }) => kind === 'task');
      const output = readable.length > 0 && read % 3 === 0 ? { $settle: { $ref: readable[read % readable.length]?.id ?? '' } } : null;
      return {
        format: 1,
        workflow: 'any',
        tasks: withBranches,
        output,
        ...(failurePolicy === 'continue' ? {} : { failurePolicy }),
      };
    })
    .filter((graph) => graphProblems(graph).every(({ code }) => code === 'maybe_ref' || code === 'exclusive'));

function tasksOf(one: Raw, index: number, before: readonly GraphTask[]): GraphTask[] {
  const id = `t${index}`;
  const [allow = false, predicate = false, unsafe = false, caught = false, setup = false, skips = false, settle = false, failRun = false] =
    one.flags;
  const known = before.filter(({ kind }) => kind !== 'guard' && kind !== 'handler');
  const ups = known.length === 0 ? [] : one.ups.map(({ pick, mode }) => ({ of: known[pick % known.length]?.id ?? '', mode }));
  const after = [...new Set(ups.filter(({ mode }) => mode === 'order').map(({ of }) => of))];
  const input = one.join === 'always' ? {} : readsExpr(ups);
  const decision = known.findLast(({ kind }) => kind === 'when' || kind === 'switch');
  const gate = one.gated && decision !== undefined ? { if: { when: decision.id, is: caseOf(decision, allow) } } : {};
  const setups = before.flatMap((task) => (task.kind === 'handler' && task.role === 'teardown' ? [task.of] : []));
  const using = setups[one.inside];
  const base = {
    id,
    ...(after.length === 0 ? {} : { after }),
    ...(one.join === null || (ups.length === 0 && one.join !== 'always') ? {} : { join: one.join }),
    ...gate,
    ...(using === undefined ? {} : { using }),
  };
  const allowed = allow ? { allowFailure: true as const } : {};
  const asked = predicate ? { when: true as const } : {};
  const handler = (role: HandlerTask['role'], of: string, more: object = {}): HandlerTask => {
    return { id: `${of}.${role}`, kind: 'handler', role, of, contract: contract(), ...more };
  };
  switch (one.kind) {
    case 'map':
      return [
        {
          ...base,
          ...allowed,
          ...asked,
          kind: 'map',
          task: 'item',
          items: one.size === 4 && unsafe ? 7 : Array.from({ length: one.size }, (_, i) => i),
          each: { item: { $item: [] }, ...(input as object) },
          maxItems: 3,
          onEmpty: skips ? 'skip' : 'success',
          ...(settle ? { settle } : {}),
          ...(one.tolerate === undefined ? {} : { tolerate: one.tolerate }),
          ...(failRun ? { concurrency: 2 } : {}),
          contract: contract(),
        },
      ];
    case 'when':
      return [{ ...base, kind: 'when', input }];
    case 'switch':
      return [{ ...base, kind: 'switch', input, cases: ['a', 'b'], ...(skips ? { default: settle ? 'branch' : 'skip' } : {}) }];
    case 'first': {
      const parts = [...new Set(ups.map(({ of }) => of))].map((of) => ({ name: `of-${of}`, value: { $ref: of } }));
      if (parts.length > 0) return [{ id, kind: 'first', parts, ...gate }];
      return [{ ...base, kind: 'sleep', ms: 1_000 }];
    }
    case 'sleep':
      return [{ ...base, kind: 'sleep', ms: 1_000 * (1 + one.size) }];
    case 'wait':
      return [{ ...base, ...allowed, kind: 'wait', signal: 'go', timeoutMs: 5_000, ...(skips ? { onTimeout: 'skip' } : {}) }];
    case 'approve':
      return [
        {
          ...base,
          ...allowed,
          kind: 'approve',
          who: ['ops'],
          timeoutMs: 7_000,
          ...(skips ? { onTimeout: 'skip' } : {}),
          ...(settle ? { onReject: 'skip' } : {}),
        },
      ];
    case 'task':
      return [
        { ...base, ...allowed, ...asked, kind: 'task', input, contract: contract(unsafe && skips) },
        ...(caught && settle ? [handler('catch', id)] : []),
        ...(setup && settle ? [handler('teardown', id, failRun ? { failRun } : {})] : []),
      ];
  }
}

const caseOf = (decision: GraphTask, is: boolean): boolean | string => (decision.kind === 'when' ? is : is ? 'a' : 'b');

function readsExpr(ups: readonly { readonly of: string; readonly mode: string }[]): Expr {
  const reads = ups.filter(({ mode }) => mode !== 'order');
  return Object.fromEntries(
    reads.map(({ of, mode }, i): [string, Expr] => {
      const ref = { $ref: of };
      return [`r${i}`, mode === 'settle' ? { $settle: ref } : mode === 'optional' ? { $optional: ref } : ref];
    }),
  );
}

/** Of every decision with tasks made inside it, its result: a value that reads the first task of each side, and all of its tasks. */
function branchesOf(tasks: readonly GraphTask[]): GraphTask[] {
  return tasks.flatMap((decision): GraphTask[] => {
    if (decision.kind !== 'when' && decision.kind !== 'switch') return [];
    const made = (is: boolean | string): string[] =>
      tasks.flatMap(({ id, if: gate }) => (gate?.when === decision.id && gate.is === is ? [id] : []));
    const sides = [true, false].map((is) => caseOf(decision, is));
    if (sides.every((is) => made(is).length === 0)) return [];
    const cases = sides.map((is) => {
      const [read] = made(is);
      return { is, value: read === undefined ? null : { $optional: { $ref: read } }, members: made(is) };
    });
    return [{ id: `${decision.id}.result`, kind: 'branch', when: decision.id, cases }];
  });
}
