import type { Settled, Task, Workflow } from './types.ts';

/** A task or a workflow, by what it gives. */
interface Callee<O> {
  readonly kind: 'task' | 'workflow';
  readonly name: string;
  readonly _types?: { readonly input: (input: never) => void; readonly output: O };
}

/** A call of `ctx.all`: the name of its record, what to run, its input. */
export type CtxCall = readonly [name: string | readonly (string | number)[], what: Callee<unknown>, input?: unknown];

/** The call with the input that its task or workflow takes. */
type Fitting<C> = C extends readonly [infer N, infer W, ...unknown[]]
  ? W extends { readonly _types?: { readonly input: (input: infer I) => void } }
    ? readonly [name: N, what: W, ...input: undefined extends I ? [input?: I] : [input: I]]
    : C
  : C;

/** What a body may run. */
export interface CallCtx {
  /**
   * Runs a task or a workflow and gives what it returns; or throws its failure (`RUN_FAILED`, `RUN_CANCELLED`), which may be caught by its code. The
   * slot is free meanwhile. What is run must be given to `createEngine` in `use`.
   */
  run<I, O, B, R>(
    name: string | readonly (string | number)[],
    what: Task<I, O, B, R> | Workflow<I, O>,
    ...input: undefined extends I ? [input?: NoInfer<I>] : [input: NoInfer<I>]
  ): Promise<O>;
  /** Many calls of `ctx.run` at once, `[name, task or workflow, input]` each: their results in order; the first failure, once all have ended. */
  all<const C extends readonly CtxCall[]>(
    calls: C & { readonly [K in keyof C]: Fitting<C[K]> },
    options?: { readonly settle?: false },
  ): Promise<{ -readonly [K in keyof C]: C[K][1] extends Callee<infer O> ? O : never }>;
  /** With `settle: true` how each of them ended, and none of their failures is thrown. `error.code` is that of the failure where it began. */
  all<const C extends readonly CtxCall[]>(
    calls: C & { readonly [K in keyof C]: Fitting<C[K]> },
    options: { readonly settle: true },
  ): Promise<{ -readonly [K in keyof C]: C[K][1] extends Callee<infer O> ? Settled<O> : never }>;
}
