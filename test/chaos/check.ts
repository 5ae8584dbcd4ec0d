/** Judges a history: every rule is a pure function from what was seen to what was wrong. */
import { checkClient } from './check-client.ts';
import { checkAttempts, countRepeated } from './check-attempts.ts';
import type { History, Outcome, Violation } from './history.ts';

export function check(history: History): Violation[] {
  return [
    ...history.complaints,
    ...checkIntegrity(history),
    ...checkClient(history),
    ...checkOutcomes(history),
    ...checkAttempts(history),
    ...checkInFlight(history),
    ...checkSlots(history),
    ...(history.mustShare ? checkShares(history) : []),
  ];
}

function checkIntegrity({ snapshots, final }: History): Violation[] {
  return [...snapshots, final]
    .filter(({ integrity }) => integrity !== 'ok')
    .map(({ integrity }, i) => ({ rule: 'integrity', text: `integrity_check, look ${i + 1}: ${integrity}` }));
}

/** The first accepted outcome of a task never changes. */
function checkOutcomes({ snapshots, final }: History): Violation[] {
  const violations: Violation[] = [];
  const known = new Map<string, Outcome>();
  for (const { ended } of [...snapshots, final]) {
    for (const [task, outcome] of ended) {
      const before = known.get(task);
      known.set(task, outcome);
      if (before === undefined || textOf(before) === textOf(outcome)) continue;
      violations.push({ rule: 'outcome-changed', text: `${task}: ${textOf(before)}, later ${textOf(outcome)}` });
    }
  }
  for (const [task, outcome] of known) {
    if (!final.ended.has(task)) violations.push({ rule: 'outcome-lost', text: `${task} was ${textOf(outcome)}, and is open again` });
  }
  return violations;
}

const textOf = ({ status, attempt, text }: Outcome): string => `${status} by attempt ${attempt} ${text}`;

/** Only what a kill interrupted runs again: bodies, and those that had returned and were not committed yet. */
function checkInFlight({ lives, snapshots }: History): Violation[] {
  const inFlight = snapshots.reduce((sum, snapshot) => sum + snapshot.inFlight, 0);
  const repeated = countRepeated(lives);
  if (repeated <= inFlight) return [];
  return [{ rule: 'repeated-too-much', text: `${repeated} bodies ran again, ${inFlight} were in flight at the kills` }];
}

/** A worker runs no more bodies at the same time than it has slots. */
function checkSlots({ concurrency, lives }: History): Violation[] {
  return lives.flatMap(({ name, bodies }) => {
    let running = 0;
    let most = 0;
    for (const { type } of bodies) {
      if (type === 'begin') most = Math.max(most, ++running);
      else if (type === 'ok' || type === 'fail') running--;
    }
    return most <= concurrency
      ? []
      : [{ rule: 'over-capacity', text: `${name} has ${concurrency} slots, and ran ${most} bodies at the same time` }];
  });
}

/** A worker that was at work for so long must have begun something. */
const IDLE_LIMIT_US = 1_000_000;
/** Of an even share, each slot must get so much. */
const LEAST_SHARE = 0.3;

function checkShares({ lives, client }: History): Violation[] {
  // Before that there was nothing to begin: a client may die before its first start.
  const workSince = client.reduce((first, record) => (record.type === 'ack' ? Math.min(first, record.at) : first), Infinity);
  const begun = new Map<number, number>();
  const violations: Violation[] = [];
  for (const life of lives) {
    const bodies = life.bodies.filter((record) => record.type === 'begin').length;
    begun.set(life.slot, (begun.get(life.slot) ?? 0) + bodies);
    const atWork = life.readyAt === null ? 0 : life.aliveUntil - Math.max(life.readyAt, workSince);
    if (bodies === 0 && atWork > IDLE_LIMIT_US) {
      violations.push({ rule: 'starved', text: `${life.name} was at work for ${atWork / 1_000} ms and began nothing` });
    }
  }
  const total = [...begun.values()].reduce((sum, bodies) => sum + bodies, 0);
  for (const [slot, bodies] of begun) {
    if (bodies >= (LEAST_SHARE * total) / begun.size) continue;
    violations.push({ rule: 'starved', text: `the workers of slot ${slot} began ${bodies} of ${total} bodies` });
  }
  return violations;
}
