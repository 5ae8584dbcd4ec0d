import { FlowProducer, Queue, Worker, type FlowJob, type Job } from 'bullmq';
import { Redis } from 'ioredis';
import { until, type Flow, type OpenPeer, type Output, type Place, type Ran } from './peer.ts';

const QUEUE = 'step';
const CONCURRENCY = 100;
const POLL_MS = 20;

interface StepOfRun {
  readonly run: number;
  readonly body: 'first' | 'next' | 'list' | 'item' | 'count';
  readonly n: number;
  /** The job whose end is the run's. */
  readonly isLast: boolean;
}

export const open: OpenPeer = async (place, ran) => {
  await (await connected(place)).quit();
  const connection = new Redis(place.url, { maxRetriesPerRequest: null });
  const settings = { connection, prefix: place.space };
  const producer = new FlowProducer(settings);
  const queue = new Queue(QUEUE, settings);
  const waiting = new Map<number, (output: Output) => void>();
  const worker = new Worker<StepOfRun>(QUEUE, (job) => body(job, producer, ran), { ...settings, concurrency: CONCURRENCY });
  worker.on('completed', ({ data }, result) => data.isLast && waiting.get(data.run)?.(result as Output));
  worker.on('failed', (_, error) => process.stderr.write(`${error.message}\n`));
  worker.on('error', (error) => process.stderr.write(`${error.message}\n`));
  await Promise.all([worker.waitUntilReady(), producer.waitUntilReady()]);
  const runAll = async (flows: readonly Flow[]): Promise<readonly Output[]> => {
    const ends = flows.map(({ run }) => new Promise<Output>((resolve) => waiting.set(run, resolve)));
    await producer.addBulk(flows.map(firstJobs));
    return Promise.all(ends);
  };
  return {
    runAll,
    runOne: async (flow) => (await runAll([flow]))[0] ?? { n: NaN },
    ended: async (flows) => {
      const jobs = flows.reduce((sum, { size }) => sum + size, 0);
      await until(async () => ((await queue.getJobCounts('completed'))['completed'] ?? 0) >= jobs, POLL_MS);
    },
    close: async () => {
      await worker.close();
      await Promise.all([producer.close(), queue.close()]);
      await connection.quit();
    },
  };
};

function step(data: StepOfRun, children: FlowJob[]): FlowJob {
  return { name: data.body, queueName: QUEUE, data, ...(children.length > 0 && { children }) };
}

/** A flow runs its children first: a chain is nested, the last step outside. The map of a fan is not known before its list is. */
function firstJobs({ kind, size, run }: Flow): FlowJob {
  if (kind === 'fan') return step({ run, body: 'list', n: size, isLast: false }, []);
  let job = step({ run, body: 'first', n: 0, isLast: size === 1 }, []);
  for (let n = 1; n < size; n++) job = step({ run, body: 'next', n, isLast: n === size - 1 }, [job]);
  return job;
}

async function body(job: Job<StepOfRun>, producer: FlowProducer, ran: Ran): Promise<unknown> {
  const { run, body: kind, n } = job.data;
  if (kind === 'list') {
    const items = Array.from({ length: n }, (_, i) => step({ run, body: 'item', n: i, isLast: false }, []));
    await producer.addBulk([step({ run, body: 'count', n: 0, isLast: true }, items)]);
    return { n };
  }
  if (kind === 'count') return { n: Object.keys(await job.getChildrenValues()).length };
  ran(`${run}.${n}`);
  if (kind === 'item') return { n };
  if (kind === 'first') return { n: 1 };
  const [below] = Object.values(await job.getChildrenValues()) as Output[];
  return { n: (below?.n ?? NaN) + 1 };
}

/** Tried once: a worker would try for ever, and say nothing. */
async function connected({ url }: Place): Promise<Redis> {
  const redis = new Redis(url, { lazyConnect: true, maxRetriesPerRequest: null, retryStrategy: () => null });
  let reason: Error | undefined;
  redis.on('error', (error) => (reason = error));
  await redis.connect().catch((error: unknown) => {
    throw reason ?? error;
  });
  return redis;
}

/** Removes every key of a round. */
export async function remove(place: Place): Promise<void> {
  const { space } = place;
  const redis = await connected(place);
  let cursor = '0';
  do {
    const [next, keys] = await redis.scan(cursor, 'MATCH', `${space}:*`, 'COUNT', 1_000);
    if (keys.length > 0) await redis.unlink(...keys);
    cursor = next;
  } while (cursor !== '0');
  await redis.quit();
}
