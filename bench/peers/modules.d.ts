/**
 * What bench/peers uses of the packages in bench/peers/package.json. They are installed by `--peers` alone, so the type check of a
 * fresh clone has to do without their own declarations.
 */
declare module 'openworkflow' {
  export interface Step {
    run<T>(config: { name: string }, body: () => Promise<T>): Promise<T>;
  }
  export interface Backend {
    countWorkflowRuns(): Promise<{ completed: number }>;
    stop(): Promise<void>;
  }
  export interface RunHandle<Output> {
    result(options?: { timeoutMs?: number }): Promise<Output>;
  }
  export class OpenWorkflow {
    constructor(options: { backend: Backend });
    defineWorkflow<Input, Output>(
      spec: { name: string },
      body: (context: { input: Input; step: Step }) => Promise<Output>,
    ): { run(input: Input): Promise<RunHandle<Output>> };
    newWorker(options: { concurrency: number }): { start(): Promise<void>; stop(): Promise<void> };
  }
}

declare module 'openworkflow/sqlite' {
  import type { Backend } from 'openworkflow';
  export const BackendSqlite: { connect(path: string): Backend };
}

declare module 'openworkflow/postgres' {
  import type { Backend } from 'openworkflow';
  export const BackendPostgres: { connect(url: string, options: { schema: string }): Promise<Backend> };
}

declare module '@dbos-inc/dbos-sdk' {
  export interface DbosHandle<Output> {
    getResult(options?: { pollingIntervalMs?: number }): Promise<Output>;
  }
  export const DBOS: {
    setConfig(config: {
      name: string;
      systemDatabaseUrl: string;
      systemDatabaseSchemaName: string;
      systemDatabasePoolSize: number;
      logLevel: string;
      runAdminServer: boolean;
    }): void;
    launch(): Promise<void>;
    shutdown(): Promise<void>;
    registerWorkflow<Input, Output>(body: (input: Input) => Promise<Output>, config: { name: string }): (input: Input) => Promise<Output>;
    runStep<T>(body: () => Promise<T>, config: { name: string }): Promise<T>;
    startWorkflow<Input, Output>(
      workflow: (input: Input) => Promise<Output>,
      params: { workflowID: string },
    ): (input: Input) => Promise<DbosHandle<Output>>;
    retrieveWorkflow<Output>(id: string): DbosHandle<Output>;
  };
}

declare module 'pg-boss' {
  export interface Job<Data> {
    readonly id: string;
    readonly data: Data;
  }
  export class PgBoss {
    constructor(options: { connectionString: string; schema: string; max: number; supervise: boolean; schedule: boolean });
    on(event: 'error', listener: (error: Error) => void): void;
    start(): Promise<unknown>;
    stop(options: { graceful: boolean }): Promise<void>;
    createQueue(name: string): Promise<void>;
    insert(name: string, jobs: readonly { data: object }[]): Promise<unknown>;
    fetch<Data>(name: string, options: { batchSize: number; ignoreStartAfter: boolean }): Promise<Job<Data>[]>;
    complete(name: string, ids: readonly string[]): Promise<unknown>;
  }
}

declare module 'bullmq' {
  export interface Job<Data> {
    readonly id?: string;
    readonly data: Data;
    getChildrenValues(): Promise<Record<string, unknown>>;
  }
  export interface FlowJob {
    name: string;
    queueName: string;
    data: object;
    opts?: { jobId?: string };
    children?: FlowJob[];
  }
  interface Place {
    connection: unknown;
    prefix: string;
  }
  export class FlowProducer {
    constructor(options: Place);
    addBulk(flows: FlowJob[]): Promise<unknown>;
    waitUntilReady(): Promise<unknown>;
    close(): Promise<void>;
  }
  export class Queue {
    constructor(name: string, options: Place);
    getJobCounts(...states: string[]): Promise<Record<string, number>>;
    close(): Promise<void>;
  }
  export class Worker<Data> {
    constructor(name: string, processor: (job: Job<Data>) => Promise<unknown>, options: Place & { concurrency: number });
    on(event: 'completed', listener: (job: Job<Data>, result: unknown) => void): void;
    on(event: 'failed', listener: (job: Job<Data> | undefined, error: Error) => void): void;
    on(event: 'error', listener: (error: Error) => void): void;
    waitUntilReady(): Promise<unknown>;
    close(): Promise<void>;
  }
}

declare module 'ioredis' {
  export class Redis {
    constructor(url: string, options: { maxRetriesPerRequest: null; lazyConnect?: boolean; retryStrategy?: () => null });
    on(event: 'error', listener: (error: Error) => void): void;
    connect(): Promise<void>;
    scan(cursor: string, match: 'MATCH', pattern: string, count: 'COUNT', size: number): Promise<[string, string[]]>;
    unlink(...keys: string[]): Promise<number>;
    quit(): Promise<unknown>;
  }
}

declare module 'postgres' {
  interface Sql {
    unsafe(query: string): Promise<Record<string, unknown>[]>;
    end(): Promise<void>;
  }
  export default function postgres(url: string, options: { max: number; onnotice: () => void }): Sql;
}
