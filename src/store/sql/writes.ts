import type { AttemptRecord, Changes, RecordChange } from '../../core/kernel/changes.ts';
import { ALL_ITEMS } from '../../core/kernel/letting-go.ts';
import type { JournalWriter } from '../../core/kernel/journal.ts';
import { LINK_KINDS, NO_FLOW, type TaskState } from '../../core/kernel/run-state.ts';
import { renameSteps } from '../../core/kernel/moving.ts';
import { REQUEST_MS } from '../../core/kernel/reset.ts';
import { flowText, wakeOf } from '../../core/kernel/run-flow.ts';
import { isRunOver } from '../../core/kernel/states.ts';
import type { ActWrite } from '../acts.ts';
import { STATE_FORMAT } from '../format.ts';
import type { CacheWrite, KeyClaim, LogWrite, MoveWrite, RunWrite, StartResult, StartWrite, StepWrite, WrittenRun } from '../store.ts';
import { readNeeds, type Lanes } from './lanes.ts';
import { many, mustChange, one, type Program, type Written } from './program.ts';
import { runCode } from './rows.ts';
import { FireWriter } from './schedules.ts';
import type { Statements } from './statements.ts';
import { BODY_TABLES, NODE_TABLES } from './tables.ts';
import type { TaskWriter } from './task-writer.ts';

const NOTHING: readonly CacheWrite[] = [];

const hasNeeds = ({ tasks }: Changes): boolean => tasks.some(({ needs }) => needs !== undefined);

const CREATED: StartResult = { created: true };

/** What waits in the queue, where it is bounded. */
interface Queue {
  readonly bound: number;
  waiting: number;
}

type LanesOfTasks = ReadonlyMap<TaskState, number>;

interface Relaned {
  readonly lane: number;
  readonly node: number;
  readonly item: number;
}

const hasRun = ({ from }: Changes['tasks'][number]): boolean => from?.status === 'running';

/** What the kernel decided about runs, as rows. */
export class RunWriter {
  private readonly sql: Statements;
  private readonly tasks: TaskWriter;
  private readonly lanes: Lanes;
  private readonly fires: FireWriter;
  /** Keys of workflows that runs ask for, or have given up, since the transaction began. */
  readonly keys = new Set<string>();
  /** Whether there is a key that its run gives up at its end; null where this transaction has not looked. */
  private hasOpenKeys: boolean | null = null;

  constructor(sql: Statements, tasks: TaskWriter, lanes: Lanes) {
    this.sql = sql;
    this.tasks = tasks;
    this.lanes = lanes;
    this.fires = new FireWriter(sql);
  }

  /** A transaction begins: what an earlier one found, or left undone, holds no more. */
  begin(): void {
    this.keys.clear();
    this.hasOpenKeys = null;
  }

  /** What waits in the queue, counted up to `bound`. */
  *backlog(bound: number): Program<number> {
    return Number((yield* one(this.sql.countQueued.get(bound)))?.['n']);
  }

  /** It asks for nothing before it is written: most starts do not, and a commit has many. */
  isPlainStart({ act, link, key, fire, changes, children }: StartWrite): boolean {
    return act === null && link === null && key === null && fire === undefined && children === undefined && !hasNeeds(changes);
  }

  /** A start that {@link isPlainStart}. */
  plainStart(write: StartWrite, now: number, journal: JournalWriter, queue?: Queue): StartResult {
    if (queue !== undefined && queue.waiting >= queue.bound) return { created: false, queued: queue.bound };
    this.insertStart(write, now, journal, null, queue);
    return CREATED;
  }

  /** `queue`: what waits in it, counting those that this transaction adds. */
  *start(write: StartWrite, now: number, journal: JournalWriter, queue?: Queue): Program<StartResult> {
    const { key } = write;
    if (write.act !== null) {
      const done = yield* this.doneBefore(write.act, now);
      if (done !== null) return { created: false, done };
    }
    if (yield* this.hasMoved(write)) return { created: false, moved: write.link?.run ?? 0 };
    if (key !== null) {
      const holder = yield* this.holder(write.workflow, key, now);
      if (holder !== null) return holder;
    }
    if (queue !== undefined && queue.waiting >= queue.bound) return { created: false, queued: queue.bound };
    if (write.fire !== undefined && !(yield* this.fires.start(write.fire, now))) return { created: false, decided: true };
    const lanes = hasNeeds(write.changes) ? yield* this.lanesOf(write.state.run, write.firstBody, write.changes) : null;
    this.insertStart(write, now, journal, lanes, queue);
    for (const child of write.children ?? []) yield* this.start(child, now, journal);
    return CREATED;
  }

