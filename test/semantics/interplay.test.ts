/** What happens where two parts of the kernel meet: policies and children, gates and redrives, bodies that wait and whatever ends them. */
import { afterEach, describe, expect, test } from 'vitest';
import { NonRetryableError, signal, task, workflow } from '../../src/index.ts';
import type { Build, Workflow } from '../../src/core/types/types.ts';
import { testEngine, type TestEngine } from '../../src/testing/index.ts';
import { closeAll, engineOf, fail, flow, Naps, ok, stateOf } from './kit.ts';

afterEach(closeAll);

const open: TestEngine[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((kit) => kit.close()));
});
const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const kitOf = (options: Parameters<typeof testEngine>[0]): TestEngine => {
  const kit = testEngine({ logger: silent, ...options });
  open.push(kit);
  return kit;
};

const sub = (name: string, build: (w: Build) => void, options: object = {}): Workflow<void, unknown> =>
  workflow({ name, ...options }, (w) => {
    build(w);
    return {};
  }) as Workflow<void, unknown>;

/** How the runs of a workflow stand, parts of others included, the oldest first. */
async function runsOf(kit: TestEngine, name: string): Promise<string[]> {
  const { runs } = await kit.runs.list({ workflow: name, parts: true });
  return runs.map((row) => row.status).toReversed();
}

const napping = (naps: Naps, seconds = 100, name = 'nap') => sub(name, (w) => void w.run('nap', {}, () => naps.sleep(seconds)));

describe('who is let go of', () => {
  test('runs that a catch handler called, when the run is cancelled', async () => {
    const naps = new Naps();
    const called = napping(naps);
    const one = flow(
      (w) => void w.run('a', {}, fail as () => number, { catch: async (_: unknown, ctx) => Number(await ctx.run('call', called)) }),
    );
    const kit = naps.on(engineOf(one, called));
    const run = await kit.start(one);
    await naps.pass(1);
    expect((await stateOf(run)).tasks).toEqual({ a: 'retrying', 'a.catch': 'waiting' });
    await run.cancel();
    await naps.pass(2);
    expect((await stateOf(run)).run).toBe('cancelled');
    expect(await runsOf(kit, 'nap')).toEqual(['cancelled']);
  });

  test('runs that stand for items, when a policy aborts a map that is beyond its bound', async () => {
    const naps = new Naps();
    const parts = workflow({ name: 'case', failurePolicy: 'abort' }, (w) => {
      w.map([0, 1, 2], (inner, i) => {
        inner.run('work', { i }, async (input) => {
          if (input.i === 0) throw new NonRetryableError('no');
          await naps.sleep(100);
        });
        return {};
      });
      return {};
    });
    const kit = naps.on(engineOf(parts));
    const run = await kit.start(parts);
    await naps.pass(3);
    expect((await stateOf(run)).run).toBe('failed');
    expect(await runsOf(kit, 'case/map')).toEqual(['failed', 'cancelled', 'cancelled']);
  });

  test('runs that bodies of items called, when the run is cancelled', async () => {
    const naps = new Naps();
    const called = napping(naps);
    const job = task({ name: 'job', run: async (_: number, ctx) => ctx.run('call', called) });
    const one = flow((w) => void w.map([0, 1], job, (i) => i));
    const kit = naps.on(engineOf(one, called));
    const run = await kit.start(one);
    await naps.pass(1);
    expect(await runsOf(kit, 'nap')).toEqual(['running', 'running']);
    await run.cancel();
    await naps.pass(2);
    expect(await runsOf(kit, 'nap')).toEqual(['cancelled', 'cancelled']);
  });

  test('the other runs that a body called, when it is cancelled while it is queued to go on', async () => {
    const naps = new Naps();
    const [slow, short] = [napping(naps, 100, 'slow'), napping(naps, 2, 'short')];
    const one = flow((w) => {
      w.run('body', {}, async (_, ctx) => void (await Promise.race([ctx.run('slow', slow), ctx.run('short', short)])), {
        retry: { maxAttempts: 1 },
      });
    });
    const kit = naps.on(kitOf({ use: [one, slow, short] }));
    const run = await kit.start(one);
    await naps.pass(1);
    expect((await stateOf(run)).tasks).toEqual({ body: 'waiting' });
    await kit.queues.pause('default');
    await naps.pass(3);
    expect((await stateOf(run)).tasks).toEqual({ body: 'queued' });
    await run.cancel();
    await naps.pass(2);
    expect((await stateOf(run)).run).toBe('cancelled');
    expect(await runsOf(kit, 'slow')).toEqual(['cancelled']);
  });

  test('a run that an earlier attempt called, when the last one ends', async () => {
    const naps = new Naps();
    const slow = napping(naps, 100, 'slow');
    let pass = 0;
    const one = flow((w) => {
      w.run(
        'body',
        {},
        async (_, ctx) => {
          pass++;
          if (pass > 2) return;
          await Promise.race([ctx.run('slow', slow), ctx.sleep('a', '1s')]);
          throw new Error('again');
        },
        { retry: { maxAttempts: 2, initial: '1s', jitter: 'none' } },
      );
    });
    const kit = naps.on(engineOf(one, slow));
    const run = await kit.start(one);
    await naps.pass(10);
    expect((await stateOf(run)).run).toBe('success');
    expect(await runsOf(kit, 'slow')).toEqual(['cancelled']);
  });

  test('runs that a body called before it began anew: their ends are no answers to its new calls', async () => {
    const naps = new Naps();
    const answers: unknown[] = [];
    const slow = workflow({ name: 'slow', input: numbers }, (w, n) => ({
      n: w.run('nap', { n }, async (i) => (await naps.sleep(i.n === 1 ? 5 : 50), i.n)),
    }));
    const one = flow((w) => {
      w.run('body', { turn: 1 }, async (i, ctx) => {
        const called = ctx.run('slow', slow, i.turn);
        if (i.turn === 1) {
          await Promise.race([called, ctx.sleep('a', '1s')]);
          await ctx.restart({ turn: 2 });
        }
        answers.push((await called).n);
      });
    });
    const kit = naps.on(engineOf(one, slow));
    const run = await kit.start(one);
    await naps.pass(80);
    expect((await stateOf(run)).run).toBe('success');
    expect(answers).toEqual([2]);
  });
  test('the runs of a body that is reset while it goes on', async () => {
    const naps = new Naps();
    const slow = napping(naps, 100, 'slow');
    const one = flow((w) => {
      const a = w.run('a', {}, ok);
      w.run(
        'body',
        {},
        async (_, ctx) => {
          await Promise.race([ctx.run('slow', slow), ctx.sleep('a', '1s')]);
          await naps.sleep(1_000);
        },
        { after: [a], timeout: '1h' },
      );
    });
    const kit = naps.on(engineOf(one, slow));
    const run = await kit.start(one);
    await naps.pass(3);
    expect((await stateOf(run)).tasks).toEqual({ a: 'success', body: 'running' });
    await run.rerun('a');
    await naps.pass(3);
    expect(await runsOf(kit, 'slow')).toEqual(['cancelled', 'running']);
  });
});

