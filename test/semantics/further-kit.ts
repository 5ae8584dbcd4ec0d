/** Cases on one line: what is given, and how everything ended as one text. */
import { workflow, type Run, type Build, type WorkflowOpts } from '../../src/index.ts';
import type { TestEngine } from '../../src/testing/index.ts';
import { engineOf, Naps } from './kit.ts';

export interface Case {
  readonly kit: TestEngine;
  readonly run: Run<unknown>;
  readonly naps: Naps;
  /** What bodies noted. */
  readonly said: string[];
}

export interface CaseOptions extends Omit<Partial<WorkflowOpts>, 'name'> {
  /** Virtual seconds until everything is looked at. Default 60. */
  readonly seconds?: number;
  /** What happens before they have passed. */
  readonly meanwhile?: (at: Case) => Promise<unknown>;
}

const LETTERS: Readonly<Record<string, string>> = {
  success: 'S',
  failed: 'F',
  upstream_failed: 'X',
  skipped: 'K',
  cancelled: 'C',
  pending: 'pending',
  queued: 'queued',
  running: 'running',
  retrying: 'retrying',
  waiting: 'waiting',
};
/** What a letter alone stands for. */
const USUAL: readonly (string | undefined)[] = [undefined, 'error', 'condition'];

/** `A=S B=F:timeout*3 run=failed`: every task with its reason and, where it is not one, its attempts; `!` is a handled failure. */
export async function shownAs(run: Run<unknown>): Promise<string> {
  const rows = await run.tasks({ items: true });
  const { status, reason } = await run.status();
  const parts = rows.map((row) => {
    const name = row.item === undefined ? row.task : `${row.task}[${row.item}]`;
    const why = USUAL.includes(row.reason) ? '' : `:${row.reason}`;
    return `${name}=${LETTERS[row.status]}${row.handled === true ? '!' : ''}${why}${row.attempt > 1 ? `*${row.attempt}` : ''}`;
  });
  return [...parts, `run=${status}${USUAL.includes(reason) ? '' : `:${reason}`}`].join(' ');
}

/** Runs it and says how it ended. */
export async function ends(build: (w: Build, at: { naps: Naps; said: string[] }) => unknown, options: CaseOptions = {}): Promise<string> {
  return (await begun(build, options)).shown;
}

/** The same, with what the bodies noted and what the run gave. */
export async function begun(
  build: (w: Build, at: { naps: Naps; said: string[] }) => unknown,
  { seconds = 60, meanwhile, ...opts }: CaseOptions = {},
): Promise<Case & { readonly shown: string; readonly result: unknown }> {
  const naps = new Naps();
  const said: string[] = [];
  const one = workflow({ ...opts, name: 'case' }, (w) => (build(w, { naps, said }) ?? {}) as Record<string, never>);
  const kit = naps.on(engineOf(one));
  const run = await kit.start(one);
  await naps.pass(0);
  await meanwhile?.({ kit, run, naps, said });
  await naps.pass(seconds);
  const { status } = await run.status();
  const isOver = ['success', 'partial', 'failed', 'cancelled', 'skipped'].includes(status);
  const result = isOver ? await run.result().catch((error: { code: string }) => error.code) : undefined;
  return { kit, run, naps, said, shown: await shownAs(run), result };
}
