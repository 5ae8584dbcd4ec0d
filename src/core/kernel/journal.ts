import type { Changes } from './changes.ts';
import type { RunState, TaskState } from './run-state.ts';
import { RUN_STATUSES, TASK_STATUSES, type Reason, type RunStatus, type TaskStatus } from './states.ts';

/**
 * One journal row per commit holds its transitions as JSON: `[[run, generation, entry, …], …]`. An entry is
 * `[node, item, from, to, attempt, reason?]` for a task `["r", from, to, reason?]` for the run, `["w", event, node, item, signal, key]` for a message, `["m", from, to, node, node, …]` where
 * it went on under another definition: numbers of definitions, then of each task that has another number there the one before and the one
 * from then on; states are numbers in the order of
 * `TASK_STATUSES` and `RUN_STATUSES`, -1 for "did not exist". The format is versioned with the store's schema.
 */
export interface TaskTransition {
  readonly kind: 'task';
  readonly run: number;
  readonly generation: number;
  readonly node: number;
  readonly item: number;
  readonly from: TaskStatus;
  readonly to: TaskStatus;
  readonly attempt: number;
  readonly reason: Reason | null;
}

/** What became of a message: a wait refused it, or its time was over. */
export interface MessageNote {
  readonly kind: 'message';
  /** 0: addressed to no run. */
  readonly run: number;
  readonly generation: number;
  readonly event: 'refused' | 'expired';
  /** The task whose wait refused it; -1 otherwise. */
  readonly node: number;
  readonly item: number;
  readonly signal: string;
  readonly key: string | null;
}

export interface RunTransition {
  readonly kind: 'run';
  readonly run: number;
  readonly generation: number;
  readonly from: RunStatus | '-';
  readonly to: RunStatus;
  readonly reason: Reason | null;
}

/** The run goes on under another definition: what comes before names tasks by their numbers there. */
export interface MoveTransition {
  readonly kind: 'move';
  readonly run: number;
  readonly generation: number;
  readonly from: number;
  readonly to: number;
  /** Where a task has another number. */
  readonly nodes: ReadonlyMap<number, number>;
}

export type Transition = TaskTransition | RunTransition | MoveTransition;

const TASK_CODE = new Map<string, number>(TASK_STATUSES.map((status, i) => [status, i]));
const RUN_CODE = new Map<string, number>(RUN_STATUSES.map((status, i) => [status, i]));

/** Collects what one commit does, as text: this is on the hot path, so it concatenates. */
export class JournalWriter {
  private text = '';
  private open = false;

  run(state: { readonly run: number; readonly generation: number }): void {
    this.close();
    this.text += `${this.text === '' ? '' : ','}[${state.run},${state.generation}`;
    this.open = true;
  }

  task(from: TaskState | undefined, to: TaskState): void {
    const reason = 'reason' in to && to.reason !== null ? `,"${to.reason}"` : '';
    const before = from === undefined ? 0 : (TASK_CODE.get(from.status) ?? -1);
    this.text += `,[${to.node},${to.item},${before},${TASK_CODE.get(to.status) ?? -1},${to.attempt}${reason}]`;
  }

  runMoved(from: RunStatus | '-', to: RunStatus, reason: Reason | null): void {
    const before = from === '-' ? -1 : (RUN_CODE.get(from) ?? -1);
    this.text += `,["r",${before},${RUN_CODE.get(to) ?? -1}${reason === null ? '' : `,"${reason}"`}]`;
  }

  moved(from: number, to: number, nodes: ReadonlyMap<number, number>): void {
    const pairs = [...nodes].filter(([before, after]) => before !== after).flat();
    this.text += `,${JSON.stringify(['m', from, to, ...pairs])}`;
  }

  /** A run's changes, with what became of the run itself. */
  changes(state: RunState, changes: Changes): void {
    this.run(state);
    for (const { from, to } of changes.moves) this.runMoved(from, to, null);
    for (const change of changes.tasks) this.task(change.from, change.to);
    if (changes.end !== null) this.runMoved(changes.end.from, changes.end.status, changes.end.reason);
  }

  refused({ node, item, signal, key }: { node: number; item: number; signal: string | null; key: string | null }): void {
    this.text += `,${JSON.stringify(['w', 'refused', node, item, signal, key])}`;
  }

  expired(signal: string, key: string | null): void {
    this.text += `,${JSON.stringify(['w', 'expired', -1, -1, signal, key])}`;
  }

  get isEmpty(): boolean {
    return this.text === '';
  }

  finish(): string {
    this.close();
    return `[${this.text}]`;
  }

  private close(): void {
    if (this.open) this.text += ']';
    this.open = false;
  }
}

/** The transitions of a row. */
export function readJournal(text: string): Transition[] {
  return readEntries(text).filter((entry) => entry.kind !== 'message');
}

/** All that a row tells, in order. */
export function readEntries(text: string): (Transition | MessageNote)[] {
  const groups = JSON.parse(text) as [number, number, ...(number | string)[][]][];
  return groups.flatMap(([run, generation, ...entries]) => entries.map((entry) => readEntry(run, generation, entry)));
}

function readEntry(run: number, generation: number, entry: readonly (number | string)[]): Transition | MessageNote {
  if (entry[0] === 'w') {
    const [, event, node, item, signal, key] = entry as ['w', MessageNote['event'], number, number, string, string | null];
    return { kind: 'message', run, generation, event, node, item, signal, key };
  }
  if (entry[0] === 'r') {
    const [, from, to, reason] = entry as ['r', number, number, Reason?];
    return { kind: 'run', run, generation, from: RUN_STATUSES[from] ?? '-', to: RUN_STATUSES[to] ?? 'running', reason: reason ?? null };
  }
  if (entry[0] === 'm') {
    const [, from, to, ...pairs] = entry as ['m', number, number, ...number[]];
    const nodes = new Map<number, number>();
    for (let i = 0; i + 1 < pairs.length; i += 2) nodes.set(pairs[i] ?? 0, pairs[i + 1] ?? 0);
    return { kind: 'move', run, generation, from, to, nodes };
  }
  const [node, item, from, to, attempt, reason] = entry as [number, number, number, number, number, Reason?];
  return {
    kind: 'task',
    run,
    generation,
    node,
    item,
    from: TASK_STATUSES[from] ?? 'pending',
    to: TASK_STATUSES[to] ?? 'pending',
    attempt,
    reason: reason ?? null,
  };
}
