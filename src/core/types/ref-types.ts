/** Types of symbolic values, and of what may be stored. */

declare global {
  /** Merges with the AbortSignal of Node's or the browser's types: core is compiled without both, `ctx.signal` must fit `fetch`. */
  interface AbortSignal {
    readonly aborted: boolean;
  }
}

/** The parts of a URL that tell it from other objects; core is compiled without the global of that name. */
interface UrlLike {
  href: string;
  protocol: string;
  hostname: string;
  readonly origin: string;
  toJSON(): string;
}

type Prim = string | number | boolean | bigint | null | undefined | symbol;

type Leaf = Prim | Date | Uint8Array | UrlLike;

/** Stored whole: no ref leads into it. */
type Whole = Leaf | ReadonlyMap<any, any> | ReadonlySet<any>;

type IsAny<T> = 0 extends 1 & T ? true : false;

// ---- symbolic values ----------------------------------------------------------------------------------------------------------------

declare const REF: unique symbol;

declare const SKIPPED: unique symbol;

/** Stands for a value that exists once the run has made it. The call signature makes `if (ref)` and `ref ? a : b` errors of TypeScript. */
export interface RefBase<out T> {
  (notAValue: never): never;
  readonly [REF]: T;
  readonly [SKIPPED]: 'never';
}

/** Stands for a value that a run may skip. Accepted by `w.optional`, `w.settle` and `after` only. */
export interface MaybeBase<out T> {
  (notAValue: never): never;
  readonly [REF]: T;
  readonly [SKIPPED]: 'may be skipped: read it with w.optional(ref) or w.settle({ ref }), or order by it with after';
}

export type AnyRef<T = any> = RefBase<T> | MaybeBase<T>;

interface AnyProps {
  readonly [key: string]: RefBase<any> & AnyProps;
}

interface AnyMaybeProps {
  readonly [key: string]: MaybeBase<any> & AnyMaybeProps;
}

/** The places of a tuple: '0', '1', … */
type Place<T> = Exclude<keyof T, keyof (readonly unknown[])>;

type Props<T> =
  IsAny<T> extends true
    ? AnyProps
    : [T] extends [Whole]
      ? unknown
      : [T] extends [readonly (infer E)[]]
        ? number extends T['length']
          ? { readonly [index: number]: Ref<E>; readonly length: Ref<number> }
          : { readonly [K in Place<T>]: Ref<T[K]> } & { readonly length: Ref<T['length']> }
        : [T] extends [object]
          ? { readonly [K in keyof T]-?: Ref<T[K]> }
          : unknown;

type MaybeProps<T> =
  IsAny<T> extends true
    ? AnyMaybeProps
    : [T] extends [Whole]
      ? unknown
      : [T] extends [readonly (infer E)[]]
        ? number extends T['length']
          ? { readonly [index: number]: MaybeRef<E>; readonly length: MaybeRef<number> }
          : { readonly [K in Place<T>]: MaybeRef<T[K]> } & { readonly length: MaybeRef<T['length']> }
        : [T] extends [object]
          ? { readonly [K in keyof T]-?: MaybeRef<T[K]> }
          : unknown;

export type Ref<T> = RefBase<T> & Props<T>;

export type MaybeRef<T> = MaybeBase<T> & MaybeProps<T>;

/** What may be passed where a T is expected: a value, a ref, or a tree that mixes both. */
export type In<T> =
  | RefBase<T>
  | (T extends Whole ? T : T extends readonly (infer E)[] ? readonly In<E>[] : T extends object ? { [K in keyof T]: In<T[K]> } : T);

/** Every ref in a tree replaced by the value it stands for. */
export type Out<R> =
  R extends AnyRef<infer T>
    ? T
    : R extends Whole
      ? R
      : R extends readonly unknown[]
        ? { -readonly [K in keyof R]: Out<R[K]> }
        : R extends object
          ? { -readonly [K in keyof R]: Out<R[K]> }
          : R;

export type Simplify<T> = T extends Whole ? T : T extends object ? { [K in keyof T]: T[K] } : T;

/** Shown where a {@link MaybeRef} stands at a place that needs a value. */
export interface MayBeSkipped {
  readonly 'may be skipped: read it with w.optional(ref) or w.settle({ ref }), or order by it with after': never;
}

/** `R & Tree<R>`: a tree of values and refs, in which no MaybeRef and nothing that cannot be stored occurs. */
export type Tree<R> =
  IsAny<R> extends true
    ? unknown
    : [Extract<R, MaybeBase<any>>] extends [never]
      ? R extends RefBase<any> | Whole
        ? unknown
        : R extends (...a: any) => any
          ? NotStorable<'a function or method'>
          : R extends object
            ? { readonly [K in keyof R]: Tree<R[K]> }
            : unknown
      : MayBeSkipped;

// ---- what may be stored -------------------------------------------------------------------------------------------------------------

export interface NotStorable<Why extends string> {
  readonly 'not storable': Why;
}

export type Storable<T> = unknown extends T
  ? T // any and unknown pass here; the codec looks at run time
  : T extends Leaf
    ? T extends symbol
      ? NotStorable<'a symbol'>
      : T
    : T extends (...a: any) => any
      ? NotStorable<'a function or method'>
      : T extends PromiseLike<any>
        ? NotStorable<'a Promise: did you forget await?'>
        : T extends ReadonlyMap<infer K, infer V>
          ? Map<Storable<K>, Storable<V>>
          : T extends ReadonlySet<infer V>
            ? Set<Storable<V>>
            : T extends Error
              ? T
              : T extends object
                ? { [K in keyof T]: Storable<T[K]> }
                : T;

/** Intersected with the object that holds `run`: an error at `run` if what it returns cannot be stored. */
export type StorableRun<O> = [O] extends [Storable<O>] ? unknown : { readonly run: Storable<NoInfer<O>> };

/** The same for a function that is an argument. */
export type StorableFn<O> = [O] extends [Storable<O>] ? unknown : NotStorable<'what this function returns'>;
