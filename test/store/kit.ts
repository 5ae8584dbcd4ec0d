import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openRun } from '../../src/core/kernel/advance.ts';
import { claimInPlace } from '../../src/core/kernel/claiming.ts';
import { noChanges, type Changes, type TaskChange } from '../../src/core/kernel/changes.ts';
import { compileGraph, type CompiledGraph } from '../../src/core/kernel/compile.ts';
import {
  emptyRunState,
  type EndedTask,
  type QueuedTask,
  type RetryingTask,
  type RunFacts,
  type RunningTask,
  type RunState,
  type TaskState,
  type ParentLink,
} from '../../src/core/kernel/run-state.ts';
import { task, workflow, type Schema } from '../../src/index.ts';
import {
  isBroken,
  type Batch,
  type ClaimRequest,
  type LoadedRun,
  type RunWrite,
  type Store,
  type StartWrite,
  type StoredDefinition,
  type WorkerFacts,
} from '../../src/store/store.ts';

/** Builds what the engine would hand to a store, through the kernel, so that the cases stay true to what is really written. */
export const T0 = 1_800_000_000_000;
/** What an operator did, where a test asks for no more. */
export const operatorAct = { actor: 'ada', action: 'pause', subject: 'queue:media', facts: '{}', note: 'n' };
export const SETTINGS = { maxPayload: 1_048_576, maxLost: 3 };

