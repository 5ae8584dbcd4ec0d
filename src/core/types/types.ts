/**
 * The types of a definition: what a builder's values are, what may be passed where, what may be stored. Types only: this file, ref-types.ts and task-types.ts are the ones with `any`.
 * What happens at run time stands in refs.ts and builder.ts.
 */
import type { Duration } from '../duration.ts';
import type { Effects, FailurePolicy, Graph, HookName, Join } from '../graph/graph.ts';
import type { DeclaredSchedule } from '../define/schedule-opts.ts';
import type { Schema } from '../values/schema.ts';
import type { WaitVerbs } from './wait-types.ts';
import type { RefBase, AnyRef, Ref, MaybeRef, In, Out, Simplify, Tree, StorableFn } from './ref-types.ts';
import type { Retry, TaskOpts, KeyLimit, Ctx, Task, Body, RulePredicate, AnyTask, Signal, TaskError, Settled } from './task-types.ts';

export type * from './ref-types.ts';
export type * from './task-types.ts';
export type { Duration, Effects, Join };

/** Joins that never skip a task; with any other one written out, its output is a {@link MaybeRef}. */
export type SureJoin = 'none_failed' | 'all_done' | 'always';

/** V: what the predicate sees. J and W are inferred: whether the task may be skipped. */
export interface NodeOpts<V = any, J extends Join = Join, W extends boolean = boolean, O = any> extends Omit<TaskOpts, 'concurrency'> {
  /** As of a task; the key may be read from refs. */
  readonly concurrency?: number | KeyLimit<In<string>>;
  /** Default: the task's name. */
  readonly id?: string;
  /** These must be over first; order without data. */
  readonly after?: readonly AnyRef[];
  /** Decides over `after` and everything that is read. */
  readonly join?: J;
  /** Asked once, with the task's input: false skips the task. */
  readonly when?: (input: V) => W;
  /** A failure does not fail the run; on an order-only edge it counts as a success. */
  readonly allowFailure?: boolean;
  /**
   * Runs as a task of its own when this one has failed for good. What it gives stands for the task's output, and the failure counts as a
   * success; where it fails too, the task fails with both errors.
   */
  readonly catch?: Handler<{ input: V; error: TaskError }, O>;
  /** Undoes what the task did, when the run ends as failed or cancelled: as a task of its own, in reverse order of completion. */
  readonly compensate?: Handler<{ input: V; output: O }>;
}

/** A task, or a function: with a contract of its own, retried and recorded like any task. */
export type Handler<V, O = unknown> = Task<V, O, any, any> | ((value: V, ctx: Ctx) => Promise<O> | O);

/** What a `catch` handler gives: a task whose body always throws has no output that it would have to fit. */
type Gives<O> = [O] extends [never] ? any : NoInfer<O>;

interface UsingOpts<T> {
  /** Runs when the setup has succeeded and every task inside has ended, however that was; gets what the setup gave. */
  readonly teardown: Handler<T>;
  readonly after?: readonly AnyRef[];
  /** The longest time of one attempt of the teardown. Default: the task's own timeout, or 5 minutes. */
  readonly grace?: Duration;
  /** A teardown that fails for good fails the run. Default false: it is a dead letter and an alert. */
  readonly failRun?: boolean;
}

/** Of every map, whatever its items are. */
interface ItemsOpts<E, Y extends 'success' | 'skip'> {
  /** Default 10,000; more fail the map. */
  readonly maxItems?: number;
  /** So many items may fail; `ratio` is of all items. */
  readonly tolerate?: { readonly count?: number; readonly ratio?: number };
  /** Names an item; default: its index. */
  readonly key?: (item: Ref<E>) => In<string | number>;
  /** What the map is when there are no items. Default 'success', with `[]`. */
  readonly onEmpty?: Y;
}

export interface MapOpts<E = any, J extends Join = Join, W extends boolean = boolean, Y extends 'success' | 'skip' = 'success' | 'skip'>
  extends Omit<NodeOpts<readonly E[], J, W>, 'concurrency' | 'catch' | 'compensate'>, ItemsOpts<E, Y> {
  /** Items that run at the same time. Default: no bound. */
  readonly concurrency?: number;
}

/** Of a task that is a run of another workflow. */
export interface ChildOpts<V = any, J extends Join = Join, W extends boolean = boolean, D extends boolean = boolean> {
  /** Default: the workflow's name. */
  readonly id?: string;
  readonly after?: readonly AnyRef[];
  readonly join?: J;
  /** Asked once, with the input of the child: false skips the task. */
  readonly when?: (input: V) => W;
  /** A failure does not fail the run; on an order-only edge it counts as a success. */
  readonly allowFailure?: boolean;
  /** Success as soon as the child is accepted, with its id as the value; how it ends does not reach this run, nor does a cancel reach it. */
  readonly detached?: D;
}

