import { canonical, encode } from '../core/values/codec.ts';
import type { GraphNode } from '../core/kernel/compile.ts';
import { isPawlError, PawlError, type ErrorCode } from '../core/errors.ts';
import { runIdText } from '../core/ids.ts';
import {
  isRefusal,
  planReset,
  resetResult,
  reusedByFork,
  type ResetRequest,
  type ResetResult,
  type ResetTarget,
  type ResetWhy,
} from '../core/kernel/reset.ts';
import { takeoverAcross } from '../core/kernel/moving.ts';
import { isRunOver, type TaskStatus } from '../core/kernel/states.ts';
import type { RunEvent } from '../core/kernel/turn.ts';
import { verdictsOf, verdictText, type Verdict } from '../core/kernel/verdict.ts';
import type { RunRow } from '../store/store.ts';
import { changed, checkText, itemOf, nameOf, nodeOf, priorityOf, refusal, report, setAside, type Looked, type Seen } from './act-parts.ts';
import { checkedValue } from './checked-value.ts';
import { forkStart, forkTarget } from './fork-target.ts';
import type { Client, ClientWriter, RunRef } from './client.ts';
import { lettersAsked, NoneToSend, sendable, type LetterToSend, type Sendable } from './letters-to-send.ts';

/** Who acts, and what makes it the same act when it is asked for again. */
export interface ActOptions {
  /** Who does it, for the audit. Default `'api'`. */
  readonly actor?: string;
  /** The same actor and request id within 7 days: the same act, done once. */
  readonly requestId?: string;
  /** Kept with the act. */
  readonly note?: string;
}

/** An item of a map: its index, or its key where the map names its items. */
export type ItemName = number | string;

export interface ResetOptions extends ActOptions {
  /** Only says what would be reset. */
  readonly dryRun?: boolean;
  /** Leaves the idempotency keys as they are, though what succeeded is done over or an input was edited. */
  readonly sameKey?: boolean;
  /** Does over also what is `unsafe` and may have happened already. */
  readonly acceptUnknown?: boolean;
}

export interface RedriveOptions extends ResetOptions {
  /** Dead letters, by the task's id in the graph. Default: all dead letters and all cancelled tasks of the run. */
  readonly task?: string | readonly string[];
  /** Of a map: only these items. Needs one `task`. */
  readonly item?: ItemName | readonly ItemName[];
  /** Goes in instead of what the graph says; must pass the task's schema. Needs one task, and one item of a map. */
  readonly input?: unknown;
  /** Tasks that stay as they are although they ran on the failure: they are marked stale. */
  readonly keep?: readonly string[];
}

export interface MarkOptions extends ActOptions {
  readonly item?: ItemName;
  /** Must pass the task's schema. */
  readonly output?: unknown;
  readonly dryRun?: boolean;
}

/** What an act resets, or reset. */
export interface ResetReport {
  /** False of a preview. */
  readonly applied: boolean;
  /** The run's generation from then on. */
  readonly generation: number;
  /** Tasks and items that are reset. */
  readonly count: number;
  /** They, with why; the first 1,000. */
  readonly tasks: readonly { readonly task: string; readonly item?: number; readonly was: TaskStatus; readonly why: ResetWhy }[];
  /** Ran on the failure, and stay: because they were asked to, or because their effects are unsafe. */
  readonly kept: readonly { readonly task: string; readonly why: 'asked' | 'unsafe' }[];
}

export interface RestartOptions extends ActOptions {
  /** Another input for the new run. */
  readonly input?: unknown;
}

export interface ForkOptions extends RestartOptions {
  /** A version of the workflow that is in the store; what differs there is done anew. Default: the run's. */
  readonly version?: string;
}

export interface ForkReport extends RunRef {
  readonly created: boolean;
  /** Tasks whose output is taken over. */
  readonly reused: readonly string[];
}

/** Takes the act to the kernel at most so often, where the run moves on at the same moment. */
const TRIES = 3;

/** What a person does to a run beyond starting and cancelling it (semantics, section 9): decided by the kernel, audited, done once. */
export class Acts {
  private readonly client: Client;
  private readonly writer: ClientWriter;
  private readonly maxPayload: number;

  constructor(client: Client, writer: ClientWriter, maxPayload: number) {
    this.client = client;
    this.writer = writer;
    this.maxPayload = maxPayload;
  }

