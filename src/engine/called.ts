import { PawlError } from '../core/errors.ts';

interface Failure {
  readonly code?: string;
  readonly message?: string;
  readonly run?: string;
  readonly rootCause?: unknown;
  /** Where it began. */
  readonly cause?: { readonly code?: string };
}

/** What a body called has failed. It stays failed for as long as the record is there: another attempt would meet the same. */
export class CallFailed extends PawlError {
  constructor(text: string) {
    const { code, message, run, rootCause, cause } = JSON.parse(text) as Failure;
    const details = { run, rootCause, cause: cause?.code ?? code };
    super(code === 'RUN_CANCELLED' ? code : 'RUN_FAILED', message ?? 'A run that the body called failed.', { details });
  }
}

/** What a call gives the body. It knows whether anybody took it: of what nobody awaits, the body would end without it, or without its error. */
export class CallPromise<T> extends Promise<T> {
  private taken: (() => void) | null = null;

  static override get [Symbol.species](): PromiseConstructor {
    return Promise;
  }

  /** `taken` is called when somebody waits for what `work` comes to. A rejection that nobody takes is no unhandled one. */
  static of<T>(work: Promise<T>, taken: () => void): CallPromise<T> {
    const call = new CallPromise<T>((resolve, reject) => void work.then(resolve, reject));
    void call.then(undefined, () => undefined);
    call.taken = taken;
    return call;
  }

  // oxlint-disable-next-line unicorn/no-thenable -- an await of it comes here, and so does every combinator of promises
  override then<A = T, B = never>(
    resolved?: ((value: T) => A | PromiseLike<A>) | null,
    rejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.taken?.();
    this.taken = null;
    return super.then(resolved, rejected);
  }
}