const numbers = {
  '~standard': {
    version: 1 as const,
    vendor: 'test',
    validate: (value: unknown) => ({ value: value as number }),
    types: undefined as unknown as { input: number; output: number },
  },
};

test('a deadline ends a handler with the run that it called, and the bracket around it is torn down', async () => {
  const naps = new Naps();
  let torn = 0;
  const slow = napping(naps, 500, 'slow');
  const one = sub(
    'case',
    (w) => {
      w.using('u', { setup: ok, teardown: () => void torn++ }, () => {
        w.run('a', {}, fail as () => number, { catch: async (_: unknown, ctx) => Number(await ctx.run('c', slow)) });
      });
    },
    { timeout: '10s' },
  );
  const kit = naps.on(engineOf(one, slow));
  const run = await kit.start(one);
  await naps.pass(20);
  expect(await stateOf(run)).toMatchObject({ run: 'failed', reason: 'deadline', tasks: { 'u.teardown': 'success' } });
  expect(await runsOf(kit, 'slow')).toEqual(['cancelled']);
  expect(torn).toBe(1);
});

test('a cancel does not disturb a compensation that waits for a run', async () => {
  const naps = new Naps();
  const slow = napping(naps, 20, 'slow');
  const one = sub('case', (w) => {
    const a = w.run('a', {}, ok, { compensate: async (_: unknown, ctx) => void (await ctx.run('c', slow)) });
    w.run('b', {}, fail, { after: [a] });
  });
  const kit = naps.on(engineOf(one, slow));
  const run = await kit.start(one);
  await naps.pass(3);
  expect((await stateOf(run)).run).toBe('finishing');
  await kit.reboot();
  await run.cancel().catch(() => undefined);
  await naps.pass(40);
  expect(await stateOf(run)).toMatchObject({ run: 'failed', tasks: { 'a.compensate': 'success' } });
});

describe('a policy and what begins in the commit of the failure', () => {
  test('drain: no item of a map over runs starts, and no child', async () => {
    const one = workflow({ name: 'case', failurePolicy: 'drain' }, (w) => {
      w.map(
        [0, 1, 2],
        (inner, i) => {
          inner.run('work', { i }, (input) => (input.i === 0 ? fail() : undefined));
          return {};
        },
        { concurrency: 1 },
      );
      return {};
    });
    const naps = new Naps();
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(2);
    expect((await stateOf(run)).run).toBe('failed');
    expect(await runsOf(kit, 'case/map')).toEqual(['failed']);
  });

  test('drain: a child and a wait that only the failure would let begin never begin', async () => {
    const child = sub('child', (w) => void w.run('x', {}, ok));
    const one = workflow({ name: 'case', failurePolicy: 'drain' }, (w) => {
      const a = w.run('a', {}, fail);
      w.run(child, undefined, { id: 'child', after: [a], join: 'all_done' });
      w.sleep('1h', { id: 'nap', after: [a], join: 'all_done' });
      w.run('b', {}, ok, { after: [a], join: 'all_done' });
      return {};
    });
    const naps = new Naps();
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(2);
    expect(await stateOf(run)).toMatchObject({
      run: 'failed',
      tasks: { child: 'cancelled: fail_fast', nap: 'cancelled: fail_fast', b: 'cancelled: fail_fast' },
    });
    expect(await runsOf(kit, 'child')).toEqual([]);
  });
});

