/** Random graphs of switches, firsts and a guard, in random orders: they end, and each part keeps its word. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isEnded } from '../../src/core/kernel/changes.ts';
import type { BodyTask, Graph, GraphTask } from '../../src/core/graph/graph.ts';
import { rootCauses, runRootCauses } from '../../src/core/kernel/outcome.ts';
import type { EndedTask, RunningTask } from '../../src/core/kernel/run-state.ts';
import type { Outcome, RunEvent } from '../../src/core/kernel/turn.ts';
import { graphProblems } from '../../src/core/graph/validate.ts';
import { contract } from './graphs.ts';
import { randomFrom, World } from './world.ts';

interface Raw {
  readonly kind: 'task' | 'switch' | 'first';
  readonly picks: readonly number[];
  readonly join: BodyTask['join'] | null;
  /** A body that fails; a decision that throws. */
  readonly fails: boolean;
  readonly verdict: 'a' | 'b' | null;
  readonly default: 'branch' | 'skip' | null;
  readonly gated: boolean;
}

const raw: fc.Arbitrary<Raw> = fc.record({
  kind: fc.constantFrom('task', 'task', 'task', 'task', 'switch', 'first', 'first'),
  picks: fc.array(fc.nat(20), { maxLength: 3 }),
  join: fc.constantFrom(null, null, 'one_success', 'all_done', 'none_failed', 'one_done'),
  fails: fc.nat(4).map((n) => n === 0),
  verdict: fc.constantFrom('a', 'b', null),
  default: fc.constantFrom('branch', 'skip', 'skip', null),
  gated: fc.boolean(),
});

interface Case {
  readonly graph: Graph;
  readonly fails: ReadonlySet<string>;
  readonly verdicts: ReadonlyMap<string, string | null>;
  readonly guard: boolean | null;
}

function caseOf(raws: readonly Raw[], guard: boolean | null): Case {
  const tasks: GraphTask[] = guard === null ? [] : [{ id: 'guard', kind: 'guard' }];
  const fails = new Set<string>();
  const verdicts = new Map<string, string | null>();
  raws.forEach((one, i) => {
    const id = `t${i}`;
    const before = tasks.filter((task) => task.kind !== 'guard');
    const picked = before.length === 0 ? [] : [...new Set(one.picks.map((pick) => before[pick % before.length]?.id ?? ''))];
    const decision = before.findLast((task) => task.kind === 'switch');
    const gate = one.gated && decision?.kind === 'switch' ? { if: { when: decision.id, is: i % 2 === 0 ? 'a' : 'b' } } : {};
    const base = {
      id,
      ...(picked.length === 0 ? {} : { after: picked }),
      ...(one.join == null || picked.length === 0 ? {} : { join: one.join }),
    };
    if (one.fails) fails.add(id);
    if (one.kind === 'switch') {
      verdicts.set(id, one.verdict);
      tasks.push({ ...base, kind: 'switch', input: 1, cases: ['a', 'b'], ...(one.default === null ? {} : { default: one.default }) });
    } else if (one.kind === 'first' && picked.length > 0) {
      tasks.push({ id, kind: 'first', parts: picked.map((part) => ({ name: `of-${part}`, value: { $ref: part } })) });
    } else
      tasks.push({
        ...base,
        ...gate,
        kind: 'task',
        input: {},
        contract: { ...contract(), retry: { ...contract().retry, maxAttempts: 1 } },
      });
  });
  for (const task of tasks.filter((one) => one.kind === 'switch')) {
    const cases = ['a', 'b'].map((is) => ({
      is,
      value: is,
      members: tasks.filter((one) => one.if?.when === task.id && one.if.is === is).map((one) => one.id),
    }));
    tasks.push({ id: `${task.id}.result`, kind: 'branch', when: task.id, cases });
  }
  return { graph: { format: 1, workflow: 'branches', tasks, output: {} }, fails, verdicts, guard };
}

const cases = fc
  .tuple(fc.array(raw, { minLength: 2, maxLength: 9 }), fc.constantFrom(null, null, true, false))
  .map(([raws, guard]) => caseOf(raws, guard))
  // Parts may be skipped here, and some tasks can never run: what follows must hold all the same.
  .filter(({ graph }) => graphProblems(graph).every(({ code }) => code === 'maybe_ref' || code === 'exclusive'));

function outcomeOf({ graph, fails, verdicts, guard }: Case, task: RunningTask): Outcome {
  const id = graph.tasks[task.node]?.id ?? '';
  if (id === 'guard') return { kind: 'verdict', verdict: guard === true };
  const error = JSON.stringify({ name: 'Error', message: 'for good' });
  if (task.phase === 'evaluate')
    return fails.has(id) ? { kind: 'refused', reason: 'definition_error', error } : { kind: 'verdict', verdict: verdicts.get(id) ?? null };
  return fails.has(id) ? { kind: 'error', error, facts: {} } : { kind: 'ok', output: JSON.stringify(id) };
}

