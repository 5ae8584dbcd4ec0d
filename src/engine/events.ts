import { PawlError } from '../core/errors.ts';
import { runIdText } from '../core/ids.ts';
import { readEntries, type MessageNote, type RunTransition, type Transition } from '../core/kernel/journal.ts';
import type { EngineEvent, WatchOptions } from '../core/events.ts';
import { shown } from '../core/graph/problems.ts';
import { isRunOver, isTerminal } from '../core/kernel/states.ts';
import type { JournalRow, MoveRow, RunRow, Store } from '../store/store.ts';
import type { Follower } from './follower.ts';
import type { Registry } from './registry.ts';
import { Waiter } from './waiter.ts';

const AT_ONCE = 100;
const RUNS_KEPT = 1_000;

/** The journal as events, in commit order. */
export class EventReader {
  private readonly store: Store;
  private readonly registry: Registry;
  private readonly rows = new Map<number, RunRow>();
  private readonly moves = new Map<number, { readonly moves: readonly MoveRow[]; readonly last: number }>();

  constructor(store: Store, registry: Registry) {
    this.store = store;
    this.registry = registry;
  }

  /** Yields events until the signal aborts, or until `until` has resolved and the journal is read to its end. Throws `EVENTS_GONE` where the journal behind the cursor was pruned. */
  async *watch(follower: Follower, options: WatchOptions = {}, until?: () => Promise<unknown>): AsyncGenerator<EngineEvent, void> {
    let [seq, index] = options.after === undefined ? [(await this.store.head()).seq, Infinity] : parseCursor(options.after);
    const waiter = new Waiter();
    const stop = follower.listen(() => waiter.wake());
    const abort = (): void => waiter.wake();
    options.signal?.addEventListener('abort', abort);
    let isLast = false;
    const last = (): void => {
      isLast = true;
      waiter.wake();
    };
    until?.().then(last, last);
    try {
      while (options.signal?.aborted !== true) {
        waiter.arm();
        const wasLast = isLast;
        const { entries, gone } = await this.store.journal(seq - 1, AT_ONCE);
        if (gone)
          throw new PawlError(
            'EVENTS_GONE',
            `after: the events behind the cursor ${JSON.stringify(options.after ?? `${seq}:0`)} were pruned from the journal.`,
          );
        for (const row of entries) {
          const events = await this.decode(row);
          for (const [i, event] of events.entries()) {
            if (row.seq === seq && i <= index) continue;
            if (event !== null && wants(options, event)) yield event;
          }
          [seq, index] = [row.seq, Infinity];
        }
        if (entries.length >= AT_ONCE) continue;
        if (wasLast) return;
        if (!isLast) await waiter.wait();
      }
    } finally {
      stop();
      options.signal?.removeEventListener('abort', abort);
    }
  }

  private async decode(row: JournalRow): Promise<(EngineEvent | null)[]> {
    const events: (EngineEvent | null)[] = [];
    const transitions = readEntries(row.changes);
    for (const [i, transition] of transitions.entries()) events.push(await this.event(row, i, transition));
    // Behind the others, so that each event keeps its place in its row.
    for (const transition of transitions) {
      const alert = transition.kind === 'message' ? null : await this.alert(row, events.length, transition);
      if (alert !== null) events.push(alert);
    }
    return events;
  }

  private async alert(row: JournalRow, i: number, transition: Transition | MessageNote): Promise<EngineEvent | null> {
    if (transition.kind !== 'task' || transition.to !== 'failed' || transition.from === 'failed') return null;
    const run = await this.run(transition.run);
    const node = run === null ? undefined : (await this.registry.learn(this.store, run.definition))?.compiled.nodes[transition.node];
    if (run?.parent?.kind === 'hooks')
      return this.hookAlert({ cursor: `${row.seq}:${i}`, at: new Date(row.at) }, run, run.parent.run, transition);
    if (run === null || node?.serves == null || node.serves.role === 'catch') return null;
    return {
      cursor: `${row.seq}:${i}`,
      at: new Date(row.at),
      runId: runIdText(run.uid),
      workflow: run.workflow,
      task: node.id,
      ...(transition.item < 0 ? {} : { item: transition.item }),
      attempt: transition.attempt,
      type: 'alert',
      alert: node.serves.role === 'teardown' ? 'teardown_failed' : 'compensation_failed',
    };
  }

  /** A hook that failed for good is told of as the run that it was called for. */
  private async hookAlert(
    at: { readonly cursor: string; readonly at: Date },
    run: RunRow,
    parent: number,
    { attempt }: { readonly attempt: number },
  ): Promise<EngineEvent | null> {
    const of = await this.run(parent);
    if (of === null) return null;
    const task = run.parent?.name ?? run.workflow;
    return { ...at, runId: runIdText(of.uid), workflow: of.workflow, task, attempt, type: 'alert', alert: 'hook_failed' };
  }