describe('pause', () => {
  test('a child place that is redriven while the run is paused goes on with the run it had', async () => {
    const naps = new Naps();
    let bad = true;
    let first = 0;
    const child = sub('child', (w) => {
      const a = w.run('a', {}, () => void first++);
      w.run('b', {}, () => (bad ? fail() : undefined), { after: [a] });
    });
    const one = flow((w) => {
      w.run(child, undefined, { id: 'child' });
      w.run('long', {}, () => naps.sleep(20));
      w.sleep('1h', { id: 'nap' });
    });
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(1);
    expect((await stateOf(run)).tasks).toMatchObject({ child: 'failed' });
    await run.pause();
    bad = false;
    await run.redrive();
    await naps.pass(2);
    await run.resume();
    await naps.pass(2);
    expect((await stateOf(run)).tasks).toMatchObject({ child: 'success' });
    expect(first).toBe(1);
    expect(await runsOf(kit, 'child')).toEqual(['success']);
  });
});

describe('partial', () => {
  test('stays partial when another item of the map is redriven', async () => {
    const naps = new Naps();
    let bad = true;
    const one = flow((w) => {
      w.map([0, 1], (inner, i) => {
        inner.run('soft', { i }, (input) => (input.i === 0 ? fail() : undefined), { allowFailure: true });
        inner.run('hard', { i }, (input) => (bad && input.i === 1 ? fail() : undefined));
        return {};
      });
    });
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(1);
    expect((await stateOf(run)).run).toBe('failed');
    bad = false;
    await run.redrive();
    await naps.pass(1);
    expect((await stateOf(run)).run).toBe('partial');
  });
});

describe('run retry', () => {
  test('hooks speak of the last end only, children go on, and a wait of a body is done over', async () => {
    const naps = new Naps();
    const told: string[] = [];
    let bad = 2;
    let first = 0;
    const child = sub('child', (w) => {
      const a = w.run('a', {}, () => void first++);
      w.run('b', {}, () => (bad-- > 0 ? fail() : undefined), { after: [a] });
    });
    const one = workflow(
      {
        name: 'case',
        retry: { maxAttempts: 3, initial: '10s', jitter: 'none' },
        onStart: () => void told.push('start'),
        onFailure: () => void told.push('failure'),
        onSuccess: () => void told.push('success'),
        onFinish: (about: { status: string }) => void told.push(about.status),
      },
      (w) => {
        w.run(child, undefined, { id: 'child' });
        return {};
      },
    );
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(5);
    expect((await stateOf(run)).run).toBe('running');
    await kit.reboot();
    await naps.pass(60);
    expect((await stateOf(run)).run).toBe('success');
    expect(first).toBe(1);
    expect(told.toSorted()).toEqual(['start', 'success', 'success']);
  });

  test('a pause while it waits for its own retry', async () => {
    const naps = new Naps();
    let bad = true;
    const one = workflow({ name: 'case', retry: { maxAttempts: 2, initial: '10s', jitter: 'none' } }, (w) => {
      w.run('a', {}, () => (bad ? fail() : undefined));
      return {};
    });
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(2);
    await run.pause();
    bad = false;
    await naps.pass(30);
    expect((await stateOf(run)).run).toBe('paused');
    await run.resume();
    await naps.pass(5);
    expect((await stateOf(run)).run).toBe('success');
  });
});

describe('versions', () => {
  test('a parent that moved while its child waits hears of its end', async () => {
    const naps = new Naps();
    const go = signal('go', numbers);
    const child = sub('child', (w) => void w.wait(go, { key: 'k' }));
    const parent = (version: string) =>
      workflow({ name: 'case', version }, (w) => {
        if (version === '2') w.run('new', {}, ok);
        w.run('before', {}, ok);
        const c = w.run(child, undefined, { id: 'child' });
        w.run('after', {}, ok, { after: [c] });
        return {};
      });
    const before = parent('1');
    const kit = naps.on(engineOf(before));
    const run = await kit.start(before);
    await naps.pass(1);
    await kit.reboot({ use: [parent('2')] });
    await naps.pass(5);
    expect((await run.status()).version).toBe('2');
    await kit.send(go, { key: 'k', data: 1 });
    await naps.pass(5);
    expect((await stateOf(run)).run).toBe('success');
  });
});
