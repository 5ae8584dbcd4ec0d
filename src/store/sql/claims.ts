import { claimTask } from '../../core/kernel/claiming.ts';
import type { JournalWriter } from '../../core/kernel/journal.ts';
import type { QueuedTask, RunFacts, TaskState } from '../../core/kernel/run-state.ts';
import type { Place } from '../../core/capacity/capacity.ts';
import type { ClaimedRun, ClaimedTask, ClaimRequest, CommitResult } from '../store.ts';
import { STATE_FORMAT } from '../format.ts';
import { Granter, type Granted, type Slots } from './grants.ts';
import { FIRST_LANE } from './lanes.ts';
import type { LimitBook } from './limits.ts';
import { many, one, type Program } from './program.ts';
import { readFacts, readTask, type Row, type Value } from './rows.ts';
import type { Statements } from './statements.ts';
import type { TaskWriter } from './task-writer.ts';

interface Candidate {
  readonly rank: number;
  readonly kind: 'run' | 'task' | 'map';
  readonly run: number;
  readonly node: number;
  readonly item: number;
  readonly definition: number;
}

type Claimed = Pick<
  CommitResult,
  'claimedRuns' | 'claimedTasks' | 'openMaps' | 'leftRank' | 'tokensUsed' | 'limited' | 'lookAt' | 'paused'
>;

export const NOTHING_CLAIMED: Claimed = {
  claimedRuns: [],
  claimedTasks: [],
  openMaps: [],
  leftRank: null,
  tokensUsed: 0,
  limited: [],
  lookAt: null,
  paused: null,
};

const NOTHING_GRANTED: Granted = { limited: [], lookAt: null, leftRank: null };

/** Who claims, and when. */
interface Claimant {
  readonly worker: number;
  readonly now: number;
  /** Of the transaction: what was read of limits in an earlier one may be old. */
  readonly epoch: number;
}

/** Hands out queued work, best rank first: the only choice that is made here (what a claim does to a task, the kernel says). */
export class Claimer {
  private readonly sql: Statements;
  private readonly writer: TaskWriter;
  private readonly book: LimitBook;
  private readonly granter: Granter;

  constructor(sql: Statements, writer: TaskWriter, book: LimitBook) {
    this.sql = sql;
    this.writer = writer;
    this.book = book;
    this.granter = new Granter(sql, book);
  }

  *claim(request: ClaimRequest, { worker, now, epoch }: Claimant, journal: JournalWriter): Program<Claimed> {
    yield* this.book.refresh(epoch);
    const { candidates, hasLanes } = yield* this.candidates(request);
    const pass = hasLanes ? yield* this.granter.open(request, now) : null;
    const runs: ClaimedRun[] = [];
    const rows = new Map<number, Row | undefined>();
    const tasks: ClaimedTask[] = [];
    const openMaps: { run: number; node: number; rank: number }[] = [];
    let slots = request.limit;
    let token = request.firstToken;
    let left: number | null = null;
    const claimed = (task: ClaimedTask | null): boolean => {
      if (task === null) return false;
      tasks.push(task);
      token++;
      slots--;
      return true;
    };
    const take = (at: Place): Program<ClaimedTask | null> => this.claimTask(at, { token, worker }, now, journal);
    const free: Slots = {
      isFree: () => slots > 0,
      *claim(at) {
        return claimed(yield* take(at));
      },
    };
    for (const [i, candidate] of candidates.entries()) {
      if (pass !== null) yield* pass.grant(candidate.rank, free);
      if (slots <= 0) {
        left = candidate.rank;
        break;
      }
      if (candidate.kind === 'map') {
        // A map takes no slot here: how many of its items may start, only its run's state says.
        openMaps.push({ run: candidate.run, node: candidate.node, rank: candidate.rank });
      } else if (candidate.kind === 'task') {
        claimed(yield* take(candidate));
      } else {
        if (!rows.has(candidate.run))
          yield* this.claimRuns(rows, worker, pass === null ? candidates.slice(i) : [candidate], request, slots);
        const opened = this.claimRun(candidate, rows.get(candidate.run), request, { token, worker, slots }, now, journal);
        if (opened === null) continue;
        runs.push(opened);
        const started = opened.tasks.filter((task) => task.status === 'running').length;
        token += started;
        slots -= started;
        if (started < opened.tasks.length) left = candidate.rank;
      }
    }
    if (pass !== null) yield* pass.grant(Infinity, free);
    const granted = pass?.finish() ?? NOTHING_GRANTED;
    const leftRank = left === null || granted.leftRank === null ? (left ?? granted.leftRank) : Math.min(left, granted.leftRank);
    const { limited, lookAt } = granted;
    const { paused } = this.book;
    const tokensUsed = token - request.firstToken;
    return { claimedRuns: runs, claimedTasks: tasks, openMaps, leftRank, tokensUsed, limited, lookAt, paused };
  }