  private insertStart(write: StartWrite, now: number, journal: JournalWriter, lanes: LanesOfTasks | null, queue: Queue | undefined): void {
    const { state, key } = write;
    const ended = write.changes.end;
    if (queue !== undefined && write.owner === null && ended === null) queue.waiting++;
    this.sql.insertRun.run(
      state.run,
      write.uid,
      write.definition,
      runCode(state.status),
      state.generation,
      state.rev,
      STATE_FORMAT,
      write.owner,
      state.rank,
      write.unclaimed ? 1 : null,
      state.acceptedAt,
      state.startAt,
      state.deadlineAt,
      ended === null ? wakeOf(state) : null,
      ended?.finishedAt ?? null,
      ended?.reason ?? null,
      key?.value ?? null,
      write.tags.length === 0 ? null : JSON.stringify(write.tags),
      write.traceparent,
      ended?.hasOutput ? 1 : 0,
      state.input,
      ended?.output ?? null,
      write.link?.run ?? null,
      write.link?.kind ?? null,
    );
    for (const { from, to } of write.link?.maps ?? []) {
      this.sql.copyItems.run(state.run, write.firstBody, now, write.link?.run ?? -1, from, to);
      this.sql.copyMap.run(state.run, write.firstBody, write.link?.run ?? -1, from, to);
    }
    if (write.fire !== undefined) this.fires.started(write.fire, { run: state.run, uid: write.uid }, now);
    // why: who asks what was done to a run looks there, not at what was made of it
    if (write.act !== null) this.act(write.link?.run ?? state.run, write.act, now);
    if (key !== null && !(key.until === 'open' && ended !== null)) this.putKey(write.workflow, key, state.run);
    this.enterGate(state.run, write.changes);
    journal.run(state);
    journal.runMoved('-', ended === null ? state.status : 'running', null);
    this.applyTasks(state, write.firstBody, write.changes, journal, lanes);
    if (write.changes.flow) this.sql.flowRun.run(flowText(state), ended === null ? wakeOf(state) : null, state.run);
    for (const { from, to } of write.changes.moves) journal.runMoved(from, to, null);
    if (ended !== null) journal.runMoved('running', ended.status, ended.reason);
    if (state.parent !== null) this.link(state);
    this.letGo(write.state, write.changes, now);
  }

  private link({ run, parent }: WrittenRun): void {
    if (parent === null) return;
    const { node, item, generation, name, kind, tree } = parent;
    this.sql.linkChild.run(parent.run, node, item, generation, name, LINK_KINDS.indexOf(kind), tree, run);
  }

  /** Child runs that are let go of, or are to be undone. */
  private letGo(state: WrittenRun, changes: Changes, now: number): void {
    for (const { node, item, generation } of changes.recalls) {
      if (item === ALL_ITEMS) this.sql.recallItems.run(now, state.run, node, generation);
      else this.sql.recallPlace.run(now, state.run, node, item, generation);
    }
    if (changes.undo !== null) this.sql.askUndo.run(now, changes.undo);
  }

  /** What is copied must be what the kernel has seen. */
  private *hasMoved({ link }: StartWrite): Program<boolean> {
    if (link?.generation == null) return false;
    return Number((yield* one(this.sql.runGeneration.get(link.run)))?.['generation']) !== link.generation;
  }

  private *holder(workflow: string, key: KeyClaim, now: number): Program<StartResult | null> {
    const row = yield* one(this.sql.readKey.get(workflow, key.value));
    if (row === undefined || row['uid'] === null) return null;
    if (row['until'] !== null && Number(row['until']) <= now) return null;
    return { created: false, uid: row['uid'] as Uint8Array, run: Number(row['run']), inputHash: String(row['inputHash']) };
  }

