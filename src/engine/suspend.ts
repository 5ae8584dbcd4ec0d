import { PawlError } from '../core/errors.ts';
import type { BodyWait } from '../core/kernel/waits.ts';

/** Why a body is to leave: it waits for these, or begins anew. */
export type Leaving =
  | { readonly kind: 'waits'; readonly waits: readonly BodyWait[] }
  | { readonly kind: 'restart'; readonly input: string | null };

/** What a body's call is rejected with when the body is to leave: it runs again from the top. Not for catching. */
export class Suspended extends Error {
  constructor() {
    super('The body leaves its slot until what it waits for has come. Let this error leave the body: catch only what you expect.');
    this.name = 'Suspended';
  }
}

interface Call {
  /** Several of one `ctx.all`. */
  readonly waits: readonly BodyWait[];
  /** How many calls the body had made with it; null where work was under way beside it. */
  readonly made: number | null;
  /** Place in the order in which waits came to their end; null: it has not. */
  readonly done: number | null;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * When a body that waits gives up its slot (docs/adr/0013). Calls that are open are looked at only when the body has come to rest: no step
 * is under way, and a turn of the event loop has passed. Then the wait that ended first is answered, so that every pass sees the order of the
 * pass before; where none has ended, the body is told to leave by rejecting its open calls, the last one first.
 */
export class Suspension {
  leaving: Leaving | null = null;
  private readonly turn: (fn: () => void) => void;
  private readonly attempt: { readonly done: boolean };
  private readonly error = new Suspended();
  private open: Call[] = [];
  private restarting: ((error: unknown) => void) | null = null;
  private asked: Extract<Leaving, { kind: 'restart' }> | null = null;
  private busy = 0;
  private made = 0;
  private isAsked = false;

  constructor(turn: (fn: () => void) => void, attempt: { readonly done: boolean }) {
    this.turn = turn;
    this.attempt = attempt;
  }

  /** Whether the body left as it was told to. */
  isSuspension(error: unknown): boolean {
    return error === this.error || (error instanceof AggregateError && error.errors.includes(this.error));
  }

  /** Work of the body that must end before it may leave. A promise that the body forgets rejects for nobody. */
  during<T>(work: () => Promise<T>): Promise<T> {
    this.made++;
    const done = this.leaving === null ? this.counted(work) : Promise.reject<T>(this.error);
    done.catch(() => undefined);
    return done;
  }

  private async counted<T>(work: () => Promise<T>): Promise<T> {
    this.busy++;
    try {
      return await work();
    } finally {
      this.busy--;
      this.look();
    }
  }

  /** Whether nothing is under way, so that a call which needs no rest may be answered where it is made. */
  answersAtOnce(): boolean {
    const isQuiet = this.leaving === null && this.busy === 0 && this.open.length === 0 && this.restarting === null;
    if (isQuiet) this.made++;
    return isQuiet;
  }

  /**
   * `alone`: what it waits for has ended, and in the pass that opened it nothing else was called before the body left. What the body has then is
   * what it had in that pass, so it needs no rest to be answered.
   */
  park(waits: readonly BodyWait[], done: number | null, alone = false): Promise<void> {
    if (alone && done !== null && this.busy === 1 && this.open.length === 0) return Promise.resolve();
    const made = this.busy === 1 ? this.made : null;
    return this.resting((resolve, reject) => void this.open.push({ waits, made, done, resolve, reject }));
  }

  leave(leaving: Extract<Leaving, { kind: 'restart' }>): Promise<never> {
    this.asked = leaving;
    return this.resting<never>((_, reject) => void (this.restarting = reject));
  }

  /** A call that waits is no work that is under way. */
  private async resting<T>(begin: (resolve: (value: T) => void, reject: (error: unknown) => void) => void): Promise<T> {
    const called = new Promise<T>(begin);
    this.busy--;
    this.look();
    try {
      return await called;
    } finally {
      this.busy++;
    }
  }

  private look(): void {
    if (this.isAsked || (this.open.length === 0 && this.restarting === null)) return;
    this.isAsked = true;
    this.turn(() => {
      this.isAsked = false;
      this.atRest();
    });
  }

  private atRest(): void {
    if (this.busy > 0 || this.attempt.done) return;
    if (this.restarting !== null && this.asked !== null) {
      this.leaving = this.asked;
      this.restarting(this.error);
      this.restarting = null;
      return;
    }
    const next = this.leaving === null ? this.firstDone() : undefined;
    if (next !== undefined) {
      this.open = this.open.filter((call) => call !== next);
      next.resolve();
    } else {
      this.leaving ??= { kind: 'waits', waits: this.waits() };
      this.open.pop()?.reject(this.error);
    }
    // Where the body goes on in spite of it, the other calls are rejected too.
    this.look();
  }

  private waits(): readonly BodyWait[] {
    const [only, second] = this.open;
    const isAlone = only !== undefined && second === undefined && only.made === this.made;
    const waits = this.open.flatMap((call) => call.waits);
    return isAlone ? waits.map((each) => (each.isNew ? { ...each, wait: { ...each.wait, alone: true } } : each)) : waits;
  }

  private firstDone(): Call | undefined {
    let first: Call | undefined;
    for (const call of this.open) if (call.done !== null && (first === undefined || call.done < (first.done ?? 0))) first = call;
    return first;
  }
}

export const swallowed = (leaving: Leaving, where: string): PawlError =>
  new PawlError(
    'STEP_SWALLOWED',
    leaving.kind === 'restart'
      ? `The body of ${where} asked to begin anew, and went on.`
      : `The body of ${where} asked to wait for ${leaving.waits.map(({ wait }) => JSON.stringify(wait.name)).join(', ')}, and went on.`,
  );
