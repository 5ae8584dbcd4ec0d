import { encode } from '../core/values/codec.ts';
import { PawlError } from '../core/errors.ts';
import { runIdText } from '../core/ids.ts';
import { anything, checkOptions, type Checks } from '../core/options.ts';
import { shown } from '../core/graph/problems.ts';
import { validate } from '../core/values/schema.ts';
import { isSignal } from '../core/define/signal.ts';
import { isRunOver } from '../core/kernel/states.ts';
import type { Signal } from '../core/types/types.ts';
import { keyProblem } from '../core/kernel/waits.ts';
import type { Box, NewMessage, Sent } from '../store/mailbox.ts';
import type { RunRow } from '../store/store.ts';

export interface SendOptions<I = unknown> {
  /** Who waits with this key may take it. Give this or `run`. */
  readonly key?: string;
  /** Only this run may take it. */
  readonly run?: string;
  /** Must pass the signal's schema. */
  readonly data: I;
  /** 'one' (default): the wait that began first. 'all': a copy for each run that waits with the key at this moment; kept as one where none does. */
  readonly to?: 'one' | 'all';
  /** The same signal, mailbox and `dedupe` within 7 days: the same message. */
  readonly dedupe?: string;
}

export interface SendReport {
  /** How many waits took it at once. 0: it is kept for 7 days, or it was sent before. */
  readonly woke: number;
  readonly duplicate: boolean;
}

export interface SignalWriter {
  writable(): void;
  now(): number;
  signal(name: string): Signal<never, unknown> | undefined;
  send(message: NewMessage): Promise<Sent & { readonly woke: number }>;
}

interface Finder {
  find(id: string): Promise<RunRow>;
}

const OPTIONS: Checks<SendOptions> = { key: anything, run: anything, data: anything, to: anything, dedupe: anything };
const MAX_RETRY_AFTER_MS = 60_000;

/**
 * Sends a message: it is durable when this resolves. Rejects with `SIGNAL_DATA_INVALID`, `SIGNAL_UNKNOWN`, `SIGNAL_MAILBOX_FULL`,
 * `RUN_NOT_FOUND`, `RUN_NOT_OPEN`, `PAYLOAD_*`, or a `STORE_*` error: then nothing was stored.
 */
export async function sendSignal(
  at: { readonly client: Finder; readonly writer: SignalWriter; readonly maxPayload: number },
  given: Signal<never, unknown> | string,
  options: SendOptions,
): Promise<SendReport> {
  const { client, writer, maxPayload } = at;
  writer.writable();
  const signal = signalOf(writer, given);
  const box = await boxOf(client, signal.name, options);
  const data = await checked(signal, options.data, maxPayload);
  const { to = 'one', dedupe = null } = options;
  if (to !== 'one' && to !== 'all') throw new PawlError('CONFIG_OPTION', `to: must be 'one' or 'all', not ${shown(to)}.`);
  if (to === 'all' && box.run !== null) throw new PawlError('CONFIG_OPTION', "to: 'all' goes with a key; a run has one mailbox.");
  const problem = dedupe === null ? null : keyProblem(dedupe);
  if (problem !== null) throw new PawlError('CONFIG_OPTION', `dedupe ${problem}.`);
  const sent = await writer.send({ box, to, data, dedupe });
  if (sent.kind === 'full') throw full(box, options, sent.freeAt - writer.now());
  return { woke: sent.woke, duplicate: sent.kind === 'duplicate' };
}

function signalOf(writer: SignalWriter, given: Signal<never, unknown> | string): Signal<never, unknown> {
  if (typeof given !== 'string') {
    if (isSignal(given)) return given;
    throw new PawlError('CONFIG_OPTION', `send takes a signal, or the name of one, not ${shown(given)}.`);
  }
  const known = writer.signal(given);
  if (known !== undefined) return known;
  throw new PawlError('SIGNAL_UNKNOWN', `No signal ${shown(given)} is registered with this engine, and no workflow of it waits for one.`);
}

async function boxOf(client: Finder, signal: string, options: SendOptions): Promise<Box> {
  checkOptions(options, 'send', OPTIONS);
  const { key, run } = options;
  if ((key === undefined) === (run === undefined)) throw new PawlError('CONFIG_OPTION', 'key and run: give one of the two.');
  if (run === undefined) {
    const problem = keyProblem(key);
    if (problem !== null) throw new PawlError('CONFIG_OPTION', `key ${problem}.`);
    return { signal, key: key ?? '', run: null };
  }
  const row = await client.find(run);
  if (isRunOver[row.status])
    throw new PawlError('RUN_NOT_OPEN', `Run ${runIdText(row.uid)} is ${row.status}.`, {
      details: { run: runIdText(row.uid), status: row.status },
    });
  return { signal, key: null, run: row.run };
}

async function checked(signal: Signal<never, unknown>, data: unknown, maxBytes: number): Promise<string | null> {
  const result = await validate(signal.schema, data);
  if (!result.ok) {
    const text = result.issues.map(({ path, message }) => `data${path === '' ? '' : `.${path}`}: ${message}`).join('; ');
    throw new PawlError('SIGNAL_DATA_INVALID', `The data for the signal "${signal.name}" does not fit: ${text}`, {
      details: { signal: signal.name, issues: result.issues },
    });
  }
  return encode(result.value, { maxBytes, root: 'data' }) ?? null;
}

function full(box: Box, { key, run }: SendOptions, waitMs: number): PawlError {
  const where = key === undefined ? `of run ${run ?? ''}` : `with the key ${shown(key)}`;
  const retryAfterMs = Math.max(1, Math.min(MAX_RETRY_AFTER_MS, waitMs));
  return new PawlError('SIGNAL_MAILBOX_FULL', `The mailbox of "${box.signal}" ${where} holds 10,000 messages that nobody has taken.`, {
    details: { signal: box.signal, retryAfterMs },
  });
}
