import type { Join, PlainJoin } from '../graph/graph.ts';

/** How many upstreams that take part are in which terminal state; `n` counts them all. A map counts as one. */
export interface UpstreamCounts {
  readonly n: number;
  readonly success: number;
  readonly failed: number;
  readonly upstreamFailed: number;
  readonly skipped: number;
  readonly cancelled: number;
}

export type Never = 'upstream_failed' | 'cancelled' | 'skipped';
export type JoinVerdict = 'run' | 'wait' | Never;

/**
 * What a join says of the upstreams' states (semantics, section 4). A pure function of the counts, never of their order. Eager joins say
 * `run` or `upstream_failed` before all upstreams are terminal; whether reads are terminal too is not decided here.
 */
export function decideJoin(join: Join, counts: UpstreamCounts): JoinVerdict {
  const k = atLeast(join);
  return k === null ? RULES[join as PlainJoin](counts) : reach(counts, k);
}

/** k of `at_least(k)`, else null. */
export function atLeast(join: string): number | null {
  const match = /^at_least\((\d{1,9})\)$/.exec(join);
  return match ? Number(match[1]) : null;
}

/** Failed before cancelled before skipped. */
export function strongest(a: Never, b: Never): Never {
  return RANK[a] >= RANK[b] ? a : b;
}

const RANK: Readonly<Record<Never, number>> = { skipped: 0, cancelled: 1, upstream_failed: 2 };

const broken = (c: UpstreamCounts): number => c.failed + c.upstreamFailed;
const ended = (c: UpstreamCounts): number => c.success + broken(c) + c.skipped + c.cancelled;
const allEnded = (c: UpstreamCounts): boolean => ended(c) === c.n;
const label = (c: UpstreamCounts): Never => (broken(c) > 0 ? 'upstream_failed' : c.cancelled > 0 ? 'cancelled' : 'skipped');

function reach(c: UpstreamCounts, k: number): JoinVerdict {
  if (c.success >= k) return 'run';
  const possible = c.success + (c.n - ended(c));
  if (possible < k && broken(c) > 0) return 'upstream_failed';
  return allEnded(c) ? label(c) : 'wait';
}

const RULES: Readonly<Record<PlainJoin, (c: UpstreamCounts) => JoinVerdict>> = {
  all_success: (c) => {
    if (c.success === c.n) return 'run';
    if (broken(c) > 0) return 'upstream_failed';
    return allEnded(c) ? label(c) : 'wait';
  },
  none_failed: (c) => {
    if (broken(c) > 0) return 'upstream_failed';
    if (!allEnded(c)) return 'wait';
    return c.cancelled > 0 ? 'cancelled' : 'run';
  },
  none_failed_min_one_success: (c) => {
    const plain = RULES.none_failed(c);
    return plain === 'run' && c.success === 0 ? 'skipped' : plain;
  },
  one_success: (c) => reach(c, 1),
  all_done: (c) => (allEnded(c) ? 'run' : 'wait'),
  all_done_min_one_success: (c) => {
    if (!allEnded(c)) return 'wait';
    return c.success > 0 ? 'run' : label(c);
  },
  one_done: (c) => (c.success + c.failed > 0 ? 'run' : allEnded(c) ? 'skipped' : 'wait'),
  one_failed: (c) => (broken(c) > 0 ? 'run' : allEnded(c) ? 'skipped' : 'wait'),
  all_failed: (c) => (broken(c) === c.n ? 'run' : ended(c) > broken(c) ? 'skipped' : 'wait'),
  all_skipped: (c) => (c.skipped === c.n ? 'run' : allEnded(c) ? 'skipped' : 'wait'),
  none_skipped: (c) => {
    if (!allEnded(c)) return 'wait';
    return c.skipped === 0 ? 'run' : 'skipped';
  },
  always: () => 'run',
};