  async redrive(id: string, options: RedriveOptions = {}): Promise<ResetReport> {
    const { task, item, input, keep = [], acceptUnknown = false } = options;
    return this.reset(
      'redrive',
      id,
      options,
      {
        task,
        item,
        ...(keep.length === 0 ? {} : { keep }),
        ...(acceptUnknown ? { acceptUnknown } : {}),
        ...('input' in options ? { input } : {}),
      },
      async (run) => {
        const targets = this.targets(run, task, item);
        if ('input' in options) return this.edited(run, targets, input);
        return targets;
      },
    );
  }

  /**
   * Some dead letters of one run in one act. Those that cannot be sent on are left out, with the reason; the report is null where none is left.
   */
  async redriveLetters(
    id: string,
    letters: readonly LetterToSend[],
    options: Omit<RedriveOptions, 'task' | 'item' | 'input'>,
    seen: Seen = { run: null },
  ): Promise<{ readonly report: ResetReport | null; readonly refused: ReadonlyMap<LetterToSend, PawlError> }> {
    let sent: Sendable = { targets: [], letters: [], refused: new Map() };
    const before = seen.run;
    const asked = {
      get letters() {
        return lettersAsked(sent.letters);
      },
    };
    try {
      const report = await this.reset(
        'redrive',
        id,
        options,
        asked,
        async (run) => {
          sent = await sendable(run, letters, options, {
            target: ({ task, item }) => ({ node: nodeOf(run, task).index, item: item ?? -1 }),
            edited: async (target, input) => (await this.edited(run, [target], input))[0] ?? target,
            refusal: (why) => refusal(run, why),
          });
          // Of an old look it is no more than a suspicion that one cannot be sent.
          if (sent.targets.length === 0 || (run === before && sent.refused.size > 0)) throw new NoneToSend();
          return sent.targets;
        },
        seen,
      );
      return { report, refused: sent.refused };
    } catch (error) {
      if (error instanceof NoneToSend) return { report: null, refused: sent.refused };
      throw error;
    }
  }

  async rerun(id: string, task: string, options: ResetOptions = {}): Promise<ResetReport> {
    return this.reset('rerun', id, options, { task }, async (run) => [{ node: nodeOf(run, task).index, item: -1 }]);
  }

  async mark(id: string, task: string, options: MarkOptions = {}): Promise<ResetReport> {
    const { item, output } = options;
    return this.reset('mark', id, options, { task, item, output }, async (run) => {
      const node = nodeOf(run, task);
      if (node.parts !== null) throw new PawlError('TASK_OUTPUT_INVALID', `"${node.id}" gives what its first part gives: mark that part.`);
      const verdicts = verdictsOf(node.task);
      if (verdicts !== null && !verdicts.includes(output as Verdict)) {
        throw new PawlError(
          'TASK_OUTPUT_INVALID',
          `The output of "${node.id}" is a verdict: give ${verdicts.map(verdictText).join(' or ')}.`,
        );
      }
      const index = item === undefined ? -1 : itemOf(run, node, item);
      return [{ node: node.index, item: index, output: await this.checked(run, { node, item: index }, 'output', output) }];
    });
  }

  /** A dead letter that stays as it is: it is no longer listed. The note says why. */
  async discard(id: string, task: string, options: ActOptions & { readonly item?: ItemName; readonly note: string }): Promise<void> {
    if (typeof options.note !== 'string' || options.note.trim() === '')
      throw new PawlError('CONFIG_OPTION', 'note: say why it is discarded.');
    await this.onTask(id, task, options, 'discard', 'TASK_NOT_DEAD', 'it is no dead letter');
  }

  async skip(id: string, task: string, options: ActOptions & { readonly item?: ItemName } = {}): Promise<void> {
    await this.onTask(id, task, options, 'skip', 'TASK_NOT_OPEN', 'it is not pending, queued, waiting or retrying');
  }

  private async onTask(
    id: string,
    task: string,
    options: ActOptions & { readonly item?: ItemName },
    action: 'discard' | 'skip',
    code: ErrorCode,
    why: string,
  ): Promise<void> {
    for (let tries = 0; ; tries++) {
      const run = await this.look(id, true);
      const node = nodeOf(run, task);
      const item = options.item === undefined ? -1 : itemOf(run, node, options.item);
      const facts = { task: node.id, ...(item < 0 ? {} : { item }) };
      if ((await this.send(run.row, { type: action, node: node.index, item }, action, options, facts)) !== null) return;
      // It went on as a run of another version at the same moment: what was refused was said of the version before.
      if (tries < TRIES && (await this.client.find(id)).definition !== run.row.definition) continue;
      const because = node.task.kind === 'guard' && action === 'skip' ? 'it is the guard, which the run waits for' : why;
      throw new PawlError(code, `${nameOf(node, item)} of run ${runIdText(run.row.uid)}: ${because}.`, {
        details: { ...facts, run: runIdText(run.row.uid) },
      });
    }
  }