  *doneBefore({ actor, request }: ActWrite, now: number): Program<{ hash: string; result: string } | null> {
    if (request === null) return null;
    return (
      ((yield* one(this.sql.readRequest.get(actor, request, now - REQUEST_MS))) as { hash: string; result: string } | undefined) ?? null
    );
  }

  /** Records an act with what it does. One whose request id was used meanwhile is none. */
  act(run: number, act: ActWrite, now: number): void {
    if (act.request !== null) {
      mustChange(this.sql.putRequest.run(act.actor, act.request, now, act.hash, act.result, now - REQUEST_MS), run);
    }
    this.sql.insertAudit.run(now, act.actor, act.action, act.request, act.facts, act.note, run);
  }

  private putKey(workflow: string, key: KeyClaim, run: number): void {
    const until = typeof key.until === 'number' ? key.until : null;
    if (key.until === 'open') this.hasOpenKeys = true;
    this.sql.putKey.run(workflow, key.value, run, key.inputHash, until, key.until === 'open' ? 1 : 0);
  }

  /** It asks for nothing before it is written, as most. */
  isPlainChange({ changes, children, move }: RunWrite): boolean {
    return (
      move === null &&
      children === undefined &&
      (changes.gate === null || changes.gate.kind === 'enter') &&
      (changes.end === null || this.hasOpenKeys !== null) &&
      !hasNeeds(changes)
    );
  }

  *change(write: RunWrite, now: number, journal: JournalWriter): Program<void> {
    const { state, changes, firstBody, move } = write;
    // why: a look per transaction is cheaper than one per run
    if (changes.end !== null) this.hasOpenKeys ??= (yield* one(this.sql.anyOpenKey.get())) !== undefined;
    const lanes = hasNeeds(changes) ? yield* this.lanesOf(state.run, firstBody, changes) : null;
    const relaned = move === null ? [] : yield* this.relaned(state.run, move, firstBody);
    if (changes.gate?.kind === 'leave') for (const { name } of yield* many(this.sql.leaveGate.all(state.run))) this.keys.add(String(name));
    this.plainChange(write, now, journal, lanes, relaned);
    for (const child of write.children ?? []) yield* this.start(child, now, journal);
  }

  /** A change that {@link isPlainChange}, or of which what it asks is known. */
  plainChange(
    write: RunWrite,
    now: number,
    journal: JournalWriter,
    lanes: LanesOfTasks | null = null,
    relaned: readonly Relaned[] = [],
  ): void {
    const { state, changes } = write;
    journal.run(state);
    if (changes.kin === 'recalled') this.sql.recalled.run(wakeOf(state), state.run);
    else if (changes.kin !== 'none') this.relink(state, changes.kin);
    if (changes.completion !== null) this.sql.numberChild.run(changes.completion, state.run);
    if (write.act !== null) this.act(state.run, write.act, now);
    if (write.move !== null) this.renumber(state.run, write.move, write.firstBody, relaned, journal);
    if (changes.moves.length > 0 || changes.reset !== null) this.moveRun(state, changes, journal);
    if (changes.flow) this.sql.flowRun.run(flowText(state), wakeOf(state), state.run);
    if ((write.act !== null || write.move !== null) && changes.tasks.length > 0) this.sql.breakOpen.run(state.run);
    this.applyTasks(state, write.firstBody, changes, journal, lanes);
    this.enterGate(state.run, changes);
    if (changes.moves.some((move) => move.from === 'paused' || move.to === 'paused')) this.cover(state);
    for (const { key, task, output, expiresAt } of write.cache ?? NOTHING) this.sql.putCache.run(key, task, output, expiresAt);
    if (write.shared) this.sql.bumpRev.run(state.run);
    if (changes.end !== null) this.endRun(state, changes, changes.end, journal);
    // why: a redrive goes on with the maps of a run that ended while it was paused
    if (changes.end?.from === 'paused') this.sql.uncoverMaps.run(state.run);
    if (write.untold === true) this.sql.leaveUntold.run(state.run);
    this.letGo(state, changes, now);
  }

