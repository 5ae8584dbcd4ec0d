/** What runs and the runs in their places do to each other when a person pauses, cancels and redrives at an awkward instant. */
import { afterEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { NonRetryableError, workflow, type Run } from '../../src/index.ts';
import type { Build } from '../../src/core/types/types.ts';
import type { TestEngine } from '../../src/testing/index.ts';
import { closeAll, engineOf, flow, Naps, stateOf } from './kit.ts';

afterEach(closeAll);

const sub = (build: (w: Build) => void) =>
  workflow({ name: 'sub' }, (w) => {
    build(w);
    return { done: true };
  });

const childrenOf = async (kit: TestEngine): Promise<string[]> =>
  (await kit.runs.list({ workflow: 'sub', parts: true })).runs.map((row) => row.status).toReversed();

/** A child that sets something up, naps for ten seconds, and takes five to tear it down. */
function bracketed(naps: Naps) {
  const seen = { first: 0, setups: 0, naps: 0, teardowns: 0 };
  const child = sub((w) => {
    const first = w.run('first', {}, () => void seen.first++);
    const setup = (): null => {
      seen.setups++;
      return null;
    };
    const teardown = async (): Promise<void> => {
      seen.teardowns++;
      await naps.sleep(5);
    };
    w.using('tool', { setup, teardown, after: [first] }, () => {
      w.run('nap', {}, async () => {
        seen.naps++;
        await naps.sleep(10);
      });
    });
  });
  return { child, seen };
}

async function started(naps: Naps, one: ReturnType<typeof flow>): Promise<{ kit: TestEngine; run: Run<unknown> }> {
  const kit = naps.on(engineOf(one));
  const run = await kit.start(one);
  await naps.pass(1);
  return { kit, run };
}

describe('a parent that is redriven while its cancelled child cleans up', () => {
  test('goes on with that child: it is redriven when it has cleaned up', async () => {
    const naps = new Naps();
    const { child, seen } = bracketed(naps);
    const { kit, run } = await started(
      naps,
      flow((w) => void w.run(child, undefined)),
    );
    await run.cancel();
    await naps.pass(1);
    expect(await childrenOf(kit)).toEqual(['cancelling']);
    await run.redrive();
    await naps.pass(1);
    expect(await childrenOf(kit)).toEqual(['cancelling']);
    expect((await stateOf(run)).tasks).toEqual({ sub: 'waiting' });
    await naps.pass(30);
    expect(await stateOf(run)).toMatchObject({ run: 'success', tasks: { sub: 'success' } });
    expect(await childrenOf(kit)).toEqual(['success']);
    expect(seen).toEqual({ first: 1, setups: 2, naps: 2, teardowns: 2 });
  });

  test('also after a crash in between', async () => {
    const naps = new Naps();
    const { child, seen } = bracketed(naps);
    const { kit, run } = await started(
      naps,
      flow((w) => void w.run(child, undefined)),
    );
    await run.cancel();
    await naps.pass(1);
    await run.redrive();
    await kit.reboot();
    await naps.pass(40);
    expect(await stateOf(run)).toMatchObject({ run: 'success', tasks: { sub: 'success' } });
    expect(await childrenOf(kit)).toEqual(['success']);
    expect(seen).toMatchObject({ first: 1, naps: 2 });
  });

  test('a second cancel ends the child where it has cleaned up', async () => {
    const naps = new Naps();
    const { child, seen } = bracketed(naps);
    const { kit, run } = await started(
      naps,
      flow((w) => void w.run(child, undefined)),
    );
    await run.cancel();
    await naps.pass(1);
    await run.redrive();
    await naps.pass(1);
    await run.cancel();
    await naps.pass(30);
    expect(await stateOf(run)).toMatchObject({ run: 'cancelled' });
    expect(await childrenOf(kit)).toEqual(['cancelled']);
    expect(seen).toMatchObject({ naps: 1, teardowns: 1 });
    await run.redrive();
    await naps.pass(30);
    expect(await stateOf(run)).toMatchObject({ run: 'success' });
    expect(await childrenOf(kit)).toEqual(['success']);
  });

  test('a child that does not know of the cancel yet goes on as if nothing had been', async () => {
    const naps = new Naps();
    const { child, seen } = bracketed(naps);
    const { kit, run } = await started(
      naps,
      flow((w) => void w.run(child, undefined)),
    );
    await run.cancel();
    await run.redrive();
    await naps.pass(40);
    expect(await stateOf(run)).toMatchObject({ run: 'success' });
    expect(await childrenOf(kit)).toEqual(['success']);
    expect(seen).toEqual({ first: 1, setups: 1, naps: 1, teardowns: 1 });
  });

  test('a child that is undone meanwhile is not gone on with: another one starts when it is over', async () => {
    const naps = new Naps();
    const log: string[] = [];
    const child = workflow({ name: 'sub', compensateOn: ['cancelled'] }, (w) => {
      const work = w.run('work', {}, () => void log.push('do'), {
        compensate: async () => {
          await naps.sleep(5);
          log.push('undo');
        },
      });
      w.run('nap', {}, () => naps.sleep(5), { after: [work] });
      return {};
    });
    const { kit, run } = await started(
      naps,
      flow((w) => void w.run(child, undefined)),
    );
    await run.cancel();
    await naps.pass(1);
    await run.redrive();
    await naps.pass(40);
    expect(log).toEqual(['do', 'undo', 'do']);
    expect(await stateOf(run)).toMatchObject({ run: 'success' });
    expect(await childrenOf(kit)).toEqual(['cancelled', 'success']);
  });

  test('items of a map over runs go on each with its own', async () => {
    const naps = new Naps();
    const { child, seen } = bracketed(naps);
    const { kit, run } = await started(
      naps,
      flow((w) => void w.map([1, 2], child, () => undefined)),
    );
    await run.cancel();
    await naps.pass(1);
    await run.redrive();
    await naps.pass(40);
    expect(await stateOf(run)).toMatchObject({ run: 'success' });
    expect(await childrenOf(kit)).toEqual(['success', 'success']);
    expect(seen).toMatchObject({ first: 2, naps: 4 });
  });
});

describe('a place that was redriven, where no run of it can go on', () => {
  test('begins as at first: what does not fit its schema is refused again', async () => {
    const naps = new Naps();
    const child = workflow({ name: 'sub', input: z.object({ n: z.number() }) }, (w, input) => ({
      n: w.run('a', { n: input.n }, ({ n }) => n),
    }));
    const one = flow((w) => void w.run(child, { n: w.run('text', {}, () => 'no number' as unknown as number) }));
    const { kit, run } = await started(naps, one);
    expect(await stateOf(run)).toMatchObject({ run: 'failed', tasks: { sub: 'failed' } });
    await run.redrive();
    await naps.pass(5);
    expect(await stateOf(run)).toMatchObject({ run: 'failed', tasks: { sub: 'failed' } });
    expect(await childrenOf(kit)).toEqual([]);
  });

  test('what may have had its effect is not done again in another run', async () => {
    const naps = new Naps();
    let begun = 0;
    const child = sub((w) => {
      w.run(
        'pay',
        {},
        () => {
          begun++;
          throw new Error('who knows');
        },
        { effects: 'unsafe' },
      );
    });
    const { kit, run } = await started(
      naps,
      flow((w) => void w.run(child, undefined)),
    );
    await run.redrive();
    await naps.pass(5);
    expect(begun).toBe(1);
    const { status, error } = (await run.tasks()).find(({ task: id }) => id === 'sub') ?? {};
    expect({ status, error }).toMatchObject({ status: 'failed', error: { code: 'TASK_OUTCOME_UNKNOWN' } });
    expect(await childrenOf(kit)).toEqual(['failed']);
  });
});

describe('while the parent is paused', () => {
  /** Its input is looked at for five seconds. */
  const slowly = (naps: Naps) =>
    workflow({ name: 'sub', input: z.number().transform(async (n) => naps.sleep(5).then(() => n + 1)) }, (w, input) => ({
      n: w.run('a', { n: input }, ({ n }) => n),
    }));

  test('a child whose input is being checked does not start, and starts with what the check gave', async () => {
    const naps = new Naps();
    const child = slowly(naps);
    const one = workflow({ name: 'case' }, (w) => ({ v: w.run(child, 1) }));
    const { kit, run } = await started(naps, one);
    await run.pause();
    await naps.pass(10);
    expect((await stateOf(run)).tasks).toEqual({ sub: 'queued' });
    expect(await childrenOf(kit)).toEqual([]);
    await kit.reboot();
    await run.resume();
    await naps.pass(1);
    expect(await run.result()).toEqual({ v: { n: 2 } });
  });

  test('nor does that of an item', async () => {
    const naps = new Naps();
    const child = slowly(naps);
    const one = workflow({ name: 'case' }, (w) => ({ all: w.map([1, 2, 3], child, (n) => n) }));
    const { kit, run } = await started(naps, one);
    await run.pause();
    await naps.pass(10);
    expect(await childrenOf(kit)).toEqual([]);
    await run.resume();
    await naps.pass(1);
    expect(await run.result()).toEqual({ all: [{ n: 2 }, { n: 3 }, { n: 4 }] });
  });

  test('a child that is held back still goes on when what comes before it is redriven too', async () => {
    const naps = new Naps();
    const bad = { value: true };
    const seen = { first: 0 };
    const child = sub((w) => {
      const first = w.run('first', {}, () => void seen.first++);
      w.run('work', {}, () => breaking(bad), { after: [first] });
    });
    const one = flow((w) => {
      const before = w.run('before', {}, () => breaking(bad));
      w.run('nap', {}, () => naps.sleep(60));
      w.run(child, undefined, { after: [before], join: 'all_done' });
    });
    const { kit, run } = await started(naps, one);
    expect((await stateOf(run)).tasks).toMatchObject({ before: 'failed', sub: 'failed' });
    await run.pause();
    await run.redrive({ task: 'sub' });
    await naps.pass(1);
    expect((await stateOf(run)).tasks).toMatchObject({ sub: 'queued' });
    bad.value = false;
    await run.redrive({ task: 'before' });
    await run.resume();
    await naps.pass(100);
    expect(await stateOf(run)).toMatchObject({ run: 'success' });
    expect(await childrenOf(kit)).toEqual(['success']);
    expect(seen.first).toBe(1);
  });
});

function breaking({ value }: { readonly value: boolean }): void {
  if (value) throw new NonRetryableError('for good');
}

describe('a redrive of the parent in one commit with', () => {
  async function failed() {
    const naps = new Naps();
    const bad = { value: true };
    const seen = { first: 0, work: 0 };
    const child = sub((w) => {
      const first = w.run('first', {}, () => void seen.first++);
      w.run(
        'work',
        {},
        () => {
          seen.work++;
          breaking(bad);
        },
        { after: [first] },
      );
      w.run('other', {}, () => breaking(bad));
    });
    const { kit, run } = await started(
      naps,
      flow((w) => void w.run(child, undefined)),
    );
    const [row] = (await kit.runs.list({ workflow: 'sub', parts: true })).runs;
    bad.value = false;
    return { naps, kit, run, of: await kit.get(row?.id ?? ''), seen };
  }

  test.each(['child first', 'parent first'])('one of the child goes on with it once: %s', async (order) => {
    const { naps, kit, run, of, seen } = await failed();
    const both = order === 'child first' ? [of, run] : [run, of];
    await Promise.allSettled(both.map((one) => one.redrive()));
    await naps.pass(5);
    expect(await stateOf(run)).toMatchObject({ run: 'success', tasks: { sub: 'success' } });
    expect(await childrenOf(kit)).toEqual(['success']);
    expect(seen).toEqual({ first: 1, work: 2 });
  });

  test('another act on the child goes on with it, too', async () => {
    const { naps, kit, run, of, seen } = await failed();
    await Promise.allSettled([of.discard('other', { note: 'no' }), run.redrive()]);
    await naps.pass(5);
    expect(await childrenOf(kit)).toHaveLength(1);
    expect(seen).toEqual({ first: 1, work: 2 });
  });

  // Whichever of the two is decided first, or both in one commit.
  test.each([0, 5, 10])('the end of what the child cleans up goes on with it: %i turns apart', async (turns) => {
    const held = Promise.withResolvers<undefined>();
    const seen = { first: 0, work: 0, teardown: 0 };
    const child = sub((w) => {
      const first = w.run('first', {}, () => void seen.first++);
      w.using('tool', { setup: () => null, teardown: () => (seen.teardown++ === 0 ? held.promise : null), after: [first] }, () => {
        w.run('work', {}, (_, ctx) => (seen.work++ === 0 ? hang(_, ctx) : null));
      });
    });
    const naps = new Naps();
    const { kit, run } = await started(
      naps,
      flow((w) => void w.run(child, undefined)),
    );
    await run.cancel();
    await naps.pass(1);
    const redriven = run.redrive();
    for (let i = 0; i < turns; i++) await Promise.resolve();
    held.resolve(undefined);
    await redriven;
    await naps.pass(5);
    expect(await stateOf(run)).toMatchObject({ run: 'success' });
    expect(await childrenOf(kit)).toEqual(['success']);
    expect(seen).toMatchObject({ first: 1, work: 2 });
  });
});

const hang = (_: unknown, ctx: { readonly signal: AbortSignal }): Promise<null> =>
  new Promise((_resolve, reject) => ctx.signal.addEventListener('abort', () => reject(new Error('aborted'))));