  /** One more than there are slots, so that the claimer knows whether something better waits. */
  private *candidates(request: ClaimRequest): Program<{ readonly candidates: readonly Candidate[]; readonly hasLanes: boolean }> {
    const limit = request.limit + 1;
    const found: Candidate[] = [];
    let hasLanes = false;
    for (
      let row = yield* one(this.sql.nextUnclaimedDefinition.get(-1));
      row !== undefined;
      row = yield* one(this.sql.nextUnclaimedDefinition.get(Number(row['definition'])))
    ) {
      const definition = Number(row['definition']);
      const claimable = request.definitions.get(definition);
      if (claimable === undefined || this.isPaused(request, claimable.firstBody + (claimable.roots[0] ?? 0))) continue;
      for (const [id, rank] of listed(yield* many(this.sql.unclaimedRuns.all(definition, STATE_FORMAT, limit)))) {
        found.push({ kind: 'run', run: Number(id), rank: Number(rank), definition, node: -1, item: -1 });
      }
    }
    for (
      let row = yield* one(this.sql.nextQueuedBody.get(0));
      row !== undefined;
      row = yield* one(this.sql.nextQueuedBody.get(Number(row['body'])))
    ) {
      if (Number(row['body']) > FIRST_LANE) {
        hasLanes = true;
        break;
      }
      if (!request.bodies.has(Number(row['body'])) || this.isPaused(request, Number(row['body']))) continue;
      for (const [run, node, item, rank] of listed(yield* many(this.sql.queuedTasks.all(Number(row['body']), STATE_FORMAT, limit)))) {
        found.push({ kind: 'task', run: Number(run), node: Number(node), item: Number(item), rank: Number(rank), definition: -1 });
      }
    }
    for (
      let row = yield* one(this.sql.nextMapBody.get(0));
      row !== undefined;
      row = yield* one(this.sql.nextMapBody.get(Number(row['body'])))
    ) {
      if (!request.bodies.has(Number(row['body'])) || this.isPaused(request, Number(row['body']))) continue;
      for (const { run, node, rank } of yield* many(this.sql.openMaps.all(Number(row['body']), STATE_FORMAT, limit))) {
        found.push({ kind: 'map', run: Number(run), node: Number(node), item: -1, rank: Number(rank), definition: -1 });
      }
    }
    return { candidates: found.sort((a, b) => a.rank - b.rank || a.run - b.run || a.node - b.node || a.item - b.item), hasLanes };
  }

  private isPaused({ places }: ClaimRequest, body: number): boolean {
    return this.book.isAnyPaused && this.book.isPaused(places.get(body));
  }

  private *claimTask(
    at: Place,
    lease: { token: number; worker: number },
    now: number,
    journal: JournalWriter,
  ): Program<ClaimedTask | null> {
    const allowed = yield* one(this.sql.claimable.get(at.run, STATE_FORMAT));
    const row = yield* one(this.sql.readTask.get(at.run, at.node, at.item));
    if (allowed === undefined || row === undefined) return null;
    const queued = this.decode(at, row);
    if (queued?.status !== 'queued') return null;
    const running = claimTask(queued, lease, now);
    this.writer.move(at.run, 0, queued, running);
    yield* one(this.sql.claimForeign.get(lease.worker, lease.worker, at.run));
    journal.run({ run: at.run, generation: running.generation });
    journal.task(queued, running);
    return { run: at.run, definition: Number(allowed['definition']), task: running };
  }

