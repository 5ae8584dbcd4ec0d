import { describe, expect, test, vi } from 'vitest';
import type * as flush from './flush.ts';
import { SLOW_FLUSH_MS } from './flush.ts';

const { measuredFlush } = await vi.importActual<typeof flush>('./flush.ts');

/** Measures commits that take these milliseconds; says how many it asked for too. */
function measured(...taken: readonly number[]): { readonly ms: number; readonly commits: number } {
  let commits = 0;
  const ms = measuredFlush(() => taken[commits++] ?? Number.NaN);
  return { ms, commits };
}

describe('the flush that is measured at open', () => {
  test('costs one commit on a fast disk', () => {
    expect(measured(0.2, 9, 9, 9, 9)).toEqual({ ms: 0.2, commits: 1 });
    expect(measured(SLOW_FLUSH_MS)).toEqual({ ms: SLOW_FLUSH_MS, commits: 1 });
  });

  test('is slow where most commits are, and three that agree are enough', () => {
    expect(measured(5, 6, 5)).toEqual({ ms: 5, commits: 3 });
    expect(measured(5, 0.2, 6, 0.3, 7)).toEqual({ ms: 5, commits: 5 });
  });

  test('is not slow because a busy machine made one or two commits slow', () => {
    expect(measured(40, 0.2, 0.2, 0.2)).toEqual({ ms: 0.2, commits: 4 });
    expect(measured(40, 30, 0.2, 0.3, 0.4)).toEqual({ ms: 0.4, commits: 5 });
  });
});