/** As of a task. What the child itself did is undone too, after `compensate`: its own tasks say how. */
export interface ChildHandlers<I, O, D> {
  readonly catch?: Handler<{ input: I; error: TaskError }, D extends true ? string : O>;
  readonly compensate?: Handler<{ input: I; output: D extends true ? string : O }>;
}

export interface ChildMapOpts<
  E = any,
  J extends Join = Join,
  W extends boolean = boolean,
  Y extends 'success' | 'skip' = 'success' | 'skip',
  D extends boolean = boolean,
>
  extends ChildOpts<readonly E[], J, W, D>, ItemsOpts<E, Y> {
  /** Items that are open at the same time: older ones go on before another starts. Default 20. */
  readonly concurrency?: number;
}

export interface WhenOpts<J extends Join = Join> {
  /** Default: `when`. */
  readonly id?: string;
  readonly after?: readonly AnyRef[];
  readonly join?: J;
}

export type Result<T, J, W, Y = never> = [J] extends [SureJoin]
  ? [W] extends [never]
    ? [Y] extends ['success']
      ? Ref<T>
      : MaybeRef<T>
    : MaybeRef<T>
  : MaybeRef<T>;

type Items = RefBase<readonly unknown[]> | readonly unknown[];

type ItemOf<R> = Out<R> extends infer L ? (L extends readonly unknown[] ? L[number] : never) : never;

/** A branch of `w.switch`, and the predicate that chooses it. */
export type SwitchCase<V, A> = readonly [test: (value: V) => boolean, make: () => A & Tree<A>];

export interface SwitchOpts<J extends Join = Join> {
  /** Default: `switch`. */
  readonly id?: string;
  readonly after?: readonly AnyRef[];
  readonly join?: J;
}

/** What `w.first` gives: the name of the winner, and its value. */
export type First<R> = { readonly [K in keyof R & string]: { winner: K; value: Out<R[K]> } }[keyof R & string];

/** Values of the branches. */
type CaseValue<C> = { readonly [K in keyof C]: Simplify<Out<C[K]>> }[keyof C];

