import { PawlError } from '../core/errors.ts';
import type { Fair } from '../core/capacity/fair.ts';
import { limitOf, type Declared, type LimitKind, type LimitValue } from '../core/capacity/limits.ts';
import { rateText } from '../core/define/needs-options.ts';
import { nameProblem, shown } from '../core/graph/problems.ts';
import type { Store } from '../store/store.ts';
import { checkOptions } from '../core/options.ts';
import { operatorAct, type ActorOptions } from './operator-acts.ts';
import { OPTIONS } from './options.ts';

/** Which of two limits with one name is meant: a number is a pool's unless `kind` is 'key'. */
export interface LimitOptions extends ActorOptions {
  readonly kind?: LimitKind;
}

export interface LimitView {
  readonly kind: LimitKind;
  readonly name: string;
  /** What counts now. */
  readonly value: number | string;
  /** What the code declares, where it does. */
  readonly code?: number | string;
  /** What an operator says instead, where one does. */
  readonly operator?: number | string;
  /** Of a pool: between what its units are handed out in turn, as the code declares it. */
  readonly fair?: Fair;
  /** Units that running attempts hold; of a rate nothing is held. */
  readonly held?: number;
}

export interface PausedView {
  readonly name: string;
  readonly since: Date;
}

export interface CapacityWriter {
  now(): number;
  writable(): void;
  /** Wakes whoever may go on now. */
  heardOf(): Promise<void>;
}

/** What an operator sees of limits and pauses, and says of them. */
export class Capacity {
  private readonly store: Store;
  private readonly writer: CapacityWriter;

  constructor(store: Store, writer: CapacityWriter) {
    this.store = store;
    this.writer = writer;
  }

  async list(): Promise<readonly LimitView[]> {
    const held = new Map((await this.store.capacity.held()).map(({ kind, name, units }) => [`${kind}:${name}`, units]));
    return (await this.store.capacity.list()).map(({ kind, name, code, operator, fair }) => ({
      kind,
      name,
      value: textOf(operator ?? code ?? 0),
      ...(code === null ? {} : { code: textOf(code) }),
      ...(operator === null ? {} : { operator: textOf(operator) }),
      ...(fair === undefined ? {} : { fair }),
      ...(kind === 'rate' ? {} : { held: held.get(`${kind}:${name}`) ?? 0 }),
    }));
  }

  async set(name: string, value: unknown, options: LimitOptions): Promise<void> {
    this.writer.writable();
    const limit = limitOf(name, value, options.kind === 'key' ? 'key' : 'pool', 'limit');
    if (options.kind !== undefined && options.kind !== limit.kind)
      throw new PawlError('CONFIG_OPTION', `limit: ${shown(value)} is no value of a ${options.kind}.`);
    if (options.kind === undefined) await this.checkMeant(limit, value);
    const act = operatorAct({ kind: 'limit', name }, 'set', options, { kind: limit.kind, value: textOf(limit.value) });
    await this.store.capacity.set(limit, this.writer.now(), act);
    await this.writer.heardOf();
  }

  /** A value of another kind than the limit of this name would be a limit that nobody asks. */
  private async checkMeant({ kind, name }: Declared, value: unknown): Promise<void> {
    const kinds = (await this.store.capacity.list()).filter((row) => row.name === name).map((row) => row.kind);
    if (kinds.length === 0 || kinds.includes(kind)) return;
    const [is] = kinds;
    throw new PawlError(
      'CONFIG_OPTION',
      `limit: ${shown(name)} is a ${is}, and ${shown(value)} is no value of one${is === 'key' ? ': say that the kind is key' : ''}.`,
    );
  }

  async clear(name: string, options: LimitOptions): Promise<boolean> {
    this.writer.writable();
    const { kind } = options;
    const kinds = (await this.store.capacity.list()).filter((row) => row.name === name && row.operator !== null).map((row) => row.kind);
    const meant = kind ?? kinds[0];
    if (kind === undefined && kinds.length > 1)
      throw new PawlError(
        'CONFIG_OPTION',
        `limit: an operator has set ${kinds.join(' and ')} of the name ${shown(name)}; say which kind is meant.`,
      );
    if (meant === undefined) return false;
    const act = operatorAct({ kind: 'limit', name }, 'clear', options, { kind: meant });
    const cleared = await this.store.capacity.clear({ kind: meant, name }, this.writer.now(), act);
    await this.writer.heardOf();
    return cleared;
  }

  async paused(kind: 'queue' | 'workflow'): Promise<readonly PausedView[]> {
    const rows = await this.store.capacity.paused();
    return rows.filter((row) => row.kind === kind).map(({ name, at }) => ({ name, since: new Date(at) }));
  }

  async pause(kind: 'queue' | 'workflow', name: string, options: ActorOptions): Promise<boolean> {
    this.writer.writable();
    const act = operatorAct({ kind, name: checkedName(kind, name) }, 'pause', options);
    const isNew = await this.store.capacity.pause(kind, name, this.writer.now(), act);
    await this.writer.heardOf();
    return isNew;
  }

  async resume(kind: 'queue' | 'workflow', name: string, options: ActorOptions): Promise<boolean> {
    this.writer.writable();
    const act = operatorAct({ kind, name: checkedName(kind, name) }, 'resume', options);
    const wasPaused = await this.store.capacity.resume(kind, name, this.writer.now(), act);
    await this.writer.heardOf();
    return wasPaused;
  }
}

/** What can be done with queues, and with workflows as a whole. */
export function pauseVerbs(kind: 'queue' | 'workflow', capacity: () => Promise<Pick<Capacity, 'paused' | 'pause' | 'resume'>>) {
  return {
    /** The paused ones. */
    list: async (): Promise<readonly PausedView[]> => (await capacity()).paused(kind),
    /** False where it was paused already. */
    pause: async (name: string, options: ActorOptions = {}): Promise<boolean> => {
      checkOptions(options, `${kind}s.pause`, OPTIONS.actor);
      return (await capacity()).pause(kind, name, options);
    },
    /** False where it was not paused. */
    resume: async (name: string, options: ActorOptions = {}): Promise<boolean> => {
      checkOptions(options, `${kind}s.resume`, OPTIONS.actor);
      return (await capacity()).resume(kind, name, options);
    },
  };
}

const textOf = (value: LimitValue): number | string => (typeof value === 'number' ? value : rateText(value));

function checkedName(what: string, name: unknown): string {
  const wrong = nameProblem(name);
  if (wrong !== null) throw new PawlError('CONFIG_OPTION', `${what}: its name ${wrong}.`);
  return name as string;
}

/** The option as the engine takes it; undefined: what it serves by default. */
export function servedQueues(queues: readonly string[] | 'all' | undefined): ReadonlySet<string> | null | undefined {
  if (queues === undefined) return undefined;
  if (queues === 'all') return null;
  if (!Array.isArray(queues) || queues.length === 0)
    throw new PawlError('CONFIG_OPTION', `queues: must be a list of names, or 'all', not ${shown(queues)}.`);
  return new Set(queues.map((name: unknown) => checkedName('queues', name)));
}
