/** What bodies and clients write down, one JSON object per line: the evidence that the checker judges. */
import { existsSync, fsync, openSync, readFileSync, writeSync } from 'node:fs';
import { promisify } from 'node:util';

/** Microseconds of the clock that all processes of this machine share, and that nobody sets. */
export const clock = (): number => Number(process.hrtime.bigint() / 1_000n);

export interface TaskAt {
  readonly run: string;
  readonly task: string;
  /** Index of a map's item, else -1. */
  readonly item: number;
}

interface InBody extends TaskAt {
  readonly attempt: number;
  readonly pid: number;
  readonly at: number;
}

export type BodyRecord =
  /** A body began; it is about to return; it is about to throw. */
  | (InBody & { readonly type: 'begin' | 'ok' | 'fail' })
  /** The function of a step began. */
  | (InBody & { readonly type: 'step'; readonly step: string })
  /** `ctx.step` has answered: the step's value is acknowledged. */
  | (InBody & { readonly type: 'stepped'; readonly step: string; readonly value: string });

export type ClientRecord =
  | { readonly type: 'ask'; readonly key: string; readonly at: number }
  | { readonly type: 'ack'; readonly key: string; readonly run: string; readonly created: boolean; readonly at: number }
  /** `start` was rejected; the client asks again with the same key. */
  | { readonly type: 'refused'; readonly key: string; readonly code: string; readonly at: number }
  /** `result()` was given. `problem`: what is wrong with it. */
  | { readonly type: 'result'; readonly run: string; readonly at: number; readonly problem?: string };

export const taskKey = ({ run, task, item }: TaskAt): string => `${run} ${task} ${item}`;

const flush = promisify(fsync);

/** A file of records. Those that are written while a flush is under way share the next one. */
export class DurableLog<R> {
  private readonly file: number;
  private waiting: (() => void)[] = [];
  private isFlushing = false;

  constructor(path: string) {
    this.file = openSync(path, 'a');
  }

  /** In the file, and safe from the death of this process, when this returns; resolves when it is on the disk. */
  append(record: R): Promise<void> {
    writeSync(this.file, `${JSON.stringify(record)}\n`);
    return new Promise((resolve, reject) => {
      this.waiting.push(resolve);
      if (!this.isFlushing) this.flush().catch(reject);
    });
  }

  private async flush(): Promise<void> {
    this.isFlushing = true;
    while (this.waiting.length > 0) {
      const served = this.waiting.splice(0);
      await flush(this.file);
      for (const resolve of served) resolve();
    }
    this.isFlushing = false;
  }
}

/** The records of a file; a last line that its killed writer did not finish is left out, and so is the file of one that died before it wrote. */
export function readRecords<R>(path: string): R[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8').split('\n');
  lines.pop();
  return lines.map((line) => JSON.parse(line) as R);
}
