import { decode } from '../core/values/codec.ts';
import { errorRecord } from '../core/errors.ts';
import type { Logger, Redactor } from '../core/log.ts';
import type { WaitingTask } from '../core/kernel/run-state.ts';
import {
  MAILBOX_SIZE,
  MESSAGE_MS,
  type Box,
  type FittingCursor,
  type Message,
  type NewMessage,
  type OpenWait,
  type Sent,
} from '../store/mailbox.ts';
import type { Store } from '../store/store.ts';
import type { StoreClock } from './clock.ts';
import type { Committer } from './committer.ts';
import type { Ports } from './ports.ts';
import type { Registry } from './registry.ts';
import type { Unit } from './units.ts';

/** Waits of one mailbox that one round looks at, and mailboxes of one sweep. */
const AT_ONCE = 200;
const TRIES = 3;
/** A predicate may take so long, as any other. */
const PREDICATE_MS = 10_000;

export interface DelivererOptions {
  readonly store: Store;
  readonly committer: Committer;
  readonly registry: Registry;
  readonly clock: StoreClock;
  readonly ports: Ports;
  readonly logger: Logger;
  readonly redactor: Redactor;
}

/**
 * Brings messages to the tasks that wait for them. A message is durable before that: a delivery is a commit of its own, which takes the
 * message and ends the wait, so it may be tried by any process, any number of times. Predicates are asked here, outside of transactions, by
 * a process that works and has their code; what they refuse is recorded and not asked again.
 */
export class Deliverer {
  private readonly options: DelivererOptions;
  private readonly asked = new Map<string, Box>();
  private round: Promise<void> | null = null;
  private isClosed = false;
  /** Up to here the last sweep looked: mailboxes whose messages nobody takes hide no others. */
  private swept: FittingCursor = { key: null, run: null };
  private hasFailed = false;
  /** Whether this process runs user code. */
  evaluates = false;

  constructor(options: DelivererOptions) {
    this.options = options;
  }

  get isIdle(): boolean {
    return this.round === null;
  }

  close(): void {
    this.isClosed = true;
  }

  /** Stores a message and delivers it as far as this process can; says how many waits took it at once. */
  async send(message: NewMessage): Promise<Sent & { readonly woke: number }> {
    const { store, clock } = this.options;
    const sent = await store.mailbox.send(message, clock.now());
    if (sent.kind !== 'kept') return { ...sent, woke: 0 };
    this.options.committer.onDue(clock.now() + MESSAGE_MS);
    await Promise.all(sent.boxes.map((box) => this.deliver(box)));
    const left = await store.mailbox.present(sent.messages);
    return { ...sent, woke: sent.messages.length - left.size };
  }

  /** A task began to wait: what came before it may be there. Does not wait. */
  began(boxes: readonly Box[]): void {
    if (this.isClosed) return;
    for (const box of boxes) this.asked.set(JSON.stringify(box), box);
    this.round ??= this.rounds();
  }

  private async rounds(): Promise<void> {
    try {
      // why: what begins in one turn of the loop is looked at together
      await new Promise<void>((resolve) => this.options.ports.turn(resolve));
      while (this.asked.size > 0 && !this.isClosed) {
        const boxes = [...this.asked.values()];
        this.asked.clear();
        for (const box of boxes) await this.deliver(box);
      }
    } catch (error) {
      // The sweep finds what was left.
      this.hasFailed = true;
      if (!this.isClosed) this.options.logger.error('messages could not be delivered', { error: String(error) });
    } finally {
      this.round = null;
    }
  }

  /** The last sweep did not come to the end of what there was, or what it found could not be delivered. */
  get isBehind(): boolean {
    return this.hasFailed || this.swept.key !== null || this.swept.run !== null;
  }

  /** What a crash, or a process that could not ask a predicate, left. Does not wait: a predicate may be slow, and the other sweeps are not. */
  async sweep(): Promise<void> {
    const { store, clock } = this.options;
    const { boxes, next } = await store.mailbox.fitting(clock.now(), AT_ONCE, this.swept);
    this.swept = next;
    this.hasFailed = false;
    if (boxes.length > 0) this.began(boxes);
  }

  /** Deletes messages whose time is over. */
  async expire(): Promise<void> {
    const { store, clock } = this.options;
    while (await store.mailbox.expire(clock.now(), AT_ONCE));
    await this.told();
  }

  /** Who follows the journal learns of what was written beside the commits. */
  private async told(): Promise<void> {
    const { store, committer } = this.options;
    committer.onCommit((await store.head()).seq);
  }