  private relink(state: WrittenRun, kin: Changes['kin']): void {
    const { generation, completion } = state.parent ?? { generation: null, completion: null };
    const wakeAt = isRunOver[state.status] ? null : wakeOf(state);
    this.sql.relinkChild.run(generation, kin === 'undo' || kin === 'undone_again' ? 4 : null, completion, wakeAt, state.run);
  }

  private enterGate(run: number, { gate }: Changes): void {
    if (gate?.kind !== 'enter') return;
    this.sql.enterGate.run(run, gate.need.name, JSON.stringify(gate.need), gate.rank);
    this.keys.add(gate.need.name);
  }

  /** The lanes there of what waits in lanes here. */
  private *relaned(run: number, { nodes }: MoveWrite, firstBody: number): Program<Relaned[]> {
    const relaned: Relaned[] = [];
    for (const { node, item, needs } of yield* many(this.sql.needsOfRun.all(run))) {
      const there = nodes.get(Number(node)) ?? Number(node);
      relaned.push({ lane: yield* this.lanes.laneOf(firstBody + there, run, readNeeds(needs)), node: there, item: Number(item) });
    }
    return relaned;
  }

  /** All rows of a run that goes on under another definition get the numbers of its tasks there. */
  private renumber(
    run: number,
    { from, to, nodes, staysUntil }: MoveWrite,
    firstBody: number,
    relaned: readonly Relaned[],
    journal: JournalWriter,
  ): void {
    for (const step of renameSteps(nodes)) {
      for (const table of NODE_TABLES) this.sql[`rename_${table}`].run(run, step.to, step.from);
      this.sql.renameChildren.run(run, step.to, step.from);
    }
    for (const table of BODY_TABLES) this.sql[`rebody_${table}`].run(run, firstBody);
    for (const { lane, node, item } of relaned) this.sql.relane.run(lane, run, node, item);
    this.sql.moveDefinition.run(to, staysUntil, run);
    journal.moved(from, to, nodes);
  }

  /** Admission, pause, resume, and the new generation that a reset opens. */
  private moveRun(state: WrittenRun, changes: Changes, journal: JournalWriter): void {
    // why: one that is open again for its compensations alone goes on in its generation
    if (changes.reset !== null && changes.moves[0] !== undefined && isRunOver[changes.moves[0].from]) this.sql.archiveRun.run(state.run);
    const status = changes.moves.at(-1)?.to ?? state.status;
    const { run, generation, deadlineAt, resumeTo } = state;
    const resumesTo = resumeTo === null ? null : runCode(resumeTo);
    this.sql.moveRun.run(
      runCode(status),
      generation,
      deadlineAt,
      wakeOf({ ...state, status }),
      resumesTo,
      status === 'paused' ? 0 : 1,
      run,
    );
    for (const { from, to } of changes.moves) {
      if (from === 'queued' && to === 'running') this.sql.passGate.run(run);
      journal.runMoved(from, to, null);
    }
  }

  private cover(state: WrittenRun): void {
    if (state.status === 'paused') {
      this.sql.coverTasks.run(state.run);
      this.sql.hideMaps.run(state.run);
    } else {
      this.sql.uncoverTasks.run(state.run);
      this.sql.uncoverMaps.run(state.run);
    }
  }

  private record(run: number, record: RecordChange): void {
    const at = [run, record.node, record.item, record.generation] as const;
    if (record.kind === 'open') this.sql.openRecord.run(...at, record.name, record.call, record.hash, record.value);
    else if (record.kind === 'done') this.sql.endRecord.run(record.value, ...at, record.name);
    else if (record.kind === 'keep') this.sql.keepRecords.run(...at, record.from);
    else this.sql.forgetRecords.run(...at);
  }

  /** A message is taken once: whoever comes second meets nothing. */
  private take(run: number, message: number): void {
    mustChange(this.sql.dropMessage.run(message), run);
    this.sql.forgetRefusals.run(message);
  }