  /** A row that cannot be decoded must not stop the others: its run is set aside here and now. */
  private decode(at: Place, row: Row): TaskState | null {
    try {
      return readTask(row);
    } catch (error) {
      this.sql.quarantine.run(error instanceof Error ? error.message : String(error), at.run);
      this.sql.hideTasks.run(at.run);
      this.sql.hideMaps.run(at.run);
      return null;
    }
  }

  /** Runs that follow each other in the line, as many as have a slot: they are claimed together. */
  private *claimRuns(
    rows: Map<number, Row | undefined>,
    worker: number,
    line: readonly Candidate[],
    { definitions }: ClaimRequest,
    slots: number,
  ): Program<void> {
    const ids: number[] = [];
    for (let i = 0, left = slots; left > 0 && line[i]?.kind === 'run'; i++) {
      const { run, definition } = line[i] as Candidate;
      ids.push(run);
      rows.set(run, undefined);
      left -= definitions.get(definition)?.roots.length ?? 0;
    }
    for (const values of listed(yield* many(this.sql.claimRuns.all(worker, JSON.stringify(ids)))))
      rows.set(Number(values[0]), claimedRow(values));
  }

  private claimRun(
    at: Candidate,
    row: Row | undefined,
    request: ClaimRequest,
    lease: { token: number; worker: number; slots: number },
    now: number,
    journal: JournalWriter,
  ): ClaimedRun | null {
    const definition = request.definitions.get(at.definition);
    if (definition === undefined || row === undefined) return null;
    const facts = readFacts(row, at.run);
    journal.run(facts);
    const tasks = definition.roots.map((node, i) => {
      const queued = rootTask(facts, node);
      const task = i < lease.slots ? claimTask(queued, { token: lease.token + i, worker: lease.worker }, now) : queued;
      this.writer.insert(at.run, definition.firstBody + node, task);
      journal.task(undefined, task);
      return task;
    });
    return {
      definition: at.definition,
      traceparent: row['traceparent'] as string | null,
      dueAt: row['due_at'] === null ? null : Number(row['due_at']),
      facts,
      uid: row['uid'] as Uint8Array,
      tasks,
    };
  }
}

/** A plain root as `openRun` would have queued it when the run was accepted. */
function rootTask(facts: RunFacts, node: number): QueuedTask {
  return {
    node,
    item: -1,
    generation: facts.generation,
    attempt: 0,
    begun: 0,
    losses: 0,
    crashes: 0,
    handBacks: 0,
    draws: [],
    ranMs: 0,
    rank: facts.rank,
    firstQueuedAt: facts.startAt ?? facts.acceptedAt,
    effect: 1,
    edited: null,
    status: 'queued',
    phase: 'body',
    next: 'start',
    expiresAt: null,
  };
}

const listed = (rows: readonly unknown[]): readonly (readonly Value[])[] => rows as readonly (readonly Value[])[];

/** In the order of `claimRuns`. */
function claimedRow(values: readonly Value[]): Row {
  return {
    uid: values[1] ?? null,
    status: values[2] ?? null,
    generation: values[3] ?? null,
    rev: values[4] ?? null,
    rank: values[5] ?? null,
    accepted_at: values[6] ?? null,
    start_at: values[7] ?? null,
    deadline_at: values[8] ?? null,
    traceparent: values[9] ?? null,
    due_at: values[10] ?? null,
    input: values[11] ?? null,
    flow: values[12] ?? null,
    parent: values[13] ?? null,
    parent_node: values[14] ?? null,
    parent_item: values[15] ?? null,
    parent_generation: values[16] ?? null,
    parent_name: values[17] ?? null,
    parent_kind: values[18] ?? null,
    tree: values[19] ?? null,
    recall: values[20] ?? null,
    completion: values[21] ?? null,
  };
}
