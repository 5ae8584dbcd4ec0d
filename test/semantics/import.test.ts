import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { NonRetryableError, signal, task, workflow } from '../../src/index.ts';
import { flowOf, gate } from './capacity-kit.ts';
import { carried, exported, imported, runsOf, two } from './import-kit.ts';

describe('an open run that was imported and released goes on to its end', () => {
  test('that nobody had claimed', async () => {
    const job = gate('job');
    const plain = flowOf('plain', job.task);
    const { from, to } = two({ use: [plain], concurrency: 1 });
    await from.start(plain, 'a');
    const second = await from.start(plain, 'b');
    const copy = await carried(from, to, second);
    expect(job.running()).toEqual(['b']);
    job.end('b');
    expect(await copy.status()).toMatchObject({ status: 'running' });
    await to.settle();
    expect(await copy.status()).toMatchObject({ status: 'success' });
  });

  test('with what was running, as with a lost lease', async () => {
    const job = gate('job');
    const plain = flowOf('plain', job.task);
    const { from, to } = two({ use: [plain] });
    const copy = await carried(from, to, await from.start(plain, 'a'));
    expect(job.begun).toEqual(['a', 'a']);
    expect(await copy.tasks()).toMatchObject([{ status: 'running', attempt: 2 }]);
    job.end('a');
    await to.settle();
    expect(await copy.status()).toMatchObject({ status: 'success' });
  });

  test('but never runs again what may have had its effect', async () => {
    const job = gate('job', { effects: 'unsafe' });
    const plain = flowOf('plain', job.task);
    const { from, to } = two({ use: [plain] });
    const copy = await carried(from, to, await from.start(plain, 'a'));
    expect(job.begun).toEqual(['a']);
    expect(await copy.tasks()).toMatchObject([{ status: 'failed', reason: 'outcome_unknown' }]);
    expect(await copy.status()).toMatchObject({ status: 'failed' });
  });

  test('and learns that its attempt was lost also where the releasing process died before it said so', async () => {
    const job = gate('job');
    const plain = flowOf('plain', job.task);
    const { from, to } = two({ use: [plain] });
    const run = await from.start(plain, 'a');
    await from.settle();
    const copy = await imported(to, await exported(from, run));
    await from.close();
    const store = await to.storeOf;
    const { run: number } = (await store.quarantinedRuns(1))[0] ?? { run: 0 };
    const act = { actor: 'ann', action: 'release', request: null, hash: 'h', facts: '{}', note: null, result: '{}' };
    await store.release(number, act, to.clock.now().getTime(), [{ run: number, lanes: [], gate: null }]);
    await to.reboot();
    await to.settle();
    expect(job.begun).toEqual(['a', 'a']);
    job.end('a');
    await to.settle();
    expect(await copy.status()).toMatchObject({ status: 'success' });
  });

  test('waiting for a timer, a person, a message, and with a message that came before anybody waited', async () => {
    const go = signal('go', z.string());
    const early = signal('early', z.string());
    const waits = workflow({ name: 'waits' }, (w) => {
      const went = w.wait(go, { id: 'went' });
      const slept = w.sleep('1h');
      const asked = w.approve('asked', { who: ['ops'] });
      const came = w.wait(early, { after: [went, slept, asked] });
      return { went, came };
    });
    const { from, to } = two({ use: [waits] });
    const run = await from.start(waits);
    await from.send(early, { run: run.id, data: 'first' });
    await from.send(early, { run: run.id, data: 'second' });
    const copy = await carried(from, to, run);
    await to.send(go, { run: run.id, data: 'now' });
    await to.approvals.approve(run.id);
    await to.clock.advance('1h');
    expect(await copy.result()).toEqual({ went: 'now', came: 'first' });
  });

  test('with steps of its body, and a wait inside it', async () => {
    const go = signal('go', z.string());
    let steps = 0;
    const flow = workflow({ name: 'flow' }, (w) =>
      w.run('body', {}, async (_, ctx) => {
        const first = await ctx.step('first', () => ++steps);
        return [first, await ctx.wait('for it', go)];
      }),
    );
    const { from, to } = two({ use: [flow] });
    const run = await from.start(flow);
    const copy = await carried(from, to, run);
    await to.send(go, { run: run.id, data: 'yes' });
    expect(await copy.result()).toEqual([1, 'yes']);
    expect(steps).toBe(1);
  });

  test('paused, when it is resumed', async () => {
    const job = gate('job', { pools: { p: 1 } });
    const plain = flowOf('plain', job.task);
    const { from, to } = two({ use: [plain], limits: { p: 1 } });
    await from.start(plain, 'a');
    const run = await from.start(plain, 'b');
    await from.settle();
    await run.pause();
    const copy = await carried(from, to, run);
    expect(await copy.status()).toMatchObject({ status: 'paused' });
    expect(job.begun).toEqual(['a']);
    await copy.resume();
    await to.settle();
    expect(job.begun).toEqual(['a', 'b']);
    job.end('b');
    await to.settle();
    expect(await copy.status()).toMatchObject({ status: 'success' });
  });

  test('paused before anybody had claimed it', async () => {
    const job = gate('job');
    const plain = flowOf('plain', job.task);
    const { from, to } = two({ use: [plain], concurrency: 1 });
    await from.start(plain, 'a');
    const run = await from.start(plain, 'b');
    await run.pause();
    const copy = await carried(from, to, run);
    expect(await copy.status()).toMatchObject({ status: 'paused' });
    await copy.resume();
    await to.settle();
    job.end('b');
    await to.settle();
    expect(await copy.status()).toMatchObject({ status: 'success' });
  });

  test('scheduled, at its instant', async () => {
    const quick = workflow({ name: 'quick' }, () => 'done');
    const { from, to } = two({ use: [quick] });
    const copy = await carried(from, to, await from.start(quick, undefined, { startAt: new Date(from.clock.now().getTime() + 3_600_000) }));
    expect(await copy.status()).toMatchObject({ status: 'scheduled' });
    await to.clock.advance('1h');
    expect(await copy.result()).toBe('done');
  });

  test('finishing, and cancelling, with its teardown', async () => {
    for (const how of ['finishing', 'cancelling'] as const) {
      const down = gate('down', { pools: { p: 1 } });
      const flow = workflow({ name: 'flow' }, (w) => {
        w.using('made', { setup: () => how, teardown: down.task }, () => {
          w.run('work', {}, () => (how === 'cancelling' ? new Promise<void>(() => undefined) : undefined));
        });
      });
      const { from, to } = two({ use: [flow], limits: { p: 1 } });
      const run = await from.start(flow);
      await from.settle();
      if (how === 'cancelling') await run.cancel();
      await from.settle();
      expect((await run.status()).status).toBe(how);
      const copy = await carried(from, to, run);
      expect((await copy.status()).status).toBe(how);
      for (const id of down.running()) down.end(id);
      await to.settle();
      expect((await copy.status()).status).toBe(how === 'finishing' ? 'success' : 'cancelled');
    }
  });

  test('while what the items of its map did is being undone', async () => {
    const log: string[] = [];
    const stuck = new Set<string>();
    const item = task({ name: 'item', run: (id: string) => id });
    const undo = async ({ output }: { readonly output: string }): Promise<void> => {
      log.push(output);
      if (output !== 'y' || stuck.has(output)) return;
      stuck.add(output);
      await new Promise(() => undefined);
    };
    const flow = workflow({ name: 'flow' }, (w) => {
      const all = w.map(['x', 'y', 'z'], item, (id) => id, { compensate: undo });
      w.run('bad', { all }, () => {
        throw new NonRetryableError('no');
      });
    });
    const { from, to } = two({ use: [flow] });
    const run = await from.start(flow);
    await from.settle();
    expect(log).toContain('y');
    const copy = await carried(from, to, run);
    expect(await copy.status()).toMatchObject({ status: 'failed' });
    // The attempt that was lost is made again, those before it are not.
    expect(log.toSorted()).toEqual(['x', 'y', 'y', 'z']);
  });
});

