import fc from 'fast-check';
import { expect, test } from 'vitest';
import { advance, advanceMoved, openRun } from '../../src/core/kernel/advance.ts';
import { claimTask } from '../../src/core/kernel/claiming.ts';
import { isEnded, isUnderway, setTask } from '../../src/core/kernel/changes.ts';
import { compileGraph, type CompiledGraph } from '../../src/core/kernel/compile.ts';
import type { Join } from '../../src/core/graph/graph.ts';
import { decideJoin } from '../../src/core/kernel/joins.ts';
import { movedState, planMove, renameSteps } from '../../src/core/kernel/moving.ts';
import type { RunState } from '../../src/core/kernel/run-state.ts';
import type { TerminalStatus } from '../../src/core/kernel/states.ts';
import { workflow } from '../../src/index.ts';
import { factsOf, SETTINGS } from './world.ts';

/** A version as a list of tasks: each by its name, what it comes after (earlier in the list), its join, and how often it may be tried. */
interface Node {
  readonly name: string;
  readonly after: readonly string[];
  readonly join: Join | undefined;
  readonly attempts: number;
}

const NOW = 1_900_000_000_000;
const JOINS: readonly (Join | undefined)[] = [
  undefined,
  undefined,
  'none_failed',
  'one_success',
  'all_done',
  'one_failed',
  'all_done_min_one_success',
];
const NAMES = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];

const node = fc.record({
  ups: fc.array(fc.nat(20), { maxLength: 3 }),
  join: fc.constantFrom(...JOINS),
  attempts: fc.constantFrom(1, 1, 1, 2),
});
const order = fc.shuffledSubarray(NAMES, { minLength: 2 });
const version = fc.tuple(order, fc.array(node, { minLength: 8, maxLength: 8 })).map(([names, nodes]) => built(names, nodes));

type Raw = readonly { readonly ups: readonly number[]; readonly join: Join | undefined; readonly attempts: number }[];

function built(names: readonly string[], nodes: Raw): Node[] {
  return names.map((name, i) => {
    const { ups = [], join, attempts = 1 } = nodes[i] ?? {};
    const after = [...new Set(i === 0 ? [] : ups.map((up) => names[up % i] ?? ''))].filter((one) => one !== '');
    return { name, after, join: after.length === 0 ? undefined : join, attempts };
  });
}

/** Another version with some tasks as they were: moved, with others before, after and between them. */
const pair = fc
  .tuple(version, fc.array(fc.constantFrom('keep', 'keep', 'keep', 'drop', 'retry', 'join'), { minLength: 8, maxLength: 8 }), fc.nat(8))
  .map(([before, what, at]) => {
    const dropped = new Set(before.filter((_, i) => what[i] === 'drop').map(({ name }) => name));
    const after = before
      .filter(({ name }) => !dropped.has(name))
      .map((one, i): Node => {
        const ups = one.after.filter((up) => !dropped.has(up));
        const joined = what[i] === 'join' && ups.length > 0 ? { join: 'all_done' as const } : {};
        return {
          ...one,
          after: ups,
          ...joined,
          attempts: what[i] === 'retry' ? 9 : one.attempts,
          ...(ups.length === 0 ? { join: undefined } : {}),
        };
      });
    const extra = ['x', 'y'].map((name, i): Node => ({
      name,
      after: after.slice(i, i + 1).map((up) => up.name),
      join: undefined,
      attempts: 1,
    }));
    const front: Node = { name: 'z', after: [], join: undefined, attempts: 1 };
    return { before, after: [...(at % 2 === 0 ? [front] : []), ...after, ...extra.slice(0, at % 3)] };
  });

const compiled = (nodes: readonly Node[]): CompiledGraph =>
  compileGraph(
    workflow.fromGraph({
      name: 'flow',
      tasks: nodes.map(({ name, after, join, attempts }) => ({
        id: name,
        run: () => 0,
        after,
        retry: { maxAttempts: attempts },
        ...(join === undefined ? {} : { join }),
      })),
    }).graph,
  );

/** Ends queued tasks, as their names say, until `steps` have ended or none is queued. */
function work(graph: CompiledGraph, state: RunState, fails: ReadonlySet<string>, steps: number, pick: number): void {
  for (let step = 0; step < steps; step++) {
    const queued = state.tasks.filter((task) => task?.status === 'queued');
    const task = queued[(pick + step) % Math.max(1, queued.length)];
    if (task?.status !== 'queued') return;
    setTask(state, claimTask(task, { token: step + 1, worker: 1 }, NOW));
    const outcome = fails.has(graph.nodes[task.node]?.id ?? '')
      ? ({ kind: 'error', error: '{"name":"Error","message":"no"}', facts: { nonRetryable: true } } as const)
      : ({ kind: 'ok', output: '0' } as const);
    advance(graph, state, [{ type: 'ended', node: task.node, item: -1, token: step + 1, outcome }], NOW, SETTINGS);
  }
}