  async pause(id: string, options: ActOptions = {}): Promise<void> {
    await this.onRun(id, { type: 'pause' }, 'pause', options);
  }

  async resume(id: string, options: ActOptions = {}): Promise<void> {
    await this.onRun(id, { type: 'resume' }, 'resume', options);
  }

  /** The run fails, its open tasks are cancelled. */
  async markFailed(id: string, options: ActOptions = {}): Promise<void> {
    await this.onRun(id, { type: 'fail', reason: 'marked_failed' }, 'mark_failed', options);
  }

  private async onRun(id: string, event: RunEvent, action: string, options: ActOptions): Promise<void> {
    const row = await this.client.find(id);
    checkAside(row);
    if ((await this.send(row, event, action, options, {})) !== null) return;
    const now = await this.client.find(id);
    checkAside(now);
    const code = action === 'resume' && !isRunOver[now.status] ? 'RUN_NOT_PAUSED' : 'RUN_NOT_OPEN';
    // A second pause finds what it wants.
    if (action === 'pause' && now.status === 'paused') return;
    throw new PawlError(code, `Run ${runIdText(row.uid)} is ${now.status}.`, { details: { run: runIdText(row.uid), status: now.status } });
  }

  /** True where this cancelled it; false where it was over already, or cleans up. */
  async cancel(id: string, options: ActOptions = {}): Promise<boolean> {
    this.writer.writable();
    const row = await this.client.find(id);
    if (isRunOver[row.status] && !(await this.isRepeated(options))) return false;
    checkAside(row);
    return (await this.send(row, { type: 'cancel', reason: 'person' }, 'cancel', options, {})) !== null;
  }

  /** A new run that takes over what succeeded and does not depend on these tasks. */
  async fork(id: string, from: string | readonly string[], options: ForkOptions & { readonly dryRun?: boolean } = {}): Promise<ForkReport> {
    for (let tries = 0; ; tries++) {
      try {
        return await this.forkOnce(id, from, options);
      } catch (error) {
        if (!isPawlError(error, 'RUN_CHANGED')) throw error;
        if (tries >= TRIES) throw changed(id);
      }
    }
  }

  private async forkOnce(
    id: string,
    from: string | readonly string[],
    options: ForkOptions & { readonly dryRun?: boolean },
  ): Promise<ForkReport> {
    const run = await this.look(id, true);
    const names = typeof from === 'string' ? [from] : from;
    const target = await forkTarget({ client: this.client, writer: this.writer }, run, options.version);
    const nodes = names.flatMap((name) => forkStart(run, target, name));
    // The guard's yes was to the old input.
    const asked = 'input' in options ? run.graph.guard : null;
    const reused = reusedByFork(run.graph, run.state, nodes).filter((node) => node !== asked);
    const across = target === null ? null : takeoverAcross(run.graph, target.graph, run.state, reused);
    const taken = across ?? { donor: run.state, nodes: reused };
    const made = target?.graph ?? run.graph;
    const idsOf = (some: readonly number[]): string[] => some.flatMap((node) => made.nodes[node]?.id ?? []);
    const ids = idsOf(taken.nodes);
    if (options.dryRun === true) return { id: runIdText(run.row.uid), run: run.row.run, created: false, reused: ids };
    const given = 'input' in options ? { input: options.input } : {};
    const version = target === null ? {} : { version: target.version };
    const started = await this.client.startFrom(run.row, given, {
      ...(target === null ? {} : { definition: target.id }),
      from: { run: run.row.run, kind: 'fork', taken },
      act: this.actOf(run.row, 'fork', options, { from: names, ...given, ...version }),
      priority: priorityOf(run.state),
    });
    if (started.created || options.requestId === undefined) return { ...started, reused: ids };
    // Done before: what it took over then, whatever could be taken over by now.
    const done = await this.writer.doneRequest(options.actor ?? DEFAULT_ACTOR, options.requestId);
    const { reused: before = taken.nodes } = JSON.parse(done ?? '{}') as { readonly reused?: readonly number[] };
    return { ...started, reused: idsOf(before) };
  }

