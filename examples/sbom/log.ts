/**
 * A diary of bodies beside the engine's own records, so that the demo need not believe the engine: every body writes a line when it begins
 * and one when it ends, and each line is on the disk before the body goes on.
 */
import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import { NonRetryableError, type Ctx } from '../../src/index.ts';

export interface BodyRecord {
  readonly event: 'began' | 'ended';
  readonly run: string;
  readonly task: string;
  /** Of a map's item: the package's path. */
  readonly item: string | null;
  readonly attempt: number;
  readonly pid: number;
  /** How it ended: `refused` is a failure for good, `error` one that is tried again. */
  readonly outcome?: 'ok' | 'refused' | 'error';
}

export type Body<I, O> = (input: I, ctx: Ctx) => O | Promise<O>;

/** Wraps bodies so that they write to the diary. */
export function diary(file: string): <I, O>(body: Body<I, O>, itemOf?: (input: I) => string) => Body<I, O> {
  const write = (record: BodyRecord): void => {
    // Opened for appending, written in one call: lines of two processes never mix.
    const handle = openSync(file, 'a');
    try {
      writeSync(handle, `${JSON.stringify(record)}\n`);
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
  };
  return (body, itemOf) => async (input, ctx) => {
    const facts = { run: ctx.runId, task: ctx.task, item: itemOf?.(input) ?? null, attempt: ctx.attempt, pid: process.pid };
    write({ event: 'began', ...facts });
    try {
      const output = await body(input, ctx);
      write({ event: 'ended', ...facts, outcome: 'ok' });
      return output;
    } catch (error) {
      write({ event: 'ended', ...facts, outcome: error instanceof NonRetryableError ? 'refused' : 'error' });
      throw error;
    }
  };
}

export function readDiary(file: string): BodyRecord[] {
  const lines = readFileSync(file, 'utf8').split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as BodyRecord);
}
