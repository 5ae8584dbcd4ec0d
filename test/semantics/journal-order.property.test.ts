/** The same through an engine: the order that its journal records, played to the sequential model, comes to the same states. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readJournal, type TaskTransition, type Transition } from '../../src/core/kernel/journal.ts';
import type { Graph, GraphTask } from '../../src/core/graph/graph.ts';
import { graphProblems } from '../../src/core/graph/validate.ts';
import { NonRetryableError, signal, task, workflow, type Run, type Workflow } from '../../src/index.ts';
import { testEngine, type TestEngine } from '../../src/testing/index.ts';
import { anyGraph } from './any-graph.ts';
import type { Primary } from './sequential-table.ts';
import { anyText } from './capacity-kit.ts';
import { Sequential } from './sequential.ts';
import { randomFrom } from './world.ts';

/** What each body and each predicate does is fixed by a number, whenever it does it. */
class Fate {
  private readonly seed: number;
  constructor(seed: number) {
    this.seed = seed;
  }

  private draw(text: string, below: number): number {
    let sum = this.seed;
    for (const char of text) sum = (Math.imul(sum, 31) + (char.codePointAt(0) ?? 0)) | 0;
    return randomFrom(sum)(below);
  }

  body(at: string, attempt: number): 'ok' | 'error' | 'final' {
    return (['ok', 'ok', 'ok', 'ok', 'error', 'error', 'final'] as const)[this.draw(`${at} ${attempt}`, 7)] ?? 'ok';
  }

  /** A predicate that throws, says no, or yes. */
  holds(id: string): boolean | 'throws' {
    const chance = this.draw(id, 8);
    return chance === 0 ? 'throws' : chance > 2;
  }

  chosen(id: string): string | null {
    return (['a', 'b', null] as const)[this.draw(id, 3)] ?? null;
  }
}

interface BodyCtx {
  readonly attempt: number;
  readonly signal: AbortSignal;
}

interface Gate {
  readonly open: () => void;
}

const RUNS = 60;
const go = signal('go', anyText);

/** The graph as a workflow whose bodies end when their gates are opened. */
function workflowOf(
  graph: Graph,
  { fate, gates, plan }: { readonly fate: Fate; readonly gates: Set<Gate>; readonly plan: Plan },
): Workflow<void, unknown> {
  const body = (at: string, ctx: BodyCtx): Promise<string> =>
    new Promise((resolve, reject) => {
      const gate: Gate = {
        open: () => {
          gates.delete(gate);
          const how = fate.body(at, ctx.attempt);
          if (how === 'ok') resolve(at);
          else reject(how === 'final' ? new NonRetryableError('for good') : new Error('no'));
        },
      };
      gates.add(gate);
      ctx.signal.addEventListener('abort', () => {
        gates.delete(gate);
        reject(new Error('aborted'));
      });
    });
  const asks = (id: string) => (): boolean => {
    const holds = fate.holds(id);
    if (holds === 'throws') throw new Error('a predicate that throws');
    return holds;
  };
  const entryOf = (one: GraphTask): object => {
    switch (one.kind) {
      case 'task':
        return { ...one, run: (_: unknown, ctx: BodyCtx) => body(one.id, ctx), ...(one.when ? { when: asks(one.id) } : {}) };
      case 'handler':
        return { ...one, run: (_: unknown, ctx: BodyCtx) => body(one.id, ctx) };
      case 'map': {
        const run = ({ item }: { item: number }, ctx: BodyCtx): Promise<string> => body(`${one.id}[${item}]`, ctx);
        return { ...one, task: task({ name: `item-of-${one.id}`, run }), ...(one.when ? { when: asks(one.id) } : {}) };
      }
      case 'when':
      case 'guard':
        return { ...one, test: asks(one.id) };
      case 'switch':
        return { ...one, cases: one.cases.map((name) => ({ name, test: () => fate.chosen(one.id) === name })) };
      case 'wait':
        return { ...one, signal: go };
      case 'child':
      case 'sleep':
      case 'approve':
      case 'first':
      case 'branch':
        return one;
    }
  };
  const { failurePolicy, output, tasks } = graph;
  return workflow.fromGraph({
    name: 'any',
    output,
    tasks: tasks.map(entryOf) as never,
    ...(failurePolicy ? { failurePolicy } : {}),
    ...(plan.interrupt === 'deadline' ? { timeout: (plan.interruptAt + 1) * 1_000 } : {}),
  });
}

interface Plan {
  /** Cancelled, or marked as failed, at this step. */
  readonly interruptAt: number;
  readonly interrupt: 'cancel' | 'markFailed' | 'deadline';
  /** The process dies at this step. */
  readonly crashAt: number;
}

/** Lets the run come to its end, one thing at a time. */
async function live(kit: TestEngine, run: Run<unknown>, gates: Set<Gate>, random: (below: number) => number, plan: Plan): Promise<void> {
  for (let step = 0; ; step++) {
    if (step > 400) throw new Error('it does not end');
    await kit.settle();
    const { status } = await run.status();
    if (!['running', 'cancelling', 'finishing', 'waiting'].includes(status)) return;
    if (step === plan.crashAt) {
      gates.clear();
      await kit.reboot();
      continue;
    }
    if (step === plan.interruptAt && plan.interrupt !== 'deadline' && status === 'running') {
      await (plan.interrupt === 'cancel' ? run.cancel() : run.markFailed());
      continue;
    }
    const open = [...gates];
    const chance = random(8);
    if (open.length > 0 && chance < 5) open[random(open.length)]?.open();
    else if (chance === 5) await kit.send('go', { run: run.id, data: 'x' });
    else if (chance === 6) {
      const [first] = (await kit.approvals.list()).approvals;
      if (first !== undefined) await kit.approvals[random(2) === 0 ? 'approve' : 'reject'](run.id, { task: first.task });
    } else await kit.clock.advance(1_000 + random(3_000));
  }
}