/** A schema that takes what comes: for its type alone. */
export const anything = <T>(): Schema<T> => ({ '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) } });

const body = (): number => 1;
const item = task({ name: 'item', run: (i: { n: number }) => i.n });

export const WORKFLOWS = {
  single: workflow({ name: 'single' }, (w) => ({ a: w.run('a', {}, body) })),
  other: workflow({ name: 'other' }, (w) => ({ z: w.run('z', {}, body) })),
  chain: workflow({ name: 'chain' }, (w) => {
    const a = w.run('a', {}, body);
    const b = w.run('b', { a }, ({ a: n }) => n);
    return { c: w.run('c', { b }, ({ b: n }) => n) };
  }),
  wide: workflow({ name: 'wide' }, (w) => ({ a: w.run('a', {}, body), b: w.run('b', {}, body), c: w.run('c', {}, body) })),
  mapped: workflow({ name: 'mapped', input: anything<{ list: number[] }>() }, (w, input) => ({
    all: w.map(input.list, item, (n) => ({ n })),
  })),
};
export type Name = keyof typeof WORKFLOWS;

export interface Defined {
  readonly stored: StoredDefinition;
  readonly graph: CompiledGraph;
}

export async function define(store: Store, name: Name, at = T0): Promise<Defined> {
  const { graph } = WORKFLOWS[name];
  const [stored] = await store.define([{ workflow: name, version: '1', hash: `hash of ${name}`, graph, at }]);
  const read = stored === undefined ? null : await store.definition(stored.id);
  if (read === null) throw new Error('not defined');
  return { stored: read, graph: compileGraph(read.graph) };
}

export const batch = (over: Partial<Batch> = {}): Batch => ({
  now: T0,
  worker: 1,
  starts: [],
  runs: [],
  steps: [],
  logs: [],
  share: [],
  claim: null,
  ...over,
});

let uids = 0;
/** A public id nobody had before. */
export function uid(): Uint8Array {
  const bytes = new Uint8Array(16);
  new DataView(bytes.buffer).setUint32(12, ++uids);
  return bytes;
}

export interface StartOver extends Partial<Omit<StartWrite, 'state' | 'changes'>> {
  readonly run?: number;
  readonly rank?: number;
  readonly at?: number;
  readonly input?: string | null;
  readonly startAt?: number | null;
  readonly deadlineAt?: number | null;
  readonly parent?: ParentLink | null;
  /** Claims every root at once, under these tokens. */
  readonly lease?: { readonly token: number; readonly worker: number };
}

/** With all of its state, as its process keeps it. */
export type Opening = StartWrite & { readonly state: RunState };

/** A run to accept: its roots queued, or claimed where `lease` is given, or none yet where it is unclaimed or starts later. */
export async function newStart(store: Store, { stored, graph }: Defined, over: StartOver = {}): Promise<Opening> {
  const {
    run = (await store.reserve(1, 0)).firstRun,
    at = T0,
    rank = at,
    input = null,
    startAt = null,
    deadlineAt = null,
    parent = null,
    lease,
    ...rest
  } = over;
  const facts: RunFacts = {
    run,
    generation: 1,
    rev: 1,
    status: startAt === null ? 'running' : 'scheduled',
    resumeTo: null,
    parent,
    rank,
    startAt,
    acceptedAt: at,
    deadlineAt,
    input,
    cause: null,
    cancelAsked: null,
  };
  const opened =
    rest.unclaimed === true ? { state: emptyRunState(graph, facts), changes: noChanges() } : openRun(graph, facts, at, SETTINGS);
  if (lease !== undefined) {
    let { token } = lease;
    for (const change of opened.changes.tasks) {
      if (change.to.status === 'queued') claimInPlace(opened.state, change, { token: token++, worker: lease.worker }, at);
    }
  }
  const owner = lease?.worker ?? null;
  return {
    uid: uid(),
    definition: stored.id,
    firstBody: stored.firstBody,
    workflow: stored.workflow,
    key: null,
    tags: [],
    traceparent: null,
    unclaimed: false,
    link: null,
    act: null,
    owner,
    ...opened,
    ...rest,
  };
}

export interface Held {
  readonly write: Opening;
  readonly state: RunState;
  readonly run: number;
  epoch: number;
}

/** Accepts a run and keeps its state as its process would. */
export async function started(store: Store, defined: Defined, over: StartOver = {}): Promise<Held> {
  const write = await newStart(store, defined, over);
  const { epoch, starts } = await store.commit(batch({ now: over.at ?? T0, starts: [write] }));
  if (starts[0]?.created !== true) throw new Error('not created');
  return { write, state: write.state, run: write.state.run, epoch };
}

export const changes = (...tasks: TaskChange[]): Changes => ({ ...noChanges(), tasks });

export const runWrite = (held: Pick<Held, 'state' | 'epoch' | 'write'>, decided: Changes, shared = false): RunWrite => ({
  firstBody: held.write.firstBody,
  state: held.state,
  act: null,
  move: null,
  cache: null,
  epoch: held.epoch,
  shared,
  changes: decided,
});

const base = {
  node: 0,
  item: -1,
  generation: 1,
  attempt: 0,
  begun: 0,
  losses: 0,
  crashes: 0,
  handBacks: 0,
  draws: [],
  ranMs: 0,
  rank: T0,
  firstQueuedAt: T0,
  effect: 1,
  edited: null,
} as const;

export const queuedTask = (over: Partial<QueuedTask> = {}): QueuedTask => ({
  ...base,
  status: 'queued',
  phase: 'body',
  next: 'start',
  expiresAt: null,
  ...over,
});
export const runningTask = (token: number | null, over: Partial<RunningTask> = {}): RunningTask => ({
  ...base,
  attempt: 1,
  begun: 1,
  status: 'running',
  phase: 'body',
  lease: token === null ? null : { token, worker: 1 },
  startedAt: T0,
  ...over,
});
export const retryingTask = (over: Partial<RetryingTask> = {}): RetryingTask => ({
  ...base,
  attempt: 1,
  begun: 1,
  status: 'retrying',
  dueAt: T0 + 1_000,
  reason: 'error',
  error: '{"name":"Error","message":"no"}',
  ...over,
});
export const endedTask = (status: EndedTask['status'], over: Partial<EndedTask> = {}): EndedTask => ({
  ...base,
  attempt: 1,
  begun: 1,
  status,
  reason: null,
  output: null,
  error: null,
  startedAt: T0,
  finishedAt: T0 + 5,
  allowed: false,
  partial: false,
  dead: false,
  stale: false,
  cached: false,
  handled: false,
  completion: null,
  ...over,
});

export async function loaded(store: Store, run: number, items: readonly number[] = []): Promise<LoadedRun> {
  const [one] = await store.load([{ run, items }]);
  if (one === undefined || isBroken(one)) throw new Error(`run ${run} could not be loaded`);
  return one;
}

export const stateOf = async (store: Store, run: number, node = 0, at = -1): Promise<TaskState | undefined> =>
  (await store.tasksOf(run, true)).find((one) => one.node === node && one.item === at);

export const facts = (over: Partial<WorkerFacts> = {}): WorkerFacts => ({
  name: 'w',
  host: 'h',
  pid: 1,
  pidStarted: '1',
  bootId: 'b',
  pidNamespace: 'n',
  slots: 20,
  serves: [],
  startedAt: T0,
  ...over,
});

export function claimOf(limit: number, firstToken: number, ...defined: Defined[]): ClaimRequest {
  return {
    limit,
    firstToken,
    definitions: new Map(defined.map(({ stored, graph }) => [stored.id, { firstBody: stored.firstBody, roots: graph.plainRoots ?? [] }])),
    places: new Map(),
    bodies: new Set(defined.flatMap(({ stored, graph }) => graph.nodes.map((node) => stored.firstBody + node.index))),
  };
}

/** A folder that is gone when the test is over. */
export function folder(): { readonly path: string; readonly remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'pawl-store-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}