  /** A new run from nothing, with the same input or another. */
  async restart(id: string, options: RestartOptions = {}): Promise<RunRef & { readonly created: boolean }> {
    const row = await this.client.find(id);
    const given = 'input' in options ? { input: options.input } : {};
    const from = { run: row.run, kind: 'restart', taken: null } as const;
    // Of a run that cannot be read the priority is not known.
    const state = row.quarantined === null ? ((await this.writer.look(row.run, false))?.state ?? null) : null;
    const priority = state === null ? 0 : priorityOf(state);
    return this.client.startFrom(row, given, { from, act: this.actOf(row, 'restart', options, given), priority });
  }

  /** Takes a run out of quarantine. False where it had to be set aside again. */
  async release(id: string, options: ActOptions = {}): Promise<boolean> {
    const row = await this.client.find(id);
    await this.checkIsAside(row, options);
    return this.writer.release(row.run, this.actOf(row, 'release', options, {}));
  }

  /** Fails a quarantined run: its open tasks are cancelled, what arrived for it meanwhile is dropped. */
  async abandon(id: string, options: ActOptions = {}): Promise<void> {
    const row = await this.client.find(id);
    await this.checkIsAside(row, options);
    await this.writer.abandonRun(row.run, this.actOf(row, 'mark_failed', options, {}));
  }

  private async checkIsAside(row: RunRow, options: ActOptions): Promise<void> {
    if (row.quarantined !== null || (await this.isRepeated(options))) return;
    throw new PawlError('RUN_NOT_QUARANTINED', `Run ${runIdText(row.uid)} is not quarantined.`);
  }

  private async reset(
    kind: ResetRequest['kind'],
    id: string,
    options: ResetOptions & { readonly keep?: readonly string[] },
    asked: Readonly<Record<string, unknown>>,
    targets: (run: Looked) => Promise<readonly ResetTarget[]>,
    seen: Seen = { run: null },
  ): Promise<ResetReport> {
    const again = options.dryRun === true ? null : await this.repeated(id, kind, options, asked);
    if (again !== null) return again;
    const asOf = async (run: Looked): Promise<ResetRequest> => ({
      kind,
      targets: await targets(run),
      keep: (options.keep ?? []).map((name) => nodeOf(run, name).index),
      acceptUnknown: options.acceptUnknown === true,
      sameKey: options.sameKey === true,
    });
    const known = options.dryRun === true ? null : seen.run;
    const before = known === null ? null : await this.sentAsSeen(known, asOf, { kind, options, asked });
    if (before !== null) return before;
    for (let tries = 0; ; tries++) {
      const run = (seen.run = await this.look(id, true));
      const request = await asOf(run);
      const plan = planReset(run.graph, run.state, request);
      if (isRefusal(plan)) throw refusal(run, plan);
      if (options.dryRun === true) return report(run.graph, resetResult(plan), false);
      const result = await this.send(run.row, { type: 'reset', request }, kind, options, asked);
      if (result !== null) return report(run.graph, JSON.parse(result) as ResetResult, true);
      if (tries >= TRIES) throw changed(runIdText(run.row.uid));
    }
  }

  /** Put together by an earlier look; null where that does not do, and it is to be looked at again. */
  private async sentAsSeen(
    run: Looked,
    asOf: (run: Looked) => Promise<ResetRequest>,
    { kind, options, asked }: { readonly kind: string; readonly options: ActOptions; readonly asked: object },
  ): Promise<ResetReport | null> {
    // What is refused by an old look is refused by a new one, or is not.
    const request = await asOf(run).catch(() => null);
    if (request === null) return null;
    const result = await this.send(run.row, { type: 'reset', request }, kind, options, asked);
    return result === null ? null : report(run.graph, JSON.parse(result) as ResetResult, true);
  }

  /** What the act came to when it was done before, whatever the run is by now; null where it was not. */
  private async repeated(id: string, kind: string, options: ActOptions, asked: object): Promise<ResetReport | null> {
    if (!(await this.isRepeated(options))) return null;
    const row = await this.client.find(id);
    const graph = await this.writer.graph(row.definition);
    // Answered from the record; should that expire at this moment, a target that does not exist is refused.
    const nothing = { kind: 'redrive', targets: [{ node: -1, item: -1 }], keep: [], acceptUnknown: false, sameKey: false } as const;
    const result = await this.send(row, { type: 'reset', request: nothing }, kind, options, asked);
    return result === null || graph === null ? null : report(graph, JSON.parse(result) as ResetResult, true);
  }

