import fc from 'fast-check';
import { expect, test } from 'vitest';
import { NonRetryableError, task, workflow } from '../../src/index.ts';
import { testEngine } from '../../src/testing/index.ts';
import { silent } from '../engine/kit.ts';

/** A graph of order-only edges, some tasks of which fail, and what a person then does, one act after the other. */
interface Case {
  readonly ups: readonly (readonly number[])[];
  readonly tolerant: readonly boolean[];
  readonly fails: readonly boolean[];
  readonly acts: readonly { readonly kind: 'one' | 'all' | 'rerun' | 'reboot'; readonly pick: number }[];
}

const SIZE = 7;
const cases: fc.Arbitrary<Case> = fc.record({
  ups: fc.tuple(
    ...Array.from({ length: SIZE }, (_, i) => fc.uniqueArray(fc.nat({ max: Math.max(0, i - 1) }), { maxLength: i === 0 ? 0 : 3 })),
  ),
  tolerant: fc.array(fc.boolean(), { minLength: SIZE, maxLength: SIZE }),
  fails: fc.array(fc.boolean(), { minLength: SIZE, maxLength: SIZE }),
  acts: fc.array(fc.record({ kind: fc.constantFrom('one', 'all', 'rerun', 'reboot'), pick: fc.nat({ max: 1_000 }) }), { maxLength: 5 }),
});

type State = 'success' | 'failed' | 'upstream_failed';

/** The model: states in topological order, from nothing but the graph. */
class Model {
  readonly states: State[] = [];
  readonly ran: number[] = [];
  private readonly of: Case;
  readonly broken: boolean[];

  constructor(of: Case) {
    this.of = of;
    this.broken = [...of.fails];
    for (let i = 0; i < SIZE; i++) this.run(i);
  }

  private run(i: number): void {
    const ups = (this.of.ups[i] ?? []).map((up) => this.states[up]);
    const starts = this.of.tolerant[i] === true || ups.every((state) => state === 'success');
    this.states[i] = !starts ? 'upstream_failed' : this.broken[i] === true ? 'failed' : 'success';
    this.ran[i] = (this.ran[i] ?? 0) + (starts ? 1 : 0);
  }

  /** Over what did not fail by itself; a rerun goes over everything. */
  downstream(from: readonly number[], all: boolean): Set<number> {
    const reset = new Set(from);
    for (let i = 0; i < SIZE; i++) {
      const isBehind = (this.of.ups[i] ?? []).some((up) => reset.has(up));
      if (isBehind && (all || this.states[i] !== 'failed')) reset.add(i);
    }
    return reset;
  }

  redo(reset: ReadonlySet<number>): void {
    for (let i = 0; i < SIZE; i++) if (reset.has(i)) this.run(i);
  }

  get dead(): number[] {
    return this.states.flatMap((state, i) => (state === 'failed' ? [i] : []));
  }
}

const name = (i: number): string => `t${i}`;

async function play(of: Case): Promise<void> {
  const model = new Model(of);
  const broken = [...of.fails];
  const ran = Array.from({ length: SIZE }, () => 0);
  const bodies = Array.from({ length: SIZE }, (_, i) =>
    task({
      name: name(i),
      run: (): number => {
        ran[i] = (ran[i] ?? 0) + 1;
        if (broken[i] === true) throw new NonRetryableError('no');
        return i;
      },
    }),
  );
  const flow = workflow({ name: 'f' }, (w) => {
    const refs: unknown[] = [];
    bodies.forEach((body, i) => {
      const after = (of.ups[i] ?? []).map((up) => refs[up]) as never[];
      const join = of.tolerant[i] === true && after.length > 0 ? { join: 'all_done' as const } : {};
      refs.push(w.run(body, {}, { after, ...join }));
    });
  });
  const engine = testEngine({ use: [flow], logger: silent });
  try {
    const run = await engine.start(flow);
    const check = async (): Promise<void> => {
      await engine.settle();
      const tasks = await run.tasks();
      const states = Object.fromEntries(tasks.map((one) => [one.task, one.status]));
      expect(states).toEqual(Object.fromEntries(model.states.map((state, i) => [name(i), state])));
      expect(ran).toEqual(model.ran);
      expect((await run.status()).status).toBe(model.dead.length > 0 ? 'failed' : 'success');
      expect((await engine.dead.list()).letters.map((one) => one.task).toSorted()).toEqual(model.dead.map(name).toSorted());
    };
    await check();
    const send = async (kind: 'one' | 'all' | 'rerun', pick: number): Promise<void> => {
      const { dead } = model;
      if (kind !== 'rerun' && dead.length === 0) return;
      const from = kind === 'all' ? dead : [kind === 'one' ? (dead[pick % dead.length] ?? 0) : pick % SIZE];
      const reset = model.downstream(from, kind === 'rerun');
      for (const i of from) broken[i] = model.broken[i] = false;
      const options = kind === 'one' ? { task: name(from[0] ?? 0) } : {};
      const act = async (dryRun: boolean) =>
        kind === 'rerun' ? run.rerun(name(from[0] ?? 0), { dryRun }) : run.redrive({ ...options, dryRun });
      const preview = await act(true);
      expect(preview.tasks.map((one) => one.task).toSorted()).toEqual([...reset].map(name).toSorted());
      expect(await act(false)).toEqual({ ...preview, applied: true });
      model.redo(reset);
      await check();
    };
    for (const { kind, pick } of of.acts) {
      if (kind === 'reboot') await engine.reboot();
      else await send(kind, pick);
    }
    for (let i = 0; i <= SIZE && model.dead.length > 0; i++) await send('all', 0);
    expect(model.dead).toEqual([]);
  } finally {
    await engine.close();
  }
}

test('a redrive or rerun resets exactly what a closure over the graph says, nothing else runs again, and in the end all succeeds', async () => {
  await fc.assert(fc.asyncProperty(cases, play), { numRuns: 60 });
}, 60_000);