  private async event(row: JournalRow, i: number, transition: Transition | MessageNote): Promise<EngineEvent | null> {
    if (transition.kind === 'message') return this.messageEvent(row.seq, { cursor: `${row.seq}:${i}`, at: new Date(row.at) }, transition);
    const run = await this.run(transition.run);
    if (run === null) return null;
    const base = { cursor: `${row.seq}:${i}`, at: new Date(row.at), runId: runIdText(run.uid), workflow: run.workflow };
    if (transition.kind === 'move') {
      this.moves.delete(transition.run);
      const [from, to] = [await this.version(transition.from), await this.version(transition.to)];
      return { ...base, type: 'run.moved', from, to };
    }
    const reason = transition.reason === null ? {} : { reason: transition.reason };
    if (transition.kind === 'run') return runEvent(base, transition);
    const task = await this.taskId(run, row.seq, transition.node);
    const facts = { ...base, task, attempt: transition.attempt, ...(transition.item < 0 ? {} : { item: transition.item }) };
    if (transition.to === 'pending') return { ...facts, type: 'task.reset', generation: transition.generation };
    if (transition.to === 'failed' && transition.from === 'failed') return { ...facts, type: 'task.discarded' };
    if (transition.to === 'success' && transition.from === 'success') return null;
    if (isTerminal[transition.to]) return { ...facts, ...reason, type: 'task.finished', status: transition.to };
    if (transition.to === 'retrying') return { ...facts, ...reason, type: 'task.retrying' };
    if (transition.to === 'waiting') return { ...facts, type: 'task.waiting' };
    return transition.to === 'running' ? { ...facts, type: 'task.started' } : null;
  }

  private async version(definition: number): Promise<string> {
    return (await this.registry.learn(this.store, definition))?.stored.version ?? String(definition);
  }

  /** Under which definition the run was when a row of the journal was written: that by which the row names tasks. */
  private async definitionAt(run: RunRow, seq: number): Promise<number> {
    let known = this.moves.get(run.run);
    if (known === undefined) {
      const moves = await this.store.movesOf(run.run);
      known = { moves, last: moves.at(-1)?.to ?? run.definition };
      if (this.moves.size >= RUNS_KEPT) this.moves.clear();
      this.moves.set(run.run, known);
    }
    return known.moves.find((move) => move.seq > seq)?.from ?? known.last;
  }

  private async messageEvent(seq: number, at: Pick<EventBase, 'cursor' | 'at'>, note: MessageNote): Promise<EngineEvent | null> {
    const { signal, key, item } = note;
    const run = note.run === 0 ? null : await this.run(note.run);
    if (run === null && note.run !== 0) return null;
    const base = { ...at, runId: run === null ? '' : runIdText(run.uid), workflow: run?.workflow ?? '' };
    if (note.event === 'expired') return { ...base, type: 'signal.expired', signal, ...(key === null ? {} : { key }) };
    const task = run === null ? '' : await this.taskId(run, seq, note.node);
    return { ...base, type: 'signal.refused', task, signal, attempt: 0, ...(item < 0 ? {} : { item }) };
  }

  private async taskId(run: RunRow, seq: number, node: number): Promise<string> {
    return (await this.registry.learn(this.store, await this.definitionAt(run, seq)))?.compiled.nodes[node]?.id ?? String(node);
  }

  private async run(id: number): Promise<RunRow | null> {
    const known = this.rows.get(id);
    if (known !== undefined) return known;
    const row = await this.store.runRow(id);
    if (row === null) return null;
    if (this.rows.size >= RUNS_KEPT) this.rows.clear();
    this.rows.set(id, row);
    return row;
  }
}

function runEvent(base: EventBase, { from, to, reason, generation }: RunTransition): EngineEvent | null {
  if (isRunOver[to]) return { ...base, ...(reason === null ? {} : { reason }), type: 'run.finished', status: to };
  if (to === 'cancelling' || to === 'finishing' || from === 'finishing') return null;
  if (to === 'paused') return { ...base, type: 'run.paused' };
  if (from === 'paused') return { ...base, type: 'run.resumed' };
  if (to === 'queued') return { ...base, type: 'run.reopened', generation };
  return to === 'running' && from !== 'queued' ? { ...base, type: 'run.started' } : null;
}

type EventBase = Pick<EngineEvent, 'cursor' | 'at' | 'runId' | 'workflow'>;

function wants(options: WatchOptions, event: EngineEvent): boolean {
  if (options.runId !== undefined && options.runId !== event.runId) return false;
  return options.types === undefined || options.types.includes(event.type);
}

function parseCursor(cursor: string): [number, number] {
  const match = /^(\d{1,15}):(\d{1,9})$/.exec(String(cursor));
  if (match === null) throw new PawlError('CONFIG_OPTION', `after: ${shown(cursor)} is not the cursor of an event, such as "81:0".`);
  return [Number(match[1]), Number(match[2])];
}
