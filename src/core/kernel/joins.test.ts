import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PLAIN_JOINS, type Join } from '../graph/graph.ts';
import { atLeast, decideJoin, strongest, type JoinVerdict, type Never, type UpstreamCounts } from './joins.ts';

/** One upstream: S success, F failed, X upstream_failed, K skipped, C cancelled; a dot is still open. */
type Letter = 'S' | 'F' | 'X' | 'K' | 'C' | '.';
const LETTERS: readonly Letter[] = ['S', 'F', 'X', 'K', 'C', '.'];
const MAX_UPSTREAMS = 4;

const countsOf = (states: string): UpstreamCounts => {
  const count = (letter: Letter): number => states.split(letter).length - 1;
  return {
    n: states.length,
    success: count('S'),
    failed: count('F'),
    upstreamFailed: count('X'),
    skipped: count('K'),
    cancelled: count('C'),
  };
};

/** Every multiset of n upstream states. */
function states(n: number, from = 0): string[] {
  if (n === 0) return [''];
  return LETTERS.slice(from).flatMap((letter, i) => states(n - 1, from + i).map((rest) => letter + rest));
}

/** Every way in which the open upstreams of a state may end. */
function ends(state: string): string[] {
  if (!state.includes('.')) return [state];
  return LETTERS.filter((letter) => letter !== '.').flatMap((letter) => ends(state.replace('.', letter)));
}

const JOINS: readonly Join[] = [...PLAIN_JOINS, 'at_least(1)', 'at_least(2)', 'at_least(3)', 'at_least(4)'];
const ALL = Array.from({ length: MAX_UPSTREAMS }, (_, i) => states(i + 1)).flat();
const ENDED = ALL.filter((state) => !state.includes('.'));
const OPEN = ALL.filter((state) => state.includes('.'));

const times = (state: string, letter: Letter): number => state.split(letter).length - 1;
const label = (state: string): Never => (/[FX]/.test(state) ? 'upstream_failed' : state.includes('C') ? 'cancelled' : 'skipped');

/** The table of semantics.md, section 4, for upstreams that have all ended: when it runs, and what it is otherwise. */
const TABLE: Readonly<Record<string, { readonly run: RegExp; readonly otherwise: (state: string) => Never }>> = {
  all_success: { run: /^S*$/, otherwise: label },
  none_failed: { run: /^[SK]*$/, otherwise: label },
  none_failed_min_one_success: { run: /^K*S[SK]*$/, otherwise: label },
  one_success: { run: /S/, otherwise: label },
  all_done: { run: /^/, otherwise: label },
  all_done_min_one_success: { run: /S/, otherwise: label },
  one_done: { run: /[SF]/, otherwise: () => 'skipped' },
  one_failed: { run: /[FX]/, otherwise: () => 'skipped' },
  all_failed: { run: /^[FX]+$/, otherwise: () => 'skipped' },
  all_skipped: { run: /^K+$/, otherwise: () => 'skipped' },
  none_skipped: { run: /^[^K]*$/, otherwise: () => 'skipped' },
  always: { run: /^/, otherwise: label },
};

function sorted(state: string): string {
  return state.split('').toSorted().join('');
}

function finalOf(join: Join, state: string): JoinVerdict {
  const k = /^at_least\((\d+)\)$/.exec(join)?.[1];
  if (k !== undefined) return times(state, 'S') >= Number(k) ? 'run' : label(state);
  const row = TABLE[join];
  if (row === undefined) throw new Error(`no row for ${join}`);
  return row.run.test(sorted(state)) ? 'run' : row.otherwise(state);
}

/** What the table asks for before all have ended; null: it says nothing, so the join may wait. */
function atOnce(join: Join, state: string): JoinVerdict | null {
  const k = join === 'one_success' ? 1 : Number(/^at_least\((\d+)\)$/.exec(join)?.[1] ?? 0);
  if (k > 0 && times(state, 'S') >= k) return 'run';
  if (k > 0 && times(state, 'S') + times(state, '.') < k && /[FX]/.test(state)) return 'upstream_failed';
  if (join === 'all_success' && /[FX]/.test(state)) return 'upstream_failed';
  if (join === 'one_done' && /[SF]/.test(state)) return 'run';
  if (join === 'one_failed' && /[FX]/.test(state)) return 'run';
  if (join === 'all_failed' && /[SKC]/.test(state)) return 'skipped';
  return join === 'always' ? 'run' : null;
}

describe.each(JOINS)('the join %s', (join) => {
  const reachable = (state: string): boolean => (atLeast(join) ?? 0) <= state.length;

  test('says of every combination of ended upstreams what the table says', () => {
    const wrong = ENDED.filter(reachable).flatMap((state) => {
      const verdict = decideJoin(join, countsOf(state));
      return verdict === finalOf(join, state) ? [] : [`${state}: ${verdict}, not ${finalOf(join, state)}`];
    });
    expect(wrong).toEqual([]);
  });

  test('says at once what it can and never takes back what it said, whatever ends next', () => {
    const wrong = OPEN.filter(reachable).flatMap((state) => {
      const verdict = decideJoin(join, countsOf(state));
      const eager = atOnce(join, state);
      if (eager !== null && verdict !== eager) return [`${state}: ${verdict}, not ${eager} at once`];
      if (verdict === 'wait') return [];
      return ends(state)
        .filter((end) => decideJoin(join, countsOf(end)) !== verdict)
        .map((end) => `${state}: ${verdict}, but ${end}: ${decideJoin(join, countsOf(end))}`);
    });
    expect(wrong).toEqual([]);
  });

  test('comes to one final verdict in every order of the ends', () => {
    const arrival = fc.array(fc.constantFrom<Letter>('S', 'F', 'X', 'K', 'C'), {
      minLength: Math.max(1, atLeast(join) ?? 1),
      maxLength: 6,
    });
    fc.assert(
      fc.property(
        arrival.chain((list) => fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length }))),
        ([one, other]) => {
          expect(firstVerdict(join, one)).toBe(firstVerdict(join, other));
        },
      ),
    );
  });
});

/** The verdict on which a task acts: the first that is no `wait`. */
function firstVerdict(join: Join, arrivals: readonly Letter[]): JoinVerdict {
  for (let ended = 0; ended <= arrivals.length; ended++) {
    const state = arrivals.slice(0, ended).join('').padEnd(arrivals.length, '.');
    const verdict = decideJoin(join, countsOf(state));
    if (verdict !== 'wait') return verdict;
  }
  return 'wait';
}

describe('a join over no upstream that takes part', () => {
  test('by default lets its task run', () => {
    expect(decideJoin('all_success', countsOf(''))).toBe('run');
  });
});

describe('labels', () => {
  test('are ordered: failed before cancelled before skipped', () => {
    const order: readonly Never[] = ['skipped', 'cancelled', 'upstream_failed'];
    const wrong = order.flatMap((a, i) => order.filter((b, j) => strongest(a, b) !== order[Math.max(i, j)]).map((b) => `${a}, ${b}`));
    expect(wrong).toEqual([]);
  });
});

describe('at_least', () => {
  test('is read with its number', () => {
    expect(['at_least(1)', 'at_least(12)', 'all_done', 'at_least()', 'at_least(-1)', 'xat_least(1)', 'at_least(1) '].map(atLeast)).toEqual([
      1,
      12,
      null,
      null,
      null,
      null,
      null,
    ]);
  });
});