  private async isRepeated({ actor = DEFAULT_ACTOR, requestId }: ActOptions): Promise<boolean> {
    return requestId !== undefined && (await this.writer.doneRequest(actor, requestId)) !== null;
  }

  private targets(run: Looked, task: RedriveOptions['task'], item: RedriveOptions['item']): ResetTarget[] {
    const names = task === undefined ? [] : typeof task === 'string' ? [task] : task;
    const items = item === undefined ? [] : typeof item === 'object' ? item : [item];
    if ((task !== undefined && names.length === 0) || (item !== undefined && items.length === 0)) {
      throw new PawlError('CONFIG_OPTION', 'task and item: an empty list names nothing; leave them out for all dead letters of the run.');
    }
    if (items.length > 0 && names.length !== 1) throw new PawlError('CONFIG_OPTION', 'item: name the one task that it belongs to.');
    return names.flatMap((name) => {
      const node = nodeOf(run, name);
      if (items.length === 0) return [{ node: node.index, item: -1 }];
      return items.map((one) => ({ node: node.index, item: itemOf(run, node, one) }));
    });
  }

  private async edited(run: Looked, targets: readonly ResetTarget[], input: unknown): Promise<ResetTarget[]> {
    const [target] = targets;
    const node = target === undefined ? undefined : run.graph.nodes[target.node];
    if (targets.length !== 1 || target === undefined || node === undefined) {
      throw new PawlError('CONFIG_OPTION', 'input: name the one task (and of a map the one item) that it is for.');
    }
    if (run.state.maps.has(node.index) && target.item < 0) {
      throw new PawlError('CONFIG_OPTION', `input: "${node.id}" is a map that has items; name the one item that it is for.`);
    }
    const edited = await this.checked(run, { node, item: target.item }, 'input', input);
    // Stored, the value undefined is the absence of an edit.
    if (edited === null)
      throw new PawlError('TASK_INPUT_INVALID', `The input of "${node.id}" may not be undefined: leave it out to keep what it has.`);
    return [{ ...target, edited }];
  }

  private async checked(
    run: Looked,
    at: { node: GraphNode; item: number },
    what: 'input' | 'output',
    value: unknown,
  ): Promise<string | null> {
    const code = this.writer.code(run.row.definition, at.node.index);
    if (code === null)
      throw new PawlError('TASK_NO_CODE', `This process has no code for "${at.node.id}", so its ${what} cannot be checked.`);
    return checkedValue({ ...at, what, value, schema: code[what] }, this.maxPayload);
  }

  /** @internal */
  async look(id: string, items: boolean): Promise<Looked> {
    const row = await this.client.find(id);
    checkAside(row);
    const looked = await this.writer.look(row.run, items);
    if (looked?.graph == null || looked.state === null || looked.row === null) {
      throw setAside(looked?.row ?? row);
    }
    return { row: looked.row, graph: looked.graph, state: looked.state };
  }

  /** @internal */
  async send(row: RunRow, event: RunEvent, action: string, options: ActOptions, facts: object): Promise<string | null> {
    const act = this.actOf(row, action, options, facts);
    const namesTasks = event.type === 'reset' || event.type === 'skip' || event.type === 'discard';
    return this.writer.act(row.run, event, namesTasks ? { ...act, on: row.definition } : act);
  }

  /** @internal */
  actOf(row: RunRow, action: string, options: ActOptions, facts: object): Act {
    const { actor = DEFAULT_ACTOR, requestId = null, note = null } = options;
    for (const [name, value] of [
      ['actor', actor],
      ['requestId', requestId],
      ['note', note],
    ] as const)
      checkText(name, value);
    const asked = encode(facts, { maxBytes: this.maxPayload, root: action }) ?? '{}';
    return {
      actor,
      action,
      request: requestId,
      note,
      facts: asked.length > FACTS_KEPT ? '{"clipped":true}' : asked,
      hash: this.writer.digest(canonical([action, runIdText(row.uid), asked])).slice(0, 32),
    };
  }
}

/** Throws where a run was set aside. */
export function checkAside(row: RunRow): void {
  if (row.quarantined !== null) throw setAside(row);
}

/** What makes an act of who asks and what is asked. */
export type ActMaker = Pick<Acts, 'actOf'>;

export interface Act {
  readonly actor: string;
  readonly action: string;
  readonly request: string | null;
  readonly hash: string;
  readonly facts: string;
  readonly note: string | null;
  readonly on?: number;
}

/** Who acts where nobody is named. */
export const DEFAULT_ACTOR = 'api';
const FACTS_KEPT = 16_384;
