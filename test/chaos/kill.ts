/** The harness `kill`: one worker, killed with SIGKILL at a random write of its store, again and again. */
import { killPlan } from './kill-plan.ts';
import type { KillPlan } from './kill-switch.ts';
import { Random } from './random.ts';
import { reportOf, type Report } from './report.ts';
import { Trial, type TrialOptions } from './trial.ts';

export interface KillOptions extends TrialOptions {
  readonly rounds: number;
  readonly seed: number;
  /** What becomes of the client in every round; else a random choice. */
  readonly clientFate?: ClientFate;
  /** The kill point of every round but the first; else a random choice. */
  readonly killPoint?: KillPlan;
  /** A worker that does not come to its kill point in this time stands still. Default 20 s. */
  readonly roundMs?: number;
  readonly onRound?: (round: number) => void;
}

/**
 * It outlives the worker; or it dies, too, when the worker is dead: then nobody has the file open, and the next one to open it recovers its
 * log; or it dies while the worker works, in the midst of its own starts, and another takes its place at once.
 */
type ClientFate = 'lives' | 'dies with the worker' | 'dies alone';
const FATES = ['lives', 'lives', 'lives', 'dies with the worker', 'dies alone'] as const;
/** When a client that dies alone does so, counted from the worker's start: once both are at work. */
const DIES_AFTER_MS = { least: 400, most: 1_200 };
const OPEN_RUNS = 60;
const ROUND_MS = 20_000;

export async function kill(options: KillOptions): Promise<Report> {
  const random = new Random(options.seed);
  const trial = new Trial(options, OPEN_RUNS);
  try {
    for (let round = 0; round < options.rounds; round++) {
      const fate = options.clientFate ?? random.pick(FATES);
      const drawn = killPlan(random, round);
      const worker = trial.startWorker(0, round === 0 ? drawn : (options.killPoint ?? drawn));
      // The first worker creates the file, alone.
      if (round > 0) trial.ensureClient();
      if (fate === 'dies alone' && !(await worker.endsWithin(random.int(DIES_AFTER_MS.least, DIES_AFTER_MS.most))) && round > 0) {
        await trial.killClient();
        trial.ensureClient();
      }
      if (!(await worker.endsWithin(options.roundMs ?? ROUND_MS))) {
        trial.complain('stalled', `${worker.life} did not come to its kill point`);
        break;
      }
      if (fate === 'dies with the worker') await trial.killClient();
      trial.look(worker);
      options.onRound?.(round + 1);
    }
    await trial.drain([trial.startWorker(0, null)]);
  } finally {
    await trial.killAll();
  }
  return reportOf('kill', trial, { seed: options.seed, mustShare: false });
}