const REASONS_OF_RUN = ['person', 'deadline', 'marked_failed'];

/** What the world did in one commit, as far as the model asks. Claims come last: a commit hands out what it has queued. */
function primaries(entries: readonly Transition[], { tasks }: Graph, model: Sequential, fate: Fate): (() => Primary | null)[] {
  const found: (() => Primary | null)[] = [];
  const claims: (() => Primary | null)[] = [];
  let isCancelled = false;
  for (const entry of entries) {
    if (entry.kind !== 'task') continue;
    const { from, to, reason, item } = entry;
    const of = tasks[entry.node];
    if (of === undefined) continue;
    const at = item < 0 ? of.id : `${of.id}[${item}]`;
    const kind = item < 0 ? of.kind : 'item';
    if (to === 'cancelled' && REASONS_OF_RUN.includes(reason ?? '')) {
      if (!isCancelled)
        found.push(() => (reason === 'person' ? { type: 'cancel', reason } : { type: 'fail', reason: reason as 'deadline' }));
      isCancelled = true;
    } else if (kind === 'item' && from === 'pending') found.push(() => ({ type: 'take', map: of.id, count: 1 }));
    else if (from === 'retrying' && (to === 'queued' || to === 'running')) found.push(() => ({ type: 'due', at }));
    else if (from === 'waiting' && to !== 'cancelled') found.push(() => wakeOf(at, entry));
    else if (from === 'running') found.push(() => endOf({ at, kind, entry, model, fate }));
    if (to === 'running' && from !== 'running') claims.push(() => (model.at(at)?.status === 'queued' ? { type: 'claim', at } : null));
  }
  return [...found, ...claims];
}

function wakeOf(at: string, { to, reason }: TaskTransition): Primary {
  if (reason === 'rejected') return { type: 'answer', at, approved: false };
  return to === 'success' ? { type: 'message', at } : { type: 'due', at };
}

interface Claimed {
  readonly at: string;
  readonly kind: GraphTask['kind'] | 'item';
  readonly entry: TaskTransition;
  readonly model: Sequential;
  readonly fate: Fate;
}

/** How a claim ended. Null: that is what something else came to. */
function endOf({ at, kind, entry, model, fate }: Claimed): Primary | null {
  const { to, reason, attempt } = entry;
  const cell = model.at(at);
  if (cell?.status !== 'running' || to === 'cancelled') return null;
  if (cell.phase === 'evaluate') {
    if (to === 'queued') return { type: 'lost', at, crashed: true };
    if (reason === 'definition_error') return { type: 'error', at, reason, final: true };
    return { type: 'verdict', at, verdict: kind === 'switch' ? fate.chosen(at) : fate.holds(at) === true };
  }
  if (kind === 'map') return null;
  if (to === 'success') return { type: 'ok', at };
  if (to === 'queued' || reason === 'crash_loop' || reason === 'lost') return { type: 'lost', at, crashed: true };
  return { type: 'error', at, reason: reason ?? 'error', final: reason === 'error' && fate.body(at, attempt) === 'final' };
}

const plans = fc.record<Plan>({
  interruptAt: fc.integer({ min: 0, max: 40 }),
  interrupt: fc.constantFrom('cancel', 'markFailed', 'deadline'),
  crashAt: fc.integer({ min: 0, max: 30 }),
});
const graphs = anyGraph({ policy: ['continue', 'drain', 'abort'], first: true, size: 6 }).filter(
  (graph) => graphProblems(graph).length === 0,
);

/** How many events it had. */
async function check(graph: Graph, seed: number, plan: Plan): Promise<number> {
  const fate = new Fate(seed);
  const gates = new Set<Gate>();
  const one = workflowOf(graph, { fate, gates, plan });
  const kit = testEngine({ use: [one, go] });
  try {
    const run = await kit.start(one);
    await live(kit, run, gates, randomFrom(seed), plan);
    const store = await kit.storeOf;
    const names = one.graph.tasks.map(({ id }) => id);
    const model = new Sequential(one.graph);
    const states: Record<string, string> = {};
    const history: string[] = [];
    for (const { changes } of (await store.journal(0, 10_000)).entries) {
      const entries = readJournal(changes);
      for (const make of primaries(entries, one.graph, model, fate)) {
        const event = make();
        if (event === null) continue;
        history.push(JSON.stringify(event));
        model.apply(event);
      }
      for (const entry of entries)
        if (entry.kind === 'task')
          states[`${names[entry.node]}${entry.item < 0 ? '' : `[${entry.item}]`}`] = `${entry.to} ${entry.reason ?? ''}`;
      const of = model.states();
      const told = Object.fromEntries(Object.keys(states).map((at) => [at, of[at]?.replace(/ handled| partial/g, '')]));
      expect(told, `after ${history.join('\n')}`).toEqual(states);
    }
    const { status, reason } = await run.status();
    expect(`${model.status} ${model.reason ?? ''}`).toBe(`${status} ${reason ?? ''}`);
    for (const row of await run.tasks()) expect([row.task, model.at(row.task)?.status]).toEqual([row.task, row.status]);
    return history.length;
  } finally {
    await kit.close();
  }
}

test('what an engine did, in the order of its journal, is what the sequential model does', async () => {
  let events = 0;
  const count = async (...args: Parameters<typeof check>): Promise<void> => void (events += await check(...args));
  await fc.assert(fc.asyncProperty(graphs, fc.integer(), plans, count), { numRuns: RUNS });
  // A journal that tells of nothing would agree with anything.
  expect(events).toBeGreaterThan(2 * RUNS);
}, 120_000);