const ends = (graph: CompiledGraph, state: RunState): Record<string, string> =>
  Object.fromEntries(graph.nodes.map((one) => [one.id, state.tasks[one.index]?.status ?? 'pending']));

/** What the joins of a version make of results that are given, over final states alone. */
function finished(nodes: readonly Node[], given: Readonly<Record<string, string>>, fails: ReadonlySet<string>): Record<string, string> {
  const all: Record<string, string> = {};
  for (const { name, after, join } of nodes) {
    const counts = { success: 0, failed: 0, upstreamFailed: 0, skipped: 0, cancelled: 0 };
    const kinds: Record<string, keyof typeof counts> = {
      success: 'success',
      failed: 'failed',
      upstream_failed: 'upstreamFailed',
      skipped: 'skipped',
      cancelled: 'cancelled',
    };
    for (const up of after) counts[kinds[all[up] ?? ''] ?? 'success']++;
    const verdict = after.length === 0 ? 'run' : decideJoin(join ?? 'all_success', { n: after.length, ...counts });
    all[name] = given[name] ?? (verdict === 'run' ? (fails.has(name) ? 'failed' : 'success') : verdict);
  }
  return all;
}

test('moving and then finishing comes to what the new version makes of the results that were there', () => {
  const seen = { moved: 0, stayed: 0 };
  fc.assert(
    fc.property(pair, fc.subarray([...NAMES, 'x', 'y', 'z']), fc.nat(8), fc.nat(50), ({ before, after }, failing, steps, pick) => {
      const [from, to] = [compiled(before), compiled(after)];
      const fails = new Set(failing);
      const { state } = openRun(from, factsOf(), NOW, SETTINGS);
      work(from, state, fails, steps, pick);
      if (state.status !== 'running') return;
      const begun = from.nodes.filter((one) => isUnderway(state.tasks[one.index])).map((one) => one.id);
      const text = JSON.stringify(state.tasks);
      const plan = planMove(from, to, state);
      const isSame = (name: string): boolean => {
        const [a, b] = [before, after].map((nodes) => nodes.find((one) => one.name === name));
        return b !== undefined && a?.attempts === b.attempts && JSON.stringify(a.after.toSorted()) === JSON.stringify(b.after.toSorted());
      };
      expect(plan.kind).toBe(begun.every(isSame) ? 'move' : 'stay');
      if (plan.kind === 'stay') {
        seen.stayed++;
        expect(plan.obstacles.map(({ task }) => task).toSorted()).toEqual(begun.filter((name) => !isSame(name)).toSorted());
        return;
      }
      seen.moved++;
      const given = Object.fromEntries(
        from.nodes.flatMap((one): [string, TerminalStatus][] => {
          const task = state.tasks[one.index];
          return isEnded(task) ? [[one.id, task.status]] : [];
        }),
      );
      const next = movedState(to, state, plan.nodes);
      advanceMoved(to, next, NOW, SETTINGS);
      work(to, next, fails, 100, pick);
      expect(ends(to, next)).toEqual(finished(after, underway(from, state, given, fails), fails));
      expect(next.open).toBe(0);
      // What the process held of the run before is as it was.
      expect(JSON.stringify(state.tasks)).toBe(text);
    }),
    { numRuns: 3_000 },
  );
  expect(Math.min(seen.moved, seen.stayed)).toBeGreaterThan(200);
});

/** What has left pending runs, whatever its join is now. */
function underway(
  graph: CompiledGraph,
  state: RunState,
  given: Record<string, string>,
  fails: ReadonlySet<string>,
): Record<string, string> {
  const open = graph.nodes.filter((one) => state.tasks[one.index]?.status === 'queued').map((one) => one.id);
  return { ...given, ...Object.fromEntries(open.map((name) => [name, fails.has(name) ? 'failed' : 'success'])) };
}

test('renames meet no number that is taken, and come to the same as all of them at once', () => {
  fc.assert(
    fc.property(fc.shuffledSubarray([...NAMES.keys()]), fc.array(fc.nat(12), { maxLength: 8 }), (sources, picks) => {
      const targets = [...new Set(picks)].slice(0, sources.length);
      const nodes = new Map(targets.map((to, i) => [sources[i] ?? 0, to]));
      const rows = new Map([...nodes.keys()].map((at) => [at, at]));
      for (const { from, to } of renameSteps(nodes)) {
        expect(rows.has(to)).toBe(false);
        rows.set(to, rows.get(from) ?? -1);
        rows.delete(from);
      }
      expect(rows).toEqual(new Map([...nodes].map(([from, to]) => [to, from])));
    }),
  );
});