/** The verbs of a builder. */
export interface Build extends WaitVerbs {
  /** A task. */
  run<I, O, B, J extends Join = never, W extends boolean = never>(
    task: Task<I, O, B, any>,
    input: In<NoInfer<I>>,
    opts?: NodeOpts<NoInfer<B>, J, W, Gives<O>>,
  ): Result<O, J, W>;
  /** A run of another workflow: its end is the end of the task. With `detached` only its acceptance is waited for. */
  run<I, O, J extends Join = never, W extends boolean = never, D extends boolean = false>(
    child: Workflow<I, O>,
    input: In<NoInfer<I>>,
    opts?: ChildOpts<NoInfer<I>, J, W, D> & ChildHandlers<NoInfer<I>, NoInfer<O>, NoInfer<D>>,
  ): Result<D extends true ? string : O, J, W>;
  /** A small inline task: `input` is put together, `fn` gets its value. */
  run<const R, O, J extends Join = never, W extends boolean = never>(
    id: string,
    input: R & Tree<R>,
    fn: ((input: Simplify<Out<R>>, ctx: Ctx) => Promise<O> | O) & StorableFn<O>,
    opts?: NodeOpts<Simplify<Out<NoInfer<R>>>, J, W, Gives<O>>,
  ): Result<O, J, W>;
  /** The task once per item of a list; the value is the list of outputs, or with `settle` of how each item ended. */
  map<
    const R extends Items,
    I,
    O,
    S extends boolean = false,
    J extends Join = never,
    W extends boolean = never,
    Y extends 'success' | 'skip' = never,
  >(
    items: R & Tree<R>,
    task: Task<I, O, any, any>,
    each: (item: Ref<ItemOf<R>>) => In<NoInfer<I>>,
    opts?: MapOpts<ItemOf<NoInfer<R>>, J, W, Y> & {
      readonly settle?: S;
      /** Undoes what an item did, when the run ends as failed or cancelled. */
      readonly compensate?: Handler<{ input: NoInfer<I>; output: NoInfer<O> }>;
    },
  ): Result<S extends true ? Settled<O>[] : O[], J, W, Y>;
  /**
   * A part of the graph per item of a list, made by a function that is called once. Depth first: older items go on before another starts. What
   * the function returns is the value of an item; refs from outside may be used in it.
   */
  map<
    const R extends Items,
    A,
    S extends boolean = false,
    J extends Join = never,
    W extends boolean = never,
    Y extends 'success' | 'skip' = never,
  >(
    items: R & Tree<R>,
    each: (w: Build, item: Ref<ItemOf<R>>) => A & Tree<A>,
    opts?: Omit<ChildMapOpts<ItemOf<NoInfer<R>>, J, W, Y>, 'detached'> & { readonly settle?: S },
  ): Result<S extends true ? Settled<Simplify<Out<A>>>[] : Simplify<Out<A>>[], J, W, Y>;
  /** A run of another workflow per item of a list. */
  map<
    const R extends Items,
    I,
    O,
    S extends boolean = false,
    J extends Join = never,
    W extends boolean = never,
    Y extends 'success' | 'skip' = never,
    D extends boolean = false,
  >(
    items: R & Tree<R>,
    child: Workflow<I, O>,
    each: (item: Ref<ItemOf<R>>) => In<NoInfer<I>>,
    opts?: ChildMapOpts<ItemOf<NoInfer<R>>, J, W, Y, D> & { readonly settle?: S } & Pick<
        ChildHandlers<NoInfer<I>, NoInfer<O>, NoInfer<D>>,
        'compensate'
      >,
  ): Result<S extends true ? Settled<D extends true ? string : O>[] : (D extends true ? string : O)[], J, W, Y>;
  /** One of two branches. What `then` and `otherwise` return is its value; tasks made in them run only if their branch was chosen. */
  when<const R, A>(
    on: R & Tree<R>,
    test: (value: Simplify<Out<R>>) => boolean,
    then: () => A & Tree<A>,
    opts?: WhenOpts,
  ): MaybeRef<Simplify<Out<A>>>;
  when<const R, A, B, J extends Join = never>(
    on: R & Tree<R>,
    test: (value: Simplify<Out<R>>) => boolean,
    then: () => A & Tree<A>,
    otherwise: () => B & Tree<B>,
    opts?: WhenOpts<J>,
  ): Result<Simplify<Out<A>> | Simplify<Out<B>>, J, never>;
  /**
   * One of several branches: that of the first case whose predicate holds. Tasks made in the others are skipped. Where none holds, the
   * branch of `default`; with 'skip' nothing, so that the value may be skipped; without it the decision fails (`no_match`).
   */
  switch<const R, C extends Readonly<Record<string, unknown>>>(
    on: R & Tree<R>,
    cases: { readonly [K in keyof C]: SwitchCase<Simplify<Out<R>>, C[K]> },
    opts: SwitchOpts & { readonly default: 'skip' },
  ): MaybeRef<CaseValue<C>>;
  switch<const R, C extends Readonly<Record<string, unknown>>, D = never, J extends Join = never>(
    on: R & Tree<R>,
    cases: { readonly [K in keyof C]: SwitchCase<Simplify<Out<R>>, C[K]> },
    opts?: SwitchOpts<J> & { readonly default?: () => D & Tree<D> },
  ): Result<CaseValue<C> | Simplify<Out<D>>, J, never>;
  /**
   * The part that succeeds first, and its value. What only the other parts need is cancelled (`superseded`) and counts for nothing in the
   * outcome: their tasks, and what leads to them and to nothing else. Where no part can succeed any more it is upstream_failed, cancelled
   * or skipped, in this order of precedence.
   */
  first<R extends Readonly<Record<string, RefBase<any>>>>(parts: R, opts?: { readonly id?: string }): Ref<First<R>>;
  /**
   * A part of the graph between a setup and its teardown. The tasks that `body` makes run only if the setup has succeeded; the teardown runs
   * after all of them, under every failure policy, cancel and deadline. Gives what `body` returns.
   */
  using<I, T, A>(
    id: string,
    opts: UsingOpts<NoInfer<T>> & { readonly setup: Task<I, T, any, any>; readonly input: In<NoInfer<I>> },
    body: (value: Ref<T>) => A,
  ): A;
  using<T, A, const R = Record<string, never>>(
    id: string,
    opts: UsingOpts<T> & {
      readonly setup: ((input: Simplify<Out<R>>, ctx: Ctx) => Promise<T> | T) & StorableFn<T>;
      readonly input?: R & Tree<R>;
    },
    body: (value: Ref<T>) => A,
  ): A;
  /** How each part ended, whatever that is; never blocks. */
  settle<R extends Readonly<Record<string, AnyRef>>>(parts: R): { readonly [K in keyof R]: Ref<Settled<Out<R[K]>>> };
  /** Reads what may be skipped: then it is `undefined`, or `otherwise`. */
  optional<T>(ref: AnyRef<T>): Ref<T | undefined>;
  optional<T, const D>(ref: AnyRef<T>, otherwise: D & Tree<D>): Ref<T | Out<D>>;
}