function drive(given: Case, seed: number): World {
  const random = randomFrom(seed);
  const world = new World(given.graph);
  for (let i = 0; world.end === null; i++) {
    world.now += random(3);
    const running = world.in('running');
    const queued = world.in('queued');
    const [task] = queued.slice(queued.length === 0 ? 0 : random(queued.length));
    if (i > 500 || (running.length === 0 && task === undefined)) throw new Error(`stuck: ${JSON.stringify(world.final())}`);
    if (task !== undefined && (running.length === 0 || random(2) === 0)) world.claim(task);
    else {
      const some = running.slice(random(running.length)).slice(0, 1 + random(3));
      const events = some.map((one): RunEvent => {
        const outcome: Outcome = random(9) === 0 && one.losses + one.crashes < 1 ? { kind: 'lost', crashed: false } : outcomeOf(given, one);
        return { type: 'ended', node: one.node, item: -1, token: one.lease?.token ?? 0, outcome };
      });
      world.apply(events, () => random(2) === 0);
    }
  }
  return world;
}

function endedOf(world: World, index: number): EndedTask {
  const task = world.live.tasks[index];
  if (!isEnded(task)) throw new Error(`task ${index} is open`);
  return task;
}

function addUpstreams(world: World, index: number, to: Set<number>): void {
  const node = world.graph.nodes[index];
  if (node === undefined || to.has(index)) return;
  to.add(index);
  for (const from of [...node.in.map((edge) => edge.from), node.gate?.when ?? -1, node.cases?.when ?? -1]) addUpstreams(world, from, to);
}

/** What is wrong with how the firsts of a run ended, and with what they cancelled. */
function wrongFirsts(world: World): string[] {
  const { graph } = world;
  const wrong: string[] = [];
  /** What leads to a loser; and, where that did not succeed all the same, since when. */
  const may = new Set<number>();
  const lost = new Map<number, number>();
  for (const node of graph.nodes) {
    if (node.task.kind !== 'first') continue;
    const parts = node.task.parts.map(({ name, value }) => ({ name, index: graph.byId.get(value.$ref)?.index ?? -1 }));
    const first = endedOf(world, node.index);
    const won = parts.filter(({ index }) => endedOf(world, index).status === 'success');
    const winner = first.status === 'success' ? (JSON.parse(first.output ?? '') as { winner: string }).winner : null;
    const mine = won.find(({ name }) => name === winner);
    if (winner === null && won.length > 0 && first.status !== 'cancelled' && graph.guard === null)
      wrong.push(`${node.id} is ${first.status}, and ${won.map((part) => part.name).join()} succeeded`);
    if (winner === null) continue;
    if (mine === undefined) wrong.push(`${node.id} was won by ${winner}, which did not succeed`);
    const mineLost = new Set<number>();
    for (const part of parts) {
      if (part === mine) continue;
      addUpstreams(world, part.index, may);
      if (!won.includes(part)) addUpstreams(world, part.index, mineLost);
    }
    for (const index of mineLost) lost.set(index, Math.min(lost.get(index) ?? Infinity, first.finishedAt));
  }
  const read = new Set(graph.outputReads.map(({ node }) => node));
  for (const node of graph.nodes) {
    const { status, reason, finishedAt } = endedOf(world, node.index);
    if (node.cases !== null) continue;
    if (status === 'cancelled' && (reason !== 'superseded' || !may.has(node.index))) wrong.push(`${node.id} is cancelled (${reason})`);
    if (!may.has(node.index) || read.has(node.index)) continue;
    const neededUntil = Math.max(...[...node.out.map(({ to }) => to), ...node.watchers].map((by) => endedOf(world, by).finishedAt));
    if (status === 'cancelled' && finishedAt < neededUntil) wrong.push(`${node.id} was still needed`);
    if (finishedAt > Math.max(neededUntil, lost.get(node.index) ?? Infinity)) wrong.push(`${node.id} ended after anybody needed it`);
  }
  return wrong;
}

describe('random graphs of switches, firsts and a guard', () => {
  test('end in every order, with firsts that were won by a part that succeeded and cancelled only what they may', () => {
    fc.assert(
      fc.property(cases, fc.integer(), (given, seed) => {
        const world = drive(given, seed);
        expect(wrongFirsts(world)).toEqual([]);
        const states = world.graph.nodes
          .filter((node) => node.task.kind !== 'guard' && node.cases === null)
          .map((node) => endedOf(world, node.index));
        const wanted = given.guard === false ? 'skipped' : states.some(({ status }) => status === 'failed') ? 'failed' : 'success';
        expect(world.end?.status).toBe(wanted);
        if (given.guard === false) expect(new Set(states.map(({ status }) => status))).toEqual(new Set(['skipped']));
      }),
      { numRuns: 500 },
    );
  });

  test('without a first end the same, with the same causes, in 20 orders', () => {
    const plain = cases.filter(({ graph }) => !graph.tasks.some((task) => task.kind === 'first'));
    fc.assert(
      fc.property(plain, fc.integer(), (given, seed) => {
        const ends = Array.from({ length: 20 }, (_, n) => {
          const world = drive(given, seed + n);
          const causes = world.graph.nodes.map(({ index }) => rootCauses(world.graph, world.live, index));
          return { tasks: world.final(), run: world.end?.status, causes, began: runRootCauses(world.graph, world.live) };
        });
        for (const end of ends) expect(end).toEqual(ends[0]);
      }),
      { numRuns: 30 },
    );
  });
});