describe('a run that was open when it was exported', () => {
  test('is refused with the run that it belongs to, and alone', async () => {
    const child = workflow({ name: 'child' }, (w) => void w.sleep('1h'));
    const parent = workflow({ name: 'parent' }, (w) => void w.run(child, undefined));
    const { from, to } = two({ use: [parent, child] });
    const run = await from.start(parent);
    await from.settle();
    const { runs } = await from.runs.list({ parts: true });
    const part = runs.find(({ workflow: of }) => of === 'child') ?? { id: '' };
    await expect(imported(to, await exported(from, part))).rejects.toThrow(`it is a part of run ${run.id}`);
    const document = await exported(from, run);
    await expect(imported(to, { ...document, children: [] })).rejects.toThrow('it waits for a run of "child" that is not in the document');
    expect(await runsOf(to)).toEqual([]);
  });
});

describe('capacity is never exceeded by runs that were imported', () => {
  test('pools: what was queued or retrying stands in line with what is here', async () => {
    const job = gate('job', { pools: { p: 1 }, retry: { initial: '1m', jitter: 'none' } });
    const plain = flowOf('plain', job.task);
    const { from, to } = two({ use: [plain], limits: { p: 1 } });
    const runs = [await from.start(plain, 'a')];
    await from.settle();
    job.fail('a');
    await from.settle();
    for (const id of ['b', 'c']) runs.push(await from.start(plain, id));
    await from.settle();
    expect(job.running()).toEqual(['b']);
    const documents = await Promise.all(runs.map((run) => exported(from, run)));
    await from.close();
    await to.start(plain, 'here');
    await to.settle();
    for (const document of documents) await (await imported(to, document)).release();
    await to.clock.advance('2m');
    expect(job.running()).toEqual(['here']);
    for (let i = 0; i < 4; i++) {
      for (const id of job.running()) job.end(id);
      await to.settle();
    }
    expect(await runsOf(to)).toEqual(Array(4).fill('plain success'));
    expect(job.most()).toBe(1);
    expect((await to.limits.list()).find(({ name }) => name === 'p')).toMatchObject({ held: 0 });
  });

  test('pools: items of a map, what waits inside a body, and a paused run', async () => {
    const go = signal('go', z.string());
    let running = 0;
    let most = 0;
    const busy = async (): Promise<void> => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setImmediate(resolve));
      running--;
    };
    const item = task({
      name: 'item',
      pools: { p: 2 },
      run: async (n: number, ctx) => {
        await busy();
        await ctx.wait('go', go);
        await busy();
        return n;
      },
    });
    const flow = workflow({ name: 'flow' }, (w) => w.map([1, 2, 3, 4, 5], item, (n) => n, { concurrency: 3 }));
    const { from, to } = two({ use: [flow], limits: { p: 3 } });
    const run = await from.start(flow);
    await from.settle();
    await from.send(go, { run: run.id, data: 'one' });
    const copy = await carried(from, to, run);
    for (let i = 0; i < 4; i++) await to.send(go, { run: run.id, data: 'more' });
    expect(await copy.result()).toEqual([1, 2, 3, 4, 5]);
    expect(most).toBe(1);
  });

  test('keys of tasks: a serial one that waits for its retry keeps its turn', async () => {
    const order: string[] = [];
    const tried = new Set<string>();
    const job = task({
      name: 'job',
      concurrency: { key: 'line', limit: 1, order: 'serial' },
      retry: { initial: '1m', jitter: 'none' },
      run: (id: string) => {
        order.push(id);
        if (tried.has(id) || id !== 'a') return id;
        tried.add(id);
        throw new Error('once more');
      },
    });
    const flow = workflow({ name: 'flow', input: z.string() }, (w, input) => w.run(job, input));
    const { from, to } = two({ use: [flow] });
    const run = await from.start(flow, 'a');
    const copy = await carried(from, to, run);
    const here = await to.start(flow, 'here');
    await to.settle();
    expect(order).toEqual(['a']);
    await to.clock.advance('1m');
    expect(await copy.result()).toBe('a');
    expect(await here.result()).toBe('here');
    expect(order).toEqual(['a', 'a', 'here']);
  });

  test('keys of workflows: a run at its gate is let in in its turn', async () => {
    const job = gate('job');
    const flow = flowOf('flow', job.task, { concurrency: { key: 'k', limit: 1 } });
    const { from, to } = two({ use: [flow] });
    await from.start(flow, 'a');
    const run = await from.start(flow, 'b');
    await to.start(flow, 'here');
    await to.settle();
    const copy = await carried(from, to, run);
    expect(await copy.status()).toMatchObject({ status: 'queued' });
    expect((await copy.why()).sentence).toContain('k');
    job.end('here');
    await to.settle();
    expect(job.running()).toContain('b');
    job.end('b');
    await to.settle();
    expect(await copy.status()).toMatchObject({ status: 'success' });
  });

  test('keys of workflows: one that was in goes on only where there is room, and holds its key', async () => {
    const job = gate('job');
    const flow = flowOf('flow', job.task, { concurrency: { key: 'k', limit: 1 } });
    const { from, to } = two({ use: [flow] });
    const run = await from.start(flow, 'a');
    await to.start(flow, 'here');
    await to.settle();
    const copy = await imported(to, await exported(from, run));
    await from.close();
    await expect(copy.release()).rejects.toMatchObject({ code: 'RUN_CANNOT_GO_ON', details: { key: 'k' } });
    expect(await runsOf(to)).toEqual(['flow running aside', 'flow running']);
    job.end('here');
    await to.settle();
    expect(await copy.release()).toBe(true);
    const later = await to.start(flow, 'later');
    await to.settle();
    expect(job.running()).toEqual(['a']);
    expect(await later.status()).toMatchObject({ status: 'queued' });
    job.end('a');
    await to.settle();
    expect(job.running()).toEqual(['later']);
    job.end('later');
    await to.settle();
    expect(await runsOf(to)).toEqual(Array(3).fill('flow success'));
  });

  test('an operator may make room', async () => {
    const job = gate('job');
    const flow = flowOf('flow', job.task, { concurrency: { key: 'k', limit: 1 } });
    const { from, to } = two({ use: [flow] });
    const run = await from.start(flow, 'a');
    await to.start(flow, 'here');
    await to.settle();
    const copy = await imported(to, await exported(from, run));
    await from.close();
    await to.limits.set('k', 2, { kind: 'key' });
    expect(await copy.release()).toBe(true);
    await to.settle();
    expect(job.running().toSorted()).toEqual(['a', 'here']);
    for (const id of job.running()) job.end(id);
    await to.settle();
  });

  test('its idempotency key stands for it from the import on', async () => {
    const job = gate('job');
    const plain = flowOf('plain', job.task);
    const { from, to } = two({ use: [plain] });
    const run = await from.start(plain, 'a', { key: { value: 'k', for: 'open' } });
    const copy = await carried(from, to, run);
    expect((await to.start(plain, 'a', { key: { value: 'k', for: 'open' } })).id).toBe(run.id);
    job.end('a');
    await to.settle();
    expect(await copy.status()).toMatchObject({ status: 'success' });
    const another = await to.start(plain, 'a', { key: { value: 'k', for: 'open' } });
    expect(another.id).not.toBe(run.id);
    await to.settle();
    job.end('a');
  });
});
