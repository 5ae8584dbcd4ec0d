/**
 * A workflow's graph as data: what the builder emits, what `workflow.fromGraph` takes, what `definitions` stores and `pawl graph --json`
 * prints. No functions in it: any process can advance a run with this alone; code is needed only to run bodies and predicates.
 */

/** Paths go through own properties only; a missing one gives `undefined`. */
export type Path = readonly (string | number)[];

/**
 * A value that is put together when it is read. JSON values stand for themselves, arrays and objects element by element; an object whose
 * first key starts with `$` is one of the forms below (a literal object with such a key is written as `$value`).
 */
export type Expr =
  | string
  | number
  | boolean
  | null
  | readonly Expr[]
  | RefExpr
  | { readonly $input: Path }
  | { readonly $item: Path }
  | { readonly $optional: RefExpr; readonly default?: Expr }
  /** How the task ended; the ref's own path leads into the value of a success, `path` into the settled result. */
  | { readonly $settle: RefExpr; readonly path?: Path }
  /** A literal as the codec stores it: rich types, or objects with keys that start with `$`. */
  | { readonly $value: string }
  | { readonly $undefined: true }
  | { readonly [key: string]: Expr };

/** A required read of a task's output. */
export interface RefExpr {
  readonly $ref: string;
  readonly path?: Path;
}

export const PLAIN_JOINS = [
  'all_success',
  'none_failed',
  'none_failed_min_one_success',
  'one_success',
  'all_done',
  'all_done_min_one_success',
  'one_done',
  'one_failed',
  'all_failed',
  'all_skipped',
  'none_skipped',
  'always',
] as const;

export type PlainJoin = (typeof PLAIN_JOINS)[number];
export type Join = PlainJoin | `at_least(${number})`;

/** What running a body again means; it decides what recovery may do (semantics, section 2). */
export type Effects = 'none' | 'idempotent' | 'unsafe';

/** One rule of `retry.on`. `match` is an error's code or name; null stands for a predicate, decided by the worker that has it. */
export interface RetryRuleData {
  readonly match: string | null;
  readonly action: 'retry' | 'fail';
  readonly retries: number;
  readonly initialMs: number;
  readonly factor: number;
  readonly maxDelayMs: number;
}

export interface RetryData {
  readonly maxAttempts: number;
  /** False where only rules say how often: then `maxAttempts` caps nothing. */
  readonly capped: boolean;
  readonly initialMs: number;
  readonly factor: number;
  readonly maxDelayMs: number;
  readonly jitter: 'none' | 'full' | 'equal';
  readonly maxElapsedMs?: number;
  readonly on: readonly RetryRuleData[];
}

export interface TimeoutData {
  readonly queueMs?: number;
  readonly attemptMs: number;
  readonly heartbeatMs?: number;
  readonly totalMs?: number;
}

/** A share of a rate: its own bucket, named after the task, or one that the engine declares under a name. */
export type RateData = { readonly count: number; readonly perMs: number } | { readonly name: string };

/** What happens to what is asked for beyond the limit of a key. */
export type OnLimit = 'queue' | 'cancel_new' | 'cancel_old' | 'fail';

/** How much of one key may run at the same time. Without `key` it is that of the task, or of the workflow. */
export interface KeyData {
  readonly key?: Expr;
  readonly limit: number;
  readonly onLimit: OnLimit;
  /** Strictly in the order of submission. */
  readonly serial?: true;
}

/** The contract of a body, as data. */
export interface ContractData {
  readonly effects: Effects;
  readonly retry: RetryData;
  readonly timeout: TimeoutData;
  readonly priority?: number;
  /** Outputs are kept so long, by task, contract and input. */
  readonly cache?: { readonly ttlMs: number };
  /** Which workers look for it. Default: `default`. */
  readonly queue?: string;
  /** Units of pools that an attempt holds while it runs. */
  readonly pools?: Readonly<Record<string, number>>;
  readonly concurrency?: KeyData;
  readonly rate?: RateData;
  /** JSON Schema of input and output, where the schema library gives one. */
  readonly inputSchema?: unknown;
  readonly outputSchema?: unknown;
}

