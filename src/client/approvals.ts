import { encode } from '../core/values/codec.ts';
import type { CompiledGraph, GraphNode } from '../core/kernel/compile.ts';
import { PawlError } from '../core/errors.ts';
import type { ApproveTask } from '../core/graph/graph.ts';
import { runIdText } from '../core/ids.ts';
import { shown } from '../core/graph/problems.ts';
import type { RunState } from '../core/kernel/run-state.ts';
import { validate } from '../core/values/schema.ts';
import { taskInput } from '../core/kernel/values.ts';
import type { OpenWait } from '../store/mailbox.ts';
import type { RunRow, Store } from '../store/store.ts';
import type { ActOptions, Acts } from './acts.ts';
import type { Client, ClientWriter } from './client.ts';

/** An approval that waits for its answer. */
export interface OpenApproval {
  readonly runId: string;
  readonly workflow: string;
  /** The task's id in the graph. */
  readonly task: string;
  readonly item?: number;
  /** Who may answer. */
  readonly who: readonly string[];
  /** What they are to be shown; undefined where the workflow shows nothing. */
  readonly show: unknown;
  /** JSON Schema of the form; null where there is none, or the schema's library gives none. */
  readonly form: unknown;
  /** Whether an answer needs a form. */
  readonly needsForm: boolean;
  readonly since: Date;
  /** When it gives up. */
  readonly until: Date | null;
}

export interface ApprovalQuery {
  /** Of this run only. */
  readonly run?: string;
  /** At most 500; default 50. */
  readonly limit?: number;
  readonly cursor?: string;
}

export interface AnswerOptions extends Omit<ActOptions, 'note'> {
  /** Needed where the run has several open approvals. */
  readonly task?: string;
  readonly item?: number;
  /** Kept with the answer and with the act. */
  readonly comment?: string;
  /** Must pass the schema of the form. */
  readonly form?: unknown;
}

export interface AnswerReport {
  readonly runId: string;
  readonly task: string;
  readonly decision: 'approved' | 'rejected';
}

/** Approvals that are open, and their answers. */
export class Approvals {
  private readonly store: Store;
  private readonly client: Client;
  private readonly writer: ClientWriter;
  private readonly acts: Acts;
  private readonly maxPayload: number;

  constructor(parts: { store: Store; client: Client; writer: ClientWriter; acts: Acts; maxPayload: number }) {
    this.store = parts.store;
    this.client = parts.client;
    this.writer = parts.writer;
    this.acts = parts.acts;
    this.maxPayload = parts.maxPayload;
  }

  async list(query: ApprovalQuery = {}): Promise<{ readonly approvals: readonly OpenApproval[]; readonly next?: string }> {
    const { limit = 50, cursor } = query;
    if (!Number.isInteger(limit) || limit < 1 || limit > 500)
      throw new PawlError('CONFIG_OPTION', `limit: must be a whole number from 1 to 500, not ${shown(limit)}.`);
    const after = cursor === undefined ? 0 : Number(cursor);
    if (!Number.isSafeInteger(after)) throw new PawlError('CONFIG_OPTION', `cursor: ${shown(cursor)} is none that a list gave.`);
    const run = query.run === undefined ? {} : { run: (await this.client.find(query.run)).run };
    const waits = await this.store.mailbox.openWaits({ kind: 'approval', ...run, after, limit: limit + 1 });
    const page = waits.slice(0, limit);
    const views = await Promise.all(page.map((wait) => this.view(wait)));
    const last = page.at(-1);
    return {
      approvals: views.filter((view) => view !== null),
      ...(waits.length > limit && last !== undefined ? { next: String(last.id) } : {}),
    };
  }

  /** Null where it is answered already, or its run cannot be read. */
  private async view({ run, node: index, item, since }: OpenWait): Promise<OpenApproval | null> {
    const looked = await this.writer.look(run, true);
    if (looked?.row == null || looked.graph === null || looked.state === null) return null;
    const { graph, state, row } = looked;
    const node = graph.nodes[index];
    const task = state.tasks[index];
    if (node?.task.kind !== 'approve' || task?.status !== 'waiting') return null;
    return {
      runId: runIdText(row.uid),
      workflow: row.workflow,
      task: node.id,
      ...(item < 0 ? {} : { item }),
      who: node.task.who,
      show: node.task.show === undefined ? undefined : taskInput(graph, state, index, item),
      form: node.task.formSchema ?? null,
      needsForm: node.task.form === true,
      since: new Date(since),
      until: task.dueAt === null ? null : new Date(task.dueAt),
    };
  }

