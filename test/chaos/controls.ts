/** Planted faults that the harnesses must find: a harness that finds nothing has proved nothing until it has found these. */
import { kill, type KillOptions } from './kill.ts';
import { OVER } from './kill-plan.ts';
import type { KillPlan } from './kill-switch.ts';
import { multi } from './multi.ts';

import type { Report } from './report.ts';
import { withSources, type Patch } from './sources.ts';
import type { TrialOptions } from './trial.ts';

interface Fault {
  readonly name: string;
  readonly patch: Patch;
  /** At least one of these rules must be violated: found for another reason, the fault was not found. */
  readonly rules: readonly string[];
}

/** A fault, and the short run of the harness that must find it. */
export type Control = Fault &
  (
    | { readonly harness: 'kill'; readonly kill: Pick<KillOptions, 'clientFate' | 'killPoint' | 'rounds'> }
    | { readonly harness: 'multi'; readonly seconds: number }
  );

/** In the midst of a transaction, soon after everything is at work. */
const KILL_POINT: KillPlan = { statement: 'INSERT', where: 'before', n: 300, over: OVER, delayMs: 0 };

export const CONTROLS: readonly Control[] = [
  {
    name: 'commits are acknowledged before they are made, ten of them together',
    harness: 'kill',
    patch: {
      file: 'store/sqlite/session.ts',
      find: '    this.sql = sql;',
      replace: `
    this.sql = sql;
    const { commit, beginWrite, beginRead } = this.sql;
    let acknowledged = 0;
    let isOpen = false;
    const commitLate = () => {
      acknowledged = 0;
      isOpen = false;
      if (db.isOpen && db.isTransaction) commit.run();
    };
    const put = (name, run) => Object.defineProperty(this.sql, name, { value: { run } });
    put('beginWrite', () => {
      if (isOpen) return;
      beginWrite.run();
      isOpen = true;
      setTimeout(commitLate, 100);
    });
    put('beginRead', () => void (isOpen || beginRead.run()));
    put('commit', () => {
      if (!isOpen) commit.run();
      else if (++acknowledged >= 10) commitLate();
    });`,
    },
    kill: { rounds: 4, clientFate: 'dies alone', killPoint: KILL_POINT },
    rules: ['accepted-lost', 'attempt-number', 'step-again'],
  },
  {
    name: 'finished tasks are queued again when a worker boots',
    harness: 'kill',
    patch: {
      file: 'store/sqlite/session.ts',
      find: '      result = atOnce(program(this.transaction));',
      replace: `
      if (String(program).includes('insertWorker')) this.db?.exec(\`UPDATE tasks SET status = 1, next = 0, phase = 1, output = NULL, finished_at = NULL, started_at = NULL, flags = 0
        WHERE status = 5 AND attempt > 0 AND item < 0 AND run IN (SELECT id FROM runs WHERE status < 6)\`);
      result = atOnce(program(this.transaction));`,
    },
    kill: { rounds: 3, clientFate: 'lives', killPoint: KILL_POINT },
    rules: ['ran-again'],
  },
  {
    name: 'what a dead worker held is never taken back',
    harness: 'kill',
    patch: {
      file: 'engine/sweeps/reclaim.ts',
      find: '    if (!dead && !expired) continue;',
      replace: '    if (dead || !expired) continue;',
    },
    kill: { rounds: 2, clientFate: 'lives', killPoint: KILL_POINT },
    rules: ['not-drained'],
  },
  {
    name: 'what living workers hold is taken from them',
    harness: 'multi',
    patch: {
      file: 'engine/sweeps/reclaim.ts',
      find: '    if (!dead && !expired) continue;',
      replace: `
    if (!dead && !expired) {
      await takeBack(context, other, true);
      continue;
    }`,
    },
    seconds: 4,
    rules: ['overlap'],
  },
];

const SEED = 7;
/** A fault may bring everything to a stand; then it is not waited for long. */
const ROUND_MS = 5_000;
const DRAIN_MS = 2_500;

/** Whether the harness found the fault that was planted for it. */
export async function runControl(control: Control, seed = SEED): Promise<{ found: boolean; report: Report }> {
  return withSources(control.patch, async (src) => {
    const options: TrialOptions & { seed: number } = { src, seed, drainMs: DRAIN_MS };
    const report =
      control.harness === 'kill'
        ? await kill({ ...options, ...control.kill, roundMs: ROUND_MS })
        : await multi({ ...options, seconds: control.seconds });
    return { found: report.violations.some(({ rule }) => control.rules.includes(rule)), report };
  });
}