  /** Gives each wait of the mailbox the oldest message that it takes, until nothing moves any more. */
  private async deliver(box: Box): Promise<void> {
    let after: OpenWait | undefined;
    // why: a wake-up that came too late leaves its message to the next wait
    for (let failures = 0; failures < TRIES && !this.isClosed;) {
      const page: OpenWait[] = await this.options.store.mailbox.waits(box, AT_ONCE, after);
      const waking = await this.giveOut(page);
      if (waking.length > 0) {
        if (!(await Promise.all(waking)).some(Boolean)) failures++;
      } else if (page.length < AT_ONCE) return;
      // Those that take nothing hide nobody behind them.
      else after = page.at(-1);
    }
  }

  private async giveOut(waits: readonly OpenWait[]): Promise<Promise<boolean>[]> {
    const given = new Set<number>();
    const waking: Promise<boolean>[] = [];
    for (const wait of waits) {
      const message = await this.take(wait, given);
      if (message === null) continue;
      given.add(message.id);
      waking.push(this.wake(wait, { kind: 'signal', message: message.id, data: message.data }));
    }
    return waking;
  }

  private wake(wait: OpenWait, by: Parameters<typeof wakeOf>[1]): Promise<boolean> {
    return this.options.committer.event(wait.run, wakeOf(wait, by));
  }

  /** The oldest message that the wait takes, and that nobody else was given in this round. */
  private async take(wait: OpenWait, given: ReadonlySet<number>): Promise<Message | null> {
    const { store, clock } = this.options;
    if (wait.filtered && !(await this.canAsk(wait))) return null;
    const limit = wait.filtered ? MAILBOX_SIZE : given.size + 1;
    for (const message of await store.mailbox.messages(wait, clock.now(), limit)) {
      if (given.has(message.id)) continue;
      if (!wait.filtered) return message;
      const verdict = await this.ask(wait, message);
      if (verdict === 'failed') return null;
      if (verdict) return message;
      await store.mailbox.refuse(wait, message.id, clock.now());
      await this.told();
    }
    return null;
  }

  private async canAsk({ definition, node }: OpenWait): Promise<boolean> {
    if (!this.evaluates) return false;
    await this.options.registry.learn(this.options.store, definition);
    return this.options.registry.get(definition)?.code[node]?.when !== undefined;
  }

  /** A predicate that throws, or takes too long, fails the task: a mistake of its definition. */
  private async ask(wait: OpenWait, message: Message): Promise<boolean | 'failed'> {
    const predicate = this.options.registry.get(wait.definition)?.code[wait.node]?.when as ((data: unknown) => unknown) | undefined;
    try {
      return Boolean(await this.within(Promise.resolve(predicate?.(decode(message.data)))));
    } catch (error) {
      await this.wake(wait, { kind: 'broken', error: JSON.stringify(errorRecord(error, this.options.redactor)) });
      return 'failed';
    }
  }

  private within<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const late = (): void => reject(new Error(`The predicate of the wait took over ${PREDICATE_MS} ms.`));
      const cancel = this.options.ports.timer(PREDICATE_MS, late);
      void work.then(resolve, reject).finally(cancel);
    });
  }
}

type By = Extract<Extract<Unit, { kind: 'event' }>['event'], { type: 'wake' }>['by'];

const wakeOf = ({ node, item, name }: OpenWait, by: By) => ({ type: 'wake', node, item, name, by }) as const;

/**
 * Among the units of a commit those that take a message which somebody else has taken: they come to nothing. Without this a wake-up that met
 * the guard of the store would be tried again for ever.
 */
export async function admitWakes(store: Store, units: readonly Unit[]): Promise<readonly Unit[]> {
  if (!units.some((unit) => messageOf(unit) !== null)) return units;
  const taking = units.map(messageOf).filter((message) => message !== null);
  const present = await store.mailbox.present(taking);
  return units.filter((unit) => {
    const message = messageOf(unit);
    if (message === null || present.has(message)) return true;
    if (unit.kind === 'event') unit.done?.(false);
    return false;
  });
}

function messageOf(unit: Unit): number | null {
  if (unit.kind !== 'event' || unit.event.type !== 'wake') return null;
  return unit.event.by.kind === 'signal' ? unit.event.by.message : null;
}

/** The mailboxes from which a waiting task takes messages. */
export function boxesOf(run: number, task: WaitingTask): Box[] {
  return task.on.flatMap((wait): Box[] => {
    if (wait.kind !== 'signal') return [];
    const { signal, key } = wait;
    return [{ signal, key: null, run }, ...(key === null ? [] : [{ signal, key, run: null }])];
  });
}
