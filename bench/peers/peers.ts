/**
 * The peers and how much of each workload they get. Their settings stand in their own files; README.md says why they are so.
 * This file loads none of them.
 */
export type ServerVariable = 'PAWL_BENCH_POSTGRES_URL' | 'PAWL_BENCH_REDIS_URL';

export interface Peer {
  /** As in `engine` of the JSON. */
  readonly name: string;
  readonly title: string;
  readonly store: 'sqlite' | 'postgres' | 'redis';
  /** Its package, whose version is shown. */
  readonly packageName: string;
  /** Where the address of its server stands. Without it the peer is not measured. */
  readonly server?: ServerVariable;
  /** The most that it gets of a workload: runs, tasks or items. A workload without an entry is not measured. */
  readonly most: Readonly<Record<string, number>>;
}

const queue = { w1: 10_000, w2: 300, w3: 1_000 };
const engine = { w1: 500, w2: 300, w3: 1_000, w5: 500 };

export const peers: readonly Peer[] = [
  {
    name: 'openworkflow',
    title: 'OpenWorkflow',
    store: 'sqlite',
    packageName: 'openworkflow',
    // A run of it has at most 1,000 steps: 998 items beside the list and the count.
    most: { ...engine, w4: 998 },
  },
  {
    name: 'openworkflow',
    title: 'OpenWorkflow',
    store: 'postgres',
    packageName: 'openworkflow',
    server: 'PAWL_BENCH_POSTGRES_URL',
    most: { ...engine, w4: 998 },
  },
  {
    name: 'dbos',
    title: 'DBOS',
    store: 'postgres',
    packageName: '@dbos-inc/dbos-sdk',
    server: 'PAWL_BENCH_POSTGRES_URL',
    most: { ...engine, w4: 1_000 },
  },
  {
    name: 'pg-boss',
    title: 'pg-boss (a queue)',
    store: 'postgres',
    packageName: 'pg-boss',
    server: 'PAWL_BENCH_POSTGRES_URL',
    most: queue,
  },
  {
    name: 'bullmq',
    title: 'BullMQ (a queue with flows)',
    store: 'redis',
    packageName: 'bullmq',
    server: 'PAWL_BENCH_REDIS_URL',
    most: { ...queue, w4: 1_000, w5: 500 },
  },
];

/** What tells the peer from the others in a command line. */
export const keyOf = ({ name, store }: Peer): string => `${name}-${store}`;
