import { NO_FLOW, type RunCause, type RunFlow, type RunState } from './run-state.ts';
import { REASONS, type Reason } from './states.ts';

/** What a run remembers beside its tasks, as a store keeps it; null: nothing. */
export function flowText({ flow, cause, cancelAsked }: Pick<RunState, 'flow' | 'cause' | 'cancelAsked'>): string | null {
  const bag = {
    ...(cause === null ? {} : { cause: [cause.status, cause.reason] }),
    ...(cancelAsked === null ? {} : { cancel: cancelAsked }),
    ...(flow.tripped ? { tripped: true } : {}),
    ...(flow.compensated ? { compensated: true } : {}),
    ...(flow.retries === 0 ? {} : { retries: flow.retries }),
    ...(flow.retryAt === null ? {} : { retryAt: flow.retryAt }),
    ...(flow.shares ? { shares: true } : {}),
    ...(flow.called === null ? {} : { called: flow.called }),
    ...(flow.incomplete ? { incomplete: true } : {}),
    ...(flow.reopened ? { reopened: true } : {}),
    ...(flow.unstarted ? { unstarted: true } : {}),
    ...(flow.again ? { again: true } : {}),
  };
  return Object.keys(bag).length === 0 ? null : JSON.stringify(bag);
}

interface StoredFlow {
  readonly flow: RunFlow;
  readonly cause: RunCause | null;
  readonly cancelAsked: Reason | null;
}

const NOTHING: StoredFlow = { flow: NO_FLOW, cause: null, cancelAsked: null };

/** Throws where the text is none of these: an imported run may hold anything. */
export function readFlow(text: string | null): StoredFlow {
  if (text === null) return NOTHING;
  const bag = JSON.parse(text) as Readonly<Record<string, unknown>>;
  const { cause, cancel, retries = 0, retryAt = null, called = null } = bag;
  const isInstant = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
  if (!isInstant(retries) || !(retryAt === null || isInstant(retryAt)) || !(called === null || isInstant(called)))
    throw new RangeError(`no flow of a run: ${text.slice(0, 100)}`);
  return {
    flow: {
      tripped: bag['tripped'] === true,
      compensated: bag['compensated'] === true,
      retries,
      retryAt,
      shares: bag['shares'] === true,
      called,
      incomplete: bag['incomplete'] === true,
      reopened: bag['reopened'] === true,
      unstarted: bag['unstarted'] === true,
      again: bag['again'] === true,
    },
    cause: cause === undefined ? null : causeOf(cause),
    cancelAsked: cancel === undefined ? null : reasonOf(cancel),
  };
}

function causeOf(value: unknown): RunCause {
  const [status, reason] = Array.isArray(value) ? (value as unknown[]) : [];
  if (status !== 'failed' && status !== 'cancelled' && status !== 'skipped') throw new RangeError(`no cause of a run: ${String(status)}`);
  return { status, reason: reasonOf(reason) };
}

function reasonOf(value: unknown): Reason {
  const reason = REASONS.find((one) => one === value);
  if (reason === undefined) throw new RangeError(`no reason: ${String(value)}`);
  return reason;
}

/** When the run as a whole is to be looked at again. What cleans up has its own timeouts. */
export function wakeOf({ status, startAt, deadlineAt, flow }: Pick<RunState, 'status' | 'startAt' | 'deadlineAt' | 'flow'>): number | null {
  if (status === 'scheduled') return startAt;
  if (status === 'cancelling' || status === 'finishing') return null;
  if (flow.retryAt === null) return deadlineAt;
  return deadlineAt === null ? flow.retryAt : Math.min(flow.retryAt, deadlineAt);
}