interface GraphTaskBase {
  readonly id: string;
  /** Ids of tasks that must be terminal first; order without data. */
  readonly after?: readonly string[];
  /** Written out only where the author wrote it: settled edges take no part in the default join. */
  readonly join?: Join;
  /** Made inside the bracket of that setup: runs only if the setup succeeded, and the teardown waits for it. */
  readonly using?: string;
  /** Runs only if the `when` or `switch` of that id decided so: made inside a branch. */
  readonly if?: { readonly when: string; readonly is: CaseKey };
}

/** What a decision may come to: of a `when` true or false, of a `switch` the name of a case, `default` among them. */
export type CaseKey = boolean | string;

/** The case of a `switch` that is chosen where no predicate holds. */
export const DEFAULT_CASE = 'default';

/** A task with a body: `task` names the contract; inline bodies have none and belong to the workflow. */
export interface BodyTask extends GraphTaskBase {
  readonly kind: 'task';
  readonly task?: string;
  readonly input: Expr;
  /** It has a predicate of its own over its input. */
  readonly when?: true;
  readonly allowFailure?: true;
  readonly contract: ContractData;
}

/** A run of another workflow in the place of a task: it waits for its end, or with `detached` only for its acceptance. */
export interface ChildTask extends GraphTaskBase {
  readonly kind: 'child';
  readonly workflow: string;
  readonly input: Expr;
  /** The child's workflow has a schema for its input: a worker that has the code checks it first. */
  readonly checked?: true;
  readonly when?: true;
  readonly allowFailure?: true;
  readonly detached?: true;
}

export interface MapTask extends GraphTaskBase {
  readonly kind: 'map';
  /** The body of an item; a map over a workflow has `workflow` instead, one over a part of the graph `graph`. */
  readonly task?: string;
  readonly workflow?: string;
  /** Graph of an item, stored as a definition of its own under its name. */
  readonly graph?: Graph;
  readonly checked?: true;
  readonly detached?: true;
  readonly items: Expr;
  /** The input of one item; `$item` reads the item. */
  readonly each: Expr;
  readonly key?: Expr;
  readonly when?: true;
  readonly allowFailure?: true;
  readonly concurrency?: number;
  readonly maxItems: number;
  readonly onEmpty: 'success' | 'skip';
  readonly settle?: true;
  readonly tolerate?: { readonly count?: number; readonly ratio?: number };
  /** Of a map over a task. */
  readonly contract?: ContractData;
}

/** The decision of `w.when`: its predicate is run by a worker over `input`, its output is the verdict. */
export interface WhenTask extends GraphTaskBase {
  readonly kind: 'when';
  readonly input: Expr;
}

/**
 * The decision of `w.switch`: a worker asks the predicates of the cases in their order, over `input`; its output is the name of the first
 * one that holds. Where none does: the case `default`, or with 'skip' the value null, which selects nothing; else it fails (`no_match`).
 */
export interface SwitchTask extends GraphTaskBase {
  readonly kind: 'switch';
  readonly input: Expr;
  readonly cases: readonly string[];
  readonly default?: 'branch' | 'skip';
}

/** What a run is asked before any of its tasks: a predicate over the run's input. It has no upstreams, and no task may name it. */
export interface GuardTask extends GraphTaskBase {
  readonly kind: 'guard';
}

/**
 * The result of `w.when` or `w.switch`, which `when` names: has no body and no row; success when the chosen branch succeeded, skipped when
 * there is none.
 */
export interface BranchTask extends GraphTaskBase {
  readonly kind: 'branch';
  readonly when: string;
  readonly cases: readonly CaseData[];
}

/**
 * What a handler does for the task that it serves: `teardown` cleans up what the setup of a bracket made, `catch` takes the task's failure,
 * `compensation` undoes what the task did.
 */
export const ROLES = ['teardown', 'catch', 'compensation'] as const;
export type Role = (typeof ROLES)[number];

/**
 * A durable task that the kernel starts by its role; it takes part in no join, and nothing may wait for it. What it gets comes from the
 * task `of` that it serves: a teardown the setup's output, a catch `{ input, error }`, a compensation `{ input, output }`.
 */
