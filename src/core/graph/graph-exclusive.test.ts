import { describe, expect, test } from 'vitest';
import { workflow } from '../define/workflow.ts';
import { isPawlError } from '../errors.ts';
import { graphWarnings } from './graph-exclusive.ts';
import type { AnyRef, Build, Join } from '../types/types.ts';

/** Two branches, and what a task after both of them comes to: its problems when defined, else its warnings. */
function found(build: (w: Build, a: AnyRef, b: AnyRef) => void): { refused: string[]; warned: string[] } {
  try {
    const { graph } = workflow({ name: 'exclusive' }, (w) => {
      const made: AnyRef[] = [];
      w.switch(1, {
        a: [() => true, () => void made.push(w.run('a', {}, () => 1))],
        b: [() => true, () => void made.push(w.run('b', {}, () => 1))],
      });
      build(w, made[0] as AnyRef, made[1] as AnyRef);
    });
    return { refused: [], warned: graphWarnings(graph).map((one) => one.message) };
  } catch (error) {
    if (!isPawlError(error, 'BUILD_INVALID')) throw error;
    const problems = error.details['problems'] as { code: string; message: string }[];
    return { refused: problems.map(({ code, message }) => `${code} ${message}`), warned: [] };
  }
}
const run = (w: Build, id: string, after: readonly AnyRef[], join?: Join): AnyRef =>
  w.run(id, {}, () => 1, { after, ...(join === undefined ? {} : { join }) });

describe('a task that waits for the success of two branches of which one runs', () => {
  test('is refused with the default join, and told of once', () => {
    const { refused } = found((w, a, b) => void run(w, 'behind', [run(w, 'J', [a, b])]));
    expect(refused).toEqual([expect.stringMatching(/^exclusive task "J" can never run: .* case "a" and of case "b" of "switch"/)]);
  });

  test('is warned of where the join is written out', () => {
    expect(found((w, a, b) => void run(w, 'J', [a, b], 'all_success'))).toEqual({
      refused: [],
      warned: [expect.stringMatching(/^task "J" can never run/)],
    });
  });

  test('is found behind other tasks, in a branch, and over nested branches', () => {
    expect(found((w, a, b) => void run(w, 'J', [run(w, 'x', [run(w, 'y', [a])]), b])).refused).toHaveLength(1);
    expect(
      found((w, a) => {
        w.when(
          1,
          () => true,
          () => void run(w, 'inside', [a]),
        );
        run(w, 'fine', [a]);
      }).refused,
    ).toEqual([]);
    const { refused } = found((w) => {
      let a: AnyRef | undefined;
      let deep: AnyRef | undefined;
      w.when(
        1,
        () => true,
        () => void (a = run(w, 'yes', [])),
        () =>
          void w.when(
            1,
            () => true,
            () => void (deep = run(w, 'deep', [])),
            { id: 'inner' },
          ),
      );
      run(w, 'J', [a, deep] as AnyRef[]);
    });
    expect(refused).toEqual([expect.stringMatching(/"J" can never run.* then and of otherwise of "when"/)]);
  });

  const others: readonly Join[] = [
    'none_failed',
    'none_failed_min_one_success',
    'one_success',
    'at_least(1)',
    'all_done',
    'all_done_min_one_success',
    'one_done',
    'one_failed',
    'all_failed',
    'all_skipped',
    'none_skipped',
    'always',
  ];
  test.each(others)('is neither with the join %s', (join) => {
    expect(found((w, a, b) => void run(w, 'J', [a, b], join))).toEqual({ refused: [], warned: [] });
  });

  test('is neither where the skip may be read, or only one branch is asked for', () => {
    const none = { refused: [], warned: [] };
    expect(found((w, a, b) => void w.run('J', { a: w.optional(a), b: w.optional(b) }, () => 1))).toEqual(none);
    expect(found((w, a, b) => void w.run('J', w.settle({ a, b }), () => 1))).toEqual(none);
    expect(found((w, a) => void run(w, 'J', [a]))).toEqual(none);
    expect(found((w, a, b) => void run(w, 'J', [run(w, 'x', [a, b], 'one_success'), a]))).toEqual(none);
  });
});
