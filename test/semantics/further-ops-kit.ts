/** What the cases of redrives share: bodies that fail until they are mended, and acts whose previews are compared with what they do. */
import { expect } from 'vitest';
import { isPawlError, NonRetryableError, workflow, type Run } from '../../src/index.ts';
import type { Build, Workflow } from '../../src/core/types/types.ts';
import type { TestEngine } from '../../src/testing/index.ts';
import { engineWith } from './capacity-kit.ts';

export async function codeOf(work: () => unknown): Promise<string> {
  try {
    await work();
    return 'none';
  } catch (error) {
    return isPawlError(error) ? error.code : String(error);
  }
}

/** A world in which bodies fail by name until they are mended, and note what they were called with. */
export class World {
  readonly broken = new Set<string>();
  readonly calls: string[] = [];
  readonly keys: string[] = [];
  engine!: TestEngine;
  run!: Run<unknown>;

  body =
    (name: string, value: unknown = name) =>
    (input: unknown, ctx: { idempotencyKey: string }): unknown => {
      this.calls.push(name);
      this.keys.push(ctx.idempotencyKey);
      if (this.broken.has(name)) throw new NonRetryableError(`${name} is broken`, { code: name.toUpperCase() });
      return typeof value === 'function' ? (value as (input: unknown) => unknown)(input) : value;
    };

  async start(
    build: (w: Build, world: World) => unknown,
    options: object = {},
    extra: readonly Workflow<never, unknown>[] = [],
  ): Promise<this> {
    const flow = workflow({ name: 'flow', ...options }, (w) => {
      build(w, this);
      return {};
    });
    this.engine = engineWith({ use: [flow, ...extra] });
    this.run = await this.engine.start(flow);
    await this.engine.settle();
    return this;
  }

  async tasks(): Promise<string> {
    const rows = await this.run.tasks({ items: true });
    return rows
      .map(
        ({ task: id, item, status, reason }) =>
          `${id}${item === undefined ? '' : `[${item}]`}=${status}${reason === undefined || reason === 'error' ? '' : `(${reason})`}`,
      )
      .join(' ');
  }

  async end(): Promise<string> {
    await this.engine.settle();
    const { status, reason } = await this.run.status();
    return reason === undefined ? status : `${status}: ${reason}`;
  }

  /** What was called since. */
  called(): string[] {
    return this.calls.splice(0);
  }

  /** Does the act, and checks that its preview says what it does. */
  async act(
    act: (options: { dryRun?: boolean }) => Promise<{
      applied: boolean;
      count: number;
      generation: number;
      tasks: readonly { task: string; item?: number; why: string }[];
      kept: readonly object[];
    }>,
  ): Promise<string[]> {
    const before = await this.tasks();
    const preview = await act({ dryRun: true });
    expect(await this.tasks()).toBe(before);
    const done = await act({});
    expect({ ...done, applied: false }).toEqual(preview);
    expect([preview.applied, done.applied]).toEqual([false, true]);
    expect(done.tasks).toHaveLength(done.count);
    this.calls.splice(0);
    await this.engine.settle();
    return done.tasks.map(({ task: id, item, why }) => `${id}${item === undefined ? '' : `[${item}]`}: ${why}`);
  }
}
export const broken = (...names: string[]): World => {
  const world = new World();
  names.forEach((name) => world.broken.add(name));
  return world;
};
export const chainOf = (w: Build, world: World, names: readonly string[], options: object = {}) => {
  let before: ReturnType<Build['run']> | undefined;
  for (const name of names)
    before = w.run(name, {}, world.body(name), { after: before === undefined ? [] : [before], ...options }) as never;
};
