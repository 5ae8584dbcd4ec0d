/** The harness `multi`: two workers and a client on one file; every two seconds one of the workers, at random, is killed from outside. */
import { setTimeout as pause } from 'node:timers/promises';
import { Random } from './random.ts';
import { reportOf, type Report } from './report.ts';
import { Trial, type TrialOptions } from './trial.ts';

export interface MultiOptions extends TrialOptions {
  readonly seconds: number;
  readonly seed: number;
  readonly onRound?: (round: number) => void;
}

const EVERY_MS = 2_000;
const OPEN_RUNS = 150;
/** The client dies with a worker in so many rounds. */
const CLIENT_KILLED = 0.2;

export async function multi(options: MultiOptions): Promise<Report> {
  const random = new Random(options.seed);
  const trial = new Trial(options, OPEN_RUNS);
  try {
    const workers = [trial.startWorker(0, null), trial.startWorker(1, null)];
    trial.ensureClient();
    for (let round = 1; round * EVERY_MS <= options.seconds * 1_000; round++) {
      // Not in step with anything: the instant is random within the interval, the interval as a whole two seconds.
      const offset = random.next() * EVERY_MS;
      await pause(offset);
      const slot = random.int(0, 1);
      const dead = workers[slot];
      if (dead === undefined) break;
      dead.kill();
      await dead.exited;
      trial.look(dead);
      if (random.chance(CLIENT_KILLED)) {
        await trial.killClient();
        trial.ensureClient();
      }
      workers[slot] = trial.startWorker(slot, null);
      options.onRound?.(round);
      await pause(EVERY_MS - offset);
    }
    await trial.drain(workers);
  } finally {
    await trial.killAll();
  }
  return reportOf('multi', trial, { seed: options.seed, mustShare: true });
}
