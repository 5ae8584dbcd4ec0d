import { setTimeout as pause } from 'node:timers/promises';
import type { Ctx } from '../../src/index.ts';
import { clock, type BodyRecord, type DurableLog, type TaskAt } from './records.ts';

/** A body works so long, in milliseconds, give or take: long enough that many run at every instant. */
const WORK_MS = { least: 10, most: 80 };

/** Runs the workload's bodies, and writes down what they do before they do it. */
export class Bodies {
  /** Begun and not ended. */
  running = 0;
  private readonly log: DurableLog<BodyRecord>;

  constructor(log: DurableLog<BodyRecord>) {
    this.log = log;
  }

  async run<T>(ctx: Ctx, item: number, work: () => T | Promise<T>): Promise<T> {
    this.running++;
    await this.log.append({ type: 'begin', ...at(ctx, item), ...now(ctx) });
    await pause(WORK_MS.least + Math.random() * (WORK_MS.most - WORK_MS.least));
    try {
      const value = await work();
      await this.log.append({ type: 'ok', ...at(ctx, item), ...now(ctx) });
      return value;
    } catch (error) {
      await this.log.append({ type: 'fail', ...at(ctx, item), ...now(ctx) });
      throw error;
    } finally {
      this.running--;
    }
  }

  /** A step whose value tells one execution of its function from another. */
  async step(ctx: Ctx, step: string, work: () => number): Promise<number> {
    const recorded = await ctx.step(step, async () => {
      await this.log.append({ type: 'step', step, ...at(ctx, -1), ...now(ctx) });
      return { value: work(), nonce: Math.random() };
    });
    await this.log.append({ type: 'stepped', step, value: JSON.stringify(recorded), ...at(ctx, -1), ...now(ctx) });
    return recorded.value;
  }
}

const at = (ctx: Ctx, item: number): TaskAt => ({ run: ctx.runId, task: ctx.task, item });
const now = (ctx: Ctx): { attempt: number; pid: number; at: number } => ({ attempt: ctx.attempt, pid: process.pid, at: clock() });
