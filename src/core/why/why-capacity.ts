/** What a queued task or run waits for beside a worker: said from what is held now, never from what was once seen. */
import type { Bucket, Rate } from '../capacity/capacity.ts';
import { levelAt } from '../capacity/capacity.ts';
import type { KeyNeed, Need } from '../capacity/needs.ts';
import { rateText } from '../define/needs-options.ts';
import { spanText } from './words.ts';

/** Why a queued task is not claimed (semantics, section 2). */
export type WaitReason = 'worker' | 'pool' | 'key' | 'rate' | 'paused' | 'version';

/** Limits and holdings at one instant. */
export interface CapacityFacts {
  readonly pausedQueues: ReadonlySet<string>;
  readonly isWorkflowPaused: boolean;
  readonly needsOf: (node: number, item: number) => readonly Need[];
  readonly pool: (name: string) => number | null;
  readonly key: (name: string) => number | null;
  readonly rate: (name: string) => Rate | null;
  readonly bucket: (name: string) => Bucket | null;
  readonly held: (kind: 'pool' | 'key', name: string) => number;
  /** The key of the run's workflow. */
  readonly gate: { readonly need: KeyNeed; readonly isHeld: boolean; readonly holders: number } | null;
}

export interface Waits {
  readonly reason: WaitReason;
  /** Goes on a sentence that begins with who waits. */
  readonly text: string;
  readonly until: number | null;
}

/** The first limit that does not let a task go; null where all would. */
export function limitWait(facts: CapacityFacts, needs: readonly Need[], now: number): Waits | null {
  for (const need of needs) {
    const waits = needWait(facts, need, now);
    if (waits !== null) return waits;
  }
  return null;
}

function needWait(facts: CapacityFacts, need: Need, now: number): Waits | null {
  if (need.kind === 'rate') return rateWait(facts, need, now);
  const held = facts.held(need.kind, need.name);
  if (need.kind === 'key') {
    const limit = facts.key(need.name) ?? need.limit;
    if (held + 1 <= limit) return null;
    return { reason: 'key', text: `for the key "${need.name}": ${held} of ${limit} are running`, until: null };
  }
  const capacity = facts.pool(need.name);
  if (capacity === null) return { reason: 'pool', text: `for the pool "${need.name}", which nobody declares`, until: null };
  if (held + need.units <= capacity) return null;
  const asks = need.units === 1 ? 'a unit' : `${need.units} units`;
  return { reason: 'pool', text: `for ${asks} of the pool "${need.name}": ${held} of ${capacity} are held`, until: null };
}

function rateWait(facts: CapacityFacts, need: Extract<Need, { kind: 'rate' }>, now: number): Waits | null {
  const own = need.count === undefined || need.perMs === undefined ? null : { count: need.count, perMs: need.perMs };
  const rate = facts.rate(need.name) ?? own;
  if (rate === null) return { reason: 'rate', text: `for the rate "${need.name}", which nobody declares`, until: null };
  const bucket = facts.bucket(need.name);
  const level = bucket === null ? rate.count : levelAt(bucket, rate, now);
  if (level >= 1 - 1e-6) return null;
  const ms = Math.max(1, Math.ceil(((1 - level) * rate.perMs) / rate.count));
  return { reason: 'rate', text: `for the rate "${need.name}" (${rateText(rate)}), which has a token in ${spanText(ms)}`, until: now + ms };
}

export function gateText({ need, holders }: NonNullable<CapacityFacts['gate']>, limit: number): string {
  const own = need.name.startsWith('workflow:') ? 'its workflow' : `the key "${need.name}"`;
  return `It waits for its turn: ${holders} of ${limit} runs of ${own} are admitted; it goes on when one of them ends.`;
}