  /** The lanes of those tasks whose claims take more than a slot. */
  private *lanesOf(run: number, firstBody: number, { tasks }: Changes): Program<LanesOfTasks> {
    const lanes = new Map<TaskState, number>();
    for (const { to, needs } of tasks) if (needs !== undefined) lanes.set(to, yield* this.lanes.laneOf(firstBody + to.node, run, needs));
    return lanes;
  }

  private applyTasks(state: WrittenRun, firstBody: number, changes: Changes, journal: JournalWriter, lanes: LanesOfTasks | null): void {
    const { run } = state;
    // why: what belongs to a paused run is not to be claimed
    const sign = state.status === 'paused' ? -1 : 1;
    for (const { from, to, needs } of changes.tasks) {
      const body = sign * (lanes?.get(to) ?? firstBody + to.node);
      if (from === undefined) this.tasks.insert(run, body, to);
      else this.tasks.move(run, body, from, to);
      if (needs !== undefined && from?.status === 'running') this.sql.putInLane.run(body, run, to.node, to.item);
      if (to.item < 0 && from?.generation !== to.generation && changes.cleared.includes(to.node)) this.tasks.clearMap(run, to.node);
      journal.task(from, to);
    }
    for (const record of changes.records) this.record(run, record);
    for (const message of changes.taken) this.take(run, message);
    for (const attempt of changes.attempts) this.recordAttempt(run, attempt);
    for (const map of changes.maps.values()) {
      if (map.n === null) {
        this.sql.countMap.run(map.next, map.ok, map.failed, map.cancelled, map.skipped, map.again, run, map.node);
        if (map.reopened) this.sql.reopenMap.run(run, map.node);
        if (map.stopped) this.sql.closeMap.run(run, map.node);
      } else {
        const rank = changes.tasks.find((change) => change.to.node === map.node)?.to.rank ?? 0;
        this.sql.insertMap.run(
          run,
          map.node,
          sign * (firstBody + map.node),
          rank,
          map.n,
          map.next,
          map.ok,
          map.failed,
          map.cancelled,
          map.skipped,
        );
      }
      if (map.dead !== null) this.sql.judgeItems.run(run, map.node, map.dead ? 1 : 0);
    }
    if (changes.maps.size > 0 || changes.end !== null) this.closeMaps(run, changes);
  }

  /** A map that ended with unstarted items hands out no more. */
  private closeMaps(run: number, changes: Changes): void {
    for (const { from, to } of changes.tasks) {
      if (to.item < 0 && from?.status === 'running' && from.lease === null && 'finishedAt' in to) this.sql.closeMap.run(run, to.node);
    }
  }

  private recordAttempt(run: number, a: AttemptRecord): void {
    this.sql.insertAttempt.run(
      run,
      a.node,
      a.item,
      a.attempt,
      a.generation,
      a.outcome,
      a.reason,
      a.error,
      a.worker,
      a.startedAt,
      a.endedAt,
    );
    if (a.attempt > 13) this.sql.trimAttempts.run(run, a.node, a.item, a.generation, a.attempt - 10);
  }

  private endRun(state: WrittenRun, { tasks }: Changes, end: NonNullable<Changes['end']>, journal: JournalWriter): void {
    // why: what has run has been claimed, and where nothing would wake it no mark of a parent stands either
    const isPlain = state.parent === null && state.deadlineAt === null && state.startAt === null && state.flow === NO_FLOW;
    const statement = isPlain && end.from === 'running' && tasks.some(hasRun) ? this.sql.endPlain : this.sql.endRun;
    statement.run(runCode(end.status), end.reason, end.output, end.hasOutput ? 1 : 0, end.finishedAt, state.run);
    if (this.hasOpenKeys === true) this.sql.dropOpenKey.run(state.run);
    journal.runMoved(end.from, end.status, end.reason);
  }

  step(write: StepWrite): Written {
    return this.sql.insertStep.run(write.name, write.kind, write.value, write.run, write.node, write.item, write.token, write.generation);
  }

  log({ run, node, item, token, generation, attempt, chunk, lines }: LogWrite): Written {
    return this.sql.insertLog.run(chunk, lines, run, node, item, token, generation, attempt);
  }
}
