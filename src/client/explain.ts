import { PawlError } from '../core/errors.ts';
import { runIdText } from '../core/ids.ts';
import type { CompiledGraph } from '../core/kernel/compile.ts';
import { planMove } from '../core/kernel/moving.ts';
import type { RunState, TaskState } from '../core/kernel/run-state.ts';
import { isRunOver } from '../core/kernel/states.ts';
import { isWhole, itemNumber } from '../core/kernel/values.ts';
import { whyRun, whyTask, type Why, type WhyFacts, type WorkerFact } from '../core/why/why.ts';
import type { RunRow, Store, WorkerRow } from '../store/store.ts';
import { obstaclesText } from './versions.ts';
import type { ItemName } from './acts.ts';
import { capacityFacts } from './waits.ts';
import type { Client, ClientWriter } from './client.ts';
import { awaitedChild } from './kin.ts';

export interface WorkerView {
  readonly id: number;
  readonly name: string;
  readonly host: string;
  readonly pid: number;
  readonly status: 'live' | 'wedged' | 'silent' | 'ended';
  readonly slots: number;
  /** Attempts that it holds. */
  readonly busy: number;
  readonly startedAt: Date;
  readonly leaseUntil: Date;
  readonly endedAt?: Date;
}

/** Ended ones tell who used to have the code. */
const ENDED_KEPT = 50;
const BUSY_SEEN = 10_000;
/** Runs in runs that one sentence goes through. */
const MAX_DEPTH = 4;

/** Answers about what happens: the sentence is made by the kernel from the run's state and the workers there are. */
export class Explainer {
  private readonly store: Store;
  private readonly client: Client;
  private readonly writer: ClientWriter;

  constructor(store: Store, client: Client, writer: ClientWriter) {
    this.store = store;
    this.client = client;
    this.writer = writer;
  }

  /** What a run, or one task of it, waits for, since when, and what lets it go on; or how and why it ended. */
  async why(id: string, task?: string, item?: ItemName, depth = 0): Promise<Why> {
    const row = await this.client.find(id);
    const looked = await this.writer.look(row.run, item !== undefined);
    if (looked?.graph == null || looked.state === null) {
      const sentence = `It was set aside because its state cannot be read (${(row.quarantined ?? 'unknown').split('\n', 1)[0] ?? ''}).`;
      return { status: row.status, sentence, tasks: [], since: null, until: null };
    }
    const { graph, state } = looked;
    const facts: WhyFacts = {
      graph,
      state,
      firstBody: (await this.store.definition(row.definition))?.firstBody ?? 0,
      now: this.writer.now(),
      workers: await this.workerFacts(),
      quarantined: row.quarantined,
      isImported: row.isImported,
      isUnclaimed: row.unclaimed,
      version: row.version,
      stays: await this.stays(row, { graph, state }),
      capacity: await capacityFacts(this.store, row),
      reason: row.reason,
      finishedAt: row.finishedAt,
    };
    if (task === undefined) return this.inside(row, state, whyRun(facts), depth);
    const node = graph.byId.get(task);
    if (node === undefined || node.cases !== null) {
      throw new PawlError('TASK_UNKNOWN', `The workflow "${row.workflow}" has no task ${JSON.stringify(task)}.`);
    }
    if (item === undefined) return whyTask(facts, node, -1, state.tasks[node.index]);
    const index = itemNumber(graph, state, node, item);
    if (index === null) throw new PawlError('TASK_UNKNOWN', `"${task}" of run ${runIdText(row.uid)} has no item ${JSON.stringify(item)}.`);
    const map = state.maps.get(node.index);
    const ended = map?.results?.[index];
    const at: TaskState | undefined = map?.open.get(index) ?? (isWhole(ended) ? ended : undefined);
    return whyTask(facts, node, index, at);
  }

  /** Where it waits for another run: that one, and what holds it up. */
  private async inside({ run }: RunRow, state: RunState, why: Why, depth: number): Promise<Why> {
    if (isRunOver[state.status] || !/\bfor a run of\b/.test(why.sentence)) return why;
    const child = await awaitedChild(this.store, run, state);
    if (child === null || depth >= MAX_DEPTH) return why;
    const id = runIdText(child.uid);
    const inner = await this.why(id, undefined, undefined, depth + 1);
    const sentence = `${why.sentence.replace(/\.$/, '')}: run ${id}: ${inner.sentence.slice(0, 1).toLowerCase()}${inner.sentence.slice(1)}`;
    return { ...why, sentence, until: why.until ?? inner.until };
  }

  /** Where the newest version of its workflow is another one: why the run is not of that. */
  private async stays(row: RunRow, { graph, state }: { readonly graph: CompiledGraph; readonly state: RunState }): Promise<string | null> {
    const newest = (await this.store.versions([row.workflow])).at(-1);
    if (newest === undefined || newest.id <= row.definition || isRunOver[row.status]) return null;
    if (graph.graph.onDeploy === 'pin') return 'it is pinned to that version';
    const target = await this.writer.graph(newest.id);
    if (target === null) return null;
    const plan = planMove(graph, target, state);
    if (plan.kind === 'stay') return `it cannot move to "${newest.version}": ${obstaclesText(plan.obstacles)}`;
    return `it moves to "${newest.version}" when a worker has that, unless a person moved it here`;
  }

  async workers(): Promise<WorkerView[]> {
    const rows = [...(await this.store.workers()), ...(await this.store.endedWorkers(ENDED_KEPT))];
    const now = this.writer.now();
    return Promise.all(rows.map(async (row) => workerView(row, await this.busy(row), now)));
  }

  private async busy(row: WorkerRow): Promise<number> {
    return row.endedAt === null ? (await this.store.heldBy(row.id, BUSY_SEEN)).length : 0;
  }

  private async workerFacts(): Promise<WorkerFact[]> {
    const rows = [...(await this.store.workers()), ...(await this.store.endedWorkers(ENDED_KEPT))];
    const now = this.writer.now();
    return Promise.all(
      rows.map(async (row) => ({
        id: row.id,
        name: row.name,
        isLive: statusOf(row, now) === 'live',
        slots: row.slots,
        busy: await this.busy(row),
        seenAt: row.endedAt ?? Math.min(row.leaseUntil, now),
        serves: new Set(row.serves),
      })),
    );
  }
}

function statusOf(row: WorkerRow, now: number): WorkerView['status'] {
  if (row.endedAt !== null) return 'ended';
  if (row.fenced || row.leaseUntil < now) return 'silent';
  return row.wedged ? 'wedged' : 'live';
}

function workerView(row: WorkerRow, busy: number, now: number): WorkerView {
  const { id, name, host, pid, slots, startedAt, leaseUntil, endedAt } = row;
  return {
    id,
    name,
    host,
    pid,
    status: statusOf(row, now),
    slots,
    busy,
    startedAt: new Date(startedAt),
    leaseUntil: new Date(leaseUntil),
    ...(endedAt === null ? {} : { endedAt: new Date(endedAt) }),
  };
}
