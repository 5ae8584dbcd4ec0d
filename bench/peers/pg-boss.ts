import { PgBoss, type Job } from 'pg-boss';
import type { Flow, OpenPeer, Output, Ran } from './peer.ts';

const QUEUE = 'step';
const CONNECTIONS = 10;
const FETCHERS = 2;
const BATCH = 500;
const INSERT = 1_000;
const POLL_MS = 500;

/** A step is a job that carries its run along; the step after it is a job that the worker inserts before it completes this one. */
interface StepOfRun extends Flow {
  readonly n: number;
}

export const open: OpenPeer = async ({ url, space }, ran) => {
  const boss = new PgBoss({ connectionString: url, schema: space, max: CONNECTIONS, supervise: false, schedule: false });
  boss.on('error', (error) => process.stderr.write(`${error.message}\n`));
  await boss.start();
  await boss.createQueue(QUEUE);
  const loops = new Loops(boss, ran);
  const runAll = async (flows: readonly Flow[]): Promise<readonly Output[]> => {
    const ends = flows.map(({ run }) => loops.end(run));
    const batches = Array.from({ length: Math.ceil(flows.length / INSERT) }, (_, i) => flows.slice(i * INSERT, (i + 1) * INSERT));
    for (const batch of batches) {
      await boss.insert(
        QUEUE,
        batch.map((flow) => ({ data: { ...flow, n: 0 } satisfies StepOfRun })),
      );
      loops.wake(batch.length);
    }
    return Promise.all(ends);
  };
  return {
    runAll,
    runOne: async (flow) => (await runAll([flow]))[0] ?? { n: NaN },
    ended: () => Promise.reject(new Error('pg-boss returns the jobs of a dead worker after minutes: not measured')),
    close: async () => {
      await loops.stop();
      await boss.stop({ graceful: false });
    },
  };
};

/** Fetches by itself, so that it neither waits half a second between polls nor commits each job alone, as `work` would. */
class Loops {
  private readonly boss: PgBoss;
  private readonly ran: Ran;
  private readonly waiting = new Map<number, (output: Output) => void>();
  private sleepers: (() => void)[] = [];
  private stopped = false;
  private submissions = 0;
  private readonly running: readonly Promise<void>[];

  constructor(boss: PgBoss, ran: Ran) {
    this.boss = boss;
    this.ran = ran;
    this.running = Array.from({ length: FETCHERS }, () => this.loop());
  }

  end(run: number): Promise<Output> {
    return new Promise((resolve) => this.waiting.set(run, resolve));
  }

  /** As many loops as the jobs fill: a second fetch for a single job would only be in the way of the first. */
  wake(jobs: number): void {
    this.submissions++;
    for (const wake of this.sleepers.splice(0, Math.ceil(jobs / BATCH))) wake();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.wake(Infinity);
    await Promise.all(this.running);
  }

  private async loop(): Promise<void> {
    while (!this.stopped) {
      const { submissions } = this;
      const jobs = await this.boss.fetch<StepOfRun>(QUEUE, { batchSize: BATCH, ignoreStartAfter: true });
      if (jobs.length > 0) await this.run(jobs);
      else if (submissions === this.submissions) await this.sleep(); // else something came while it asked
    }
  }

  private async run(jobs: readonly Job<StepOfRun>[]): Promise<void> {
    const done = jobs.map(({ data }) => {
      this.ran(`${data.run}.${data.n}`);
      return { ...data, n: data.n + 1 };
    });
    const next = done.filter(({ n, size }) => n < size);
    if (next.length > 0) {
      await this.boss.insert(
        QUEUE,
        next.map((data) => ({ data })),
      );
    }
    await this.boss.complete(
      QUEUE,
      jobs.map(({ id }) => id),
    );
    for (const { run, n, size } of done) if (n >= size) this.waiting.get(run)?.({ n });
  }

  private sleep(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, POLL_MS);
      this.sleepers.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}