/** What a worker needs to run one task of a graph. */
export interface NodeCode {
  readonly task?: AnyTask;
  /** The workflow of a child run. */
  readonly workflow?: Workflow<any, any>;
  readonly run?: Body<any, any>;
  readonly input?: Schema;
  readonly output?: Schema;
  /** The task's own predicate; of a `when` task the test, of a guard the guard. */
  readonly when?: (value: any) => boolean;
  /** The predicates of a `switch`, in the order in which they are asked. */
  readonly cases?: readonly { readonly name: string; readonly test: (value: any) => boolean }[];
  readonly rules: readonly RulePredicate[];
  /** Of a wait: what it waits for; `when` is its predicate then. */
  readonly signal?: Signal<any, any>;
  /** Of an approval: what its form must be. */
  readonly form?: Schema;
}

/** A named, versioned graph of tasks, built once. */
export interface Workflow<I, O> {
  readonly kind: 'workflow';
  readonly name: string;
  readonly version?: string;
  readonly input?: Schema;
  /** When runs of it are started; no part of its version. */
  readonly schedules?: readonly DeclaredSchedule[];
  readonly graph: Graph;
  /** The code of each task of the graph, by id. */
  readonly code: ReadonlyMap<string, NodeCode>;
  /** The runs that tell of a run. */
  readonly hooks?: ReadonlyMap<HookName, Workflow<any, any>>;
  readonly _types?: { readonly input: (input: I) => void; readonly output: O };
}

/**
 * Asked by a worker with a run's input before any task of the run starts. No: the run is `skipped`, and nothing of it runs. One that throws
 * or takes over 10 seconds fails the run.
 */
export type Guard<V> = (input: V) => boolean;

/** What a hook is told about its run. */
export interface HookInput {
  readonly runId: string;
  readonly workflow: string;
  /** As it is when the hook is called. */
  readonly status: 'running' | 'success' | 'partial' | 'failed' | 'cancelled' | 'skipped';
  readonly reason?: string;
  /** Of a run that failed or was cancelled: the tasks where it began. */
  readonly error?: { readonly message: string; readonly rootCause: readonly string[] };
  /** Of a run that has one. */
  readonly output?: unknown;
  readonly input: unknown;
}

/** A task whose input is a {@link HookInput}, or a function. */
export type Hook = Task<HookInput, any, any, any> | ((told: HookInput, ctx: Ctx) => unknown);

export interface WorkflowOpts {
  readonly name: string;
  /** Default: a hash of the graph. */
  readonly version?: string;
  /** Of a run, from its admission. */
  readonly timeout?: Duration;
  /**
   * What becomes of the rest on the first failure that nothing excuses. 'continue' (default): what does not depend on it goes on. 'drain':
   * what has begun ends, nothing else starts. 'abort': what runs is cancelled too. Teardowns and `catch` handlers run in any case.
   */
  readonly failurePolicy?: FailurePolicy;
  /** The outcomes after which what succeeded is compensated. Default: both. */
  readonly compensateOn?: readonly ('failed' | 'cancelled')[];
  /** The run as a whole is redriven when it would end as failed; `maxAttempts` (default 3) counts the first. Default: never. */
  readonly retry?: RunRetry;
  /**
   * What open runs of this version do when a newer one is registered: `'move'` (default), as soon as nothing of them runs, and only where every
   * task that has begun is still there with the same id, contract and upstreams; or `'pin'`: they end as runs of this version.
   */
  readonly onDeploy?: 'move' | 'pin';
  /** Called once a run is admitted and its guard said yes. Hooks are durable tasks of a run of their own: they never change the outcome. */
  readonly onStart?: Hook;
  /** After the end as success or partial. */
  readonly onSuccess?: Hook;
  readonly onFailure?: Hook;
  readonly onCancel?: Hook;
  /** After every end, that of a skipped run too. */
  readonly onFinish?: Hook;
}

export type RunRetry = Pick<Retry, 'maxAttempts' | 'initial' | 'factor' | 'maxDelay' | 'jitter'>;
