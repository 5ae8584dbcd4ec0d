import { PawlError } from '../core/errors.ts';
import { REQUEST_MS } from '../core/kernel/reset.ts';
import type { DoneRequest } from '../store/acts.ts';
import type { Store } from '../store/store.ts';
import type { Moved } from './moves.ts';
import type { Act, StartUnit, Unit } from './units.ts';

/**
 * Acts of people among the units of a commit: one that was done before is answered with what it came to, and of one run or one request
 * only the first is let in, so that each meets what the one before it left. The others come again with the next commit.
 */
export async function admitActs(store: Store, units: readonly Unit[], now: number, later: (unit: Unit) => void): Promise<readonly Unit[]> {
  if (!units.some((unit) => personal(unit) !== null)) return units;
  const seen = new Set<string>();
  const admitted: Unit[] = [];
  const put: Unit[] = [];
  for (const unit of units) {
    const asked = personal(unit);
    if (asked === null) {
      admitted.push(unit);
      continue;
    }
    const { actor, request, hash } = asked.act;
    const done = request === null ? null : await store.findRequest(actor, request, now - REQUEST_MS);
    if (done !== null) {
      if (done.hash === hash) asked.answer(done.result);
      else asked.reject(conflict(actor, request));
      continue;
    }
    const names = [`run ${asked.run}`, ...(request === null ? [] : [`request ${actor} ${request}`])];
    if (names.some((name) => seen.has(name))) {
      put.push(unit);
      continue;
    }
    for (const name of names) seen.add(name);
    admitted.push(unit);
  }
  // Not before all have been looked up: what fails on the way is refused as a whole.
  for (const unit of put) later(unit);
  return admitted;
}

interface Personal {
  readonly run: number;
  readonly act: Act;
  answer(result: string): void;
  reject(error: unknown): void;
}

/** The act that a unit is; null where no person asked for it, and of starts, whose repetition the store notices. */
function personal(unit: Unit): Personal | null {
  if (unit.kind === 'move') {
    const { run, act, resolve, reject } = unit;
    return act === null ? null : { run, act, reject, answer: (result) => resolve(JSON.parse(result) as Moved) };
  }
  if (unit.kind !== 'event' || unit.act === null) return null;
  const { run, act, done } = unit;
  return { run, act, reject: act.reject, answer: (result) => done?.(true, result) };
}

/** Throws where the request id stood for another act. */
export async function refuseOther(store: Store, { actor, request, hash }: Act, now: number): Promise<void> {
  const done = request === null ? null : await store.findRequest(actor, request, now - REQUEST_MS);
  if (done !== null && done.hash !== hash) throw conflict(actor, request);
}

/** A fork or restart that was asked for before: the run that it made then. */
export function repeatedStart(unit: StartUnit, done: DoneRequest): void {
  const { act } = unit.request;
  if (act === null || act.hash !== done.hash) {
    unit.reject(conflict(act?.actor ?? '', act?.request ?? null));
    return;
  }
  const { run, uid } = JSON.parse(done.result) as { run: number; uid: string };
  unit.resolve({ uid: Uint8Array.from(Buffer.from(uid, 'hex')), run, created: false });
}

/** What was to be taken over was reset meanwhile. */
export const movedOn = (): PawlError => new PawlError('RUN_CHANGED', 'The run changed while another one was made from it.');

function conflict(actor: string, request: string | null): PawlError {
  return new PawlError(
    'RUN_REQUEST_CONFLICT',
    `The request id ${JSON.stringify(request)} of ${JSON.stringify(actor)} stood for another act within the last 7 days.`,
    { details: { actor, request } },
  );
}