export interface HandlerTask extends GraphTaskBase {
  readonly kind: 'handler';
  readonly role: Role;
  readonly of: string;
  readonly task?: string;
  /** Of a teardown: its failure fails the run. */
  readonly failRun?: true;
  readonly contract: ContractData;
}

/** What becomes of the rest of a run on its first failure that nothing excuses. */
export const FAILURE_POLICIES = ['continue', 'drain', 'abort'] as const;
export type FailurePolicy = (typeof FAILURE_POLICIES)[number];

/** How often, and after what delay, a run that failed is redriven as a whole. `maxAttempts` counts the first. */
export type RunRetryData = Pick<RetryData, 'maxAttempts' | 'initialMs' | 'factor' | 'maxDelayMs' | 'jitter'>;
/** Nothing but time: ends when it has passed, or at the instant that `until` gives. Has one of the two. */
export interface SleepTask extends GraphTaskBase {
  readonly kind: 'sleep';
  readonly ms?: number;
  readonly until?: Expr;
}

/** Waits for a message: `key` gives that of its mailbox; without one it is the run's own. */
export interface WaitTask extends GraphTaskBase {
  readonly kind: 'wait';
  readonly signal: string;
  readonly key?: Expr;
  readonly timeoutMs?: number;
  /** Without it a timeout fails. */
  readonly onTimeout?: 'skip';
  /** A predicate has to say yes to a message first. */
  readonly where?: true;
  readonly allowFailure?: true;
  /** JSON Schema of the message, where the schema library gives one. */
  readonly dataSchema?: unknown;
}

/** Waits for the answer of a person. */
export interface ApproveTask extends GraphTaskBase {
  readonly kind: 'approve';
  /** Who may answer: shown and recorded. */
  readonly who: readonly string[];
  /** What they are shown. */
  readonly show?: Expr;
  readonly timeoutMs?: number;
  readonly onTimeout?: 'skip';
  readonly onReject?: 'skip';
  readonly allowFailure?: true;
  /** An answer fills in a form; JSON Schema of it, where the schema library gives one. */
  readonly form?: true;
  readonly formSchema?: unknown;
}

/**
 * One branch: `members` are its tasks that no other task of it waits for, and all tasks that its value reads, made in it or not.
 */
export interface CaseData {
  readonly is: CaseKey;
  readonly value: Expr;
  readonly members: readonly string[];
}

/**
 * `w.first`: succeeds with the first of its parts that does; what only the others need is cancelled (`superseded`). It has a row and no body;
 * its output names the winner, whose value is read where it is.
 */
export interface FirstTask extends GraphTaskBase {
  readonly kind: 'first';
  readonly parts: readonly { readonly name: string; readonly value: RefExpr }[];
}

/** Tasks whose output is a verdict: predicates and no body. */
export type DecisionTask = WhenTask | SwitchTask | GuardTask;

export type GraphTask =
  | BodyTask
  | ChildTask
  | MapTask
  | DecisionTask
  | FirstTask
  | BranchTask
  | SleepTask
  | HandlerTask
  | WaitTask
  | ApproveTask;

/** When a workflow says something of a run to a task of its own. */
export const HOOK_NAMES = ['onStart', 'onSuccess', 'onFailure', 'onCancel', 'onFinish'] as const;
export type HookName = (typeof HOOK_NAMES)[number];

export interface Graph {
  readonly format: 1;
  readonly workflow: string;
  readonly tasks: readonly GraphTask[];
  readonly output: Expr;
  readonly timeoutMs?: number;
  /** Its runs stay with this version; otherwise they move to a newer one that fits. */
  readonly onDeploy?: 'pin';
  /** Held by a run from its admission to its end. */
  readonly concurrency?: KeyData;
  readonly inputSchema?: unknown;
  /** Default 'continue'. */
  readonly failurePolicy?: FailurePolicy;
  /** The outcomes after which compensations run. Default: both. */
  readonly compensateOn?: readonly ('failed' | 'cancelled')[];
  readonly retry?: RunRetryData;
  /** Graphs of the runs that tell of a run, each stored as a definition of its own under its name. */
  readonly hooks?: Readonly<Partial<Record<HookName, Graph>>>;
}
