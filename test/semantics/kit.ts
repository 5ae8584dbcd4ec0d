/** What the cases share: engines on virtual time, bodies that take a while of it, upstreams that end in a given state. */
import { expect } from 'vitest';
import { NonRetryableError, workflow, type Run } from '../../src/index.ts';
import type { AnyRef, Build, Retry, Workflow } from '../../src/core/types/types.ts';
import { testEngine, type TestEngine } from '../../src/testing/index.ts';

const open: TestEngine[] = [];

export async function closeAll(): Promise<void> {
  await Promise.all(open.splice(0).map((engine) => engine.close()));
}

export function engineOf(...use: readonly Workflow<never, unknown>[]): TestEngine {
  const engine = testEngine({ use: [...use], logger: silent });
  open.push(engine);
  return engine;
}

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

/** Bodies that take virtual time: they end as the clock is moved through here. */
export class Naps {
  private sleepers: { readonly at: number; readonly wake: () => void }[] = [];
  private kit: TestEngine | undefined;

  on(kit: TestEngine): TestEngine {
    this.kit = kit;
    return kit;
  }

  sleep(seconds: number): Promise<void> {
    const at = this.now() + seconds * 1_000;
    return new Promise((wake) => void this.sleepers.push({ at, wake }));
  }

  /** Seconds since the clock's beginning. */
  now(): number {
    return (this.kit ?? expect.fail('no engine')).clock.now().getTime();
  }

  async pass(seconds: number): Promise<void> {
    const kit = this.kit ?? expect.fail('no engine');
    const end = this.now() + seconds * 1_000;
    await kit.settle();
    for (;;) {
      const next = this.sleepers.toSorted((a, b) => a.at - b.at)[0];
      // Without a sleeper to wake, a second at a time: what falls due meanwhile may begin to sleep.
      const until = Math.min(end, next?.at ?? Infinity, this.now() + 1_000);
      if (next === undefined && this.now() >= end) break;
      if (next !== undefined && next.at > end && this.now() >= end) break;
      if (until > this.now()) await kit.clock.to(new Date(until));
      if (next !== undefined && next.at <= this.now()) {
        this.sleepers = this.sleepers.filter((one) => one !== next);
        next.wake();
        await kit.settle();
      }
    }
    await kit.clock.to(new Date(end));
  }
}

export interface Ended {
  readonly run: string;
  readonly reason: string | undefined;
  /** Status by task; with its reason after a colon where it has one of its own. */
  readonly tasks: Readonly<Record<string, string>>;
  readonly attempts: Readonly<Record<string, number>>;
}

export async function stateOf(run: Run<unknown>): Promise<Ended> {
  const { status, reason } = await run.status();
  const rows = (await run.tasks({ items: true })).map(({ item, ...row }) => ({
    ...row,
    name: item === undefined ? row.task : `${row.task}[${item}]`,
  }));
  return {
    run: status,
    reason,
    tasks: Object.fromEntries(
      rows.map((row) => [row.name, row.reason === undefined || row.reason === 'error' ? row.status : `${row.status}: ${row.reason}`]),
    ),
    attempts: Object.fromEntries(rows.map((row) => [row.name, row.attempt])),
  };
}

/** Starts it, lets `seconds` pass and says what became of it. */
export async function ran(one: Workflow<void, unknown>, naps = new Naps(), seconds = 60): Promise<Ended> {
  const kit = naps.on(engineOf(one));
  const run = await kit.start(one);
  await naps.pass(seconds);
  return stateOf(run);
}

/** A workflow without output. */
export const flow = (build: (w: Build) => void) =>
  workflow({ name: 'case' }, (w) => {
    build(w);
    return {};
  });

export const quick = (maxAttempts: number): { retry: Retry } => ({ retry: { maxAttempts, initial: '1s', jitter: 'none' } });

export const ok = (): number => 1;
export const fail = (): never => {
  throw new NonRetryableError('for good');
};

export type Letter = 'S' | 'F' | 'X' | 'K';

/** A task that ends in this state. */
export function upstream(w: Build, id: string, letter: Letter): AnyRef {
  if (letter === 'S') return w.run(id, {}, ok);
  if (letter === 'F') return w.run(id, {}, fail);
  if (letter === 'K') return w.run(id, {}, ok, { when: () => false });
  return w.run(id, {}, ok, { after: [w.run(`${id}.cause`, {}, fail)] });
}

/** How J ends over upstreams in these states, and the run. */
export async function joined(join: string, letters: string): Promise<string> {
  const one = workflow({ name: 'joined' }, (w) => {
    const upstreams = letters.split('').map((letter, i) => upstream(w, `u${i}`, letter as Letter));
    w.run('J', {}, ok, { after: upstreams, join: join as 'all_success' });
    return {};
  });
  const { tasks, run } = await ran(one);
  return `${tasks['J']}, run ${run}`;
}