  /** Rejects with `TASK_NOT_WAITING`, `TASK_FORM_INVALID`, `TASK_NO_CODE` where this process cannot check the form. */
  async answer(id: string, decision: AnswerReport['decision'], options: AnswerOptions = {}): Promise<AnswerReport> {
    const { row, graph, state } = await this.acts.look(id, false);
    const by = options.actor ?? 'api';
    const node = this.approval(row, graph, state, options);
    const item = options.item ?? -1;
    // One that was answered is refused as such, whatever is said of its form; given again by its request id it is the same answer.
    const isOver = item < 0 && state.tasks[node.index]?.status !== 'waiting';
    if (isOver && options.requestId === undefined) throw notWaiting(row, node);
    const form = await this.form(row, node, decision, options);
    const { comment, actor, requestId } = options;
    const answer = { decision, by, ...(comment === undefined ? {} : { comment }), form };
    const output = encode(answer, { maxBytes: this.maxPayload, root: 'answer' }) ?? 'null';
    const event = {
      type: 'wake',
      node: node.index,
      item,
      name: null,
      by: { kind: 'approval', decision, output, by, comment: comment ?? null },
    } as const;
    const act = {
      ...(actor === undefined ? {} : { actor }),
      ...(requestId === undefined ? {} : { requestId }),
      ...(comment === undefined ? {} : { note: comment }),
    };
    const facts = { task: node.id, ...(item < 0 ? {} : { item }), ...(form === undefined ? {} : { form }) };
    const done = await this.acts.send(row, event, decision === 'approved' ? 'approve' : 'reject', act, facts);
    if (done === null) throw notWaiting(row, node);
    return { runId: runIdText(row.uid), task: node.id, decision };
  }

  private approval(row: RunRow, graph: CompiledGraph, state: RunState, { task }: AnswerOptions): Approve {
    if (task !== undefined) {
      const node = graph.byId.get(task);
      if (node === undefined) throw new PawlError('TASK_UNKNOWN', `The workflow "${row.workflow}" has no task ${shown(task)}.`);
      if (!isApprove(node)) throw notWaiting(row, node);
      return node;
    }
    const all = graph.nodes.filter(isApprove);
    const waiting = all.filter((node) => state.tasks[node.index]?.status === 'waiting');
    // An answer that is given again, by its request id, is about one that is over.
    const open = waiting.length === 0 && all.length === 1 ? all : waiting;
    const [first] = open;
    if (first === undefined) throw notWaiting(row, null);
    if (open.length === 1) return first;
    throw new PawlError('CONFIG_OPTION', `task: name the one that is answered: ${open.map((node) => shown(node.id)).join(', ')}.`);
  }

  /** A rejection need not fill in the form; what is given is checked all the same. */
  private async form(row: RunRow, node: Approve, decision: AnswerReport['decision'], options: AnswerOptions): Promise<unknown> {
    if (node.task.form !== true) {
      if (options.form === undefined) return undefined;
      throw new PawlError('TASK_FORM_INVALID', `The approval "${node.id}" has no form, and one was given.`, { details: { task: node.id } });
    }
    if (decision === 'rejected' && options.form === undefined) return undefined;
    const schema = this.writer.code(row.definition, node.index)?.form;
    if (schema === undefined)
      throw new PawlError('TASK_NO_CODE', `This process has no code for "${node.id}", so its form cannot be checked.`);
    const checked = await validate(schema, options.form);
    if (checked.ok) return checked.value;
    const text = checked.issues.map(({ path, message }) => `form${path === '' ? '' : `.${path}`}: ${message}`).join('; ');
    throw new PawlError('TASK_FORM_INVALID', `The answer to "${node.id}" does not fit: ${text}`, {
      details: { task: node.id, issues: checked.issues },
    });
  }
}

type Approve = GraphNode & { readonly task: ApproveTask };

const isApprove = (node: GraphNode): node is Approve => node.task.kind === 'approve';

function notWaiting(row: RunRow, node: GraphNode | null): PawlError {
  const run = runIdText(row.uid);
  const text =
    node === null ? `Run ${run} has no approval that waits for an answer.` : `Task "${node.id}" of run ${run} does not wait for an answer.`;
  return new PawlError('TASK_NOT_WAITING', text, { details: { run, ...(node === null ? {} : { task: node.id }) } });
}
