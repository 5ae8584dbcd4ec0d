import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { NonRetryableError, signal, workflow, type Workflow } from '../../src/index.ts';
import { flowOf, gate } from './capacity-kit.ts';
import { carried, engineWith, exported, imported, runsOf, two } from './import-kit.ts';

describe('the runs below a run come along', () => {
  const job = () => gate('job', { pools: { p: 1 } });

  test('a child, the items of a map over a workflow, a call of a body, and one inside a child', async () => {
    const work = job();
    const leaf = flowOf('leaf', work.task);
    const middle = workflow({ name: 'middle', input: z.string() }, (w, input) => w.run(leaf, input));
    const flow = workflow({ name: 'flow' }, (w) => ({
      one: w.run(middle, 'one'),
      all: w.map(['x', 'y', 'z'], leaf, (id) => id, { concurrency: 2 }),
      called: w.run('caller', {}, (_, ctx) => ctx.run('call', leaf, 'called')),
    }));
    const { from, to } = two({ use: [flow, middle, leaf as Workflow<never, unknown>], limits: { p: 1 } });
    const run = await from.start(flow);
    await from.settle();
    const document = await exported(from, run);
    expect(document.children).toHaveLength(5);
    expect(document.definitions.map(({ workflow: of }) => of).toSorted()).toEqual(['leaf', 'middle']);
    const copy = await carried(from, to, run);
    expect(await runsOf(to)).toEqual(expect.arrayContaining(['flow running', 'middle running', 'leaf running']));
    expect((await copy.inspect()).children).toHaveLength(4);
    for (let i = 0; i < 6; i++) {
      for (const id of work.running()) work.end(id);
      await to.settle();
    }
    expect(await copy.result()).toEqual({ one: 'one', all: ['x', 'y', 'z'], called: 'called' });
    expect(work.most()).toBe(1);
  });

  test('go on with it, and not alone; only the one at the top is listed', async () => {
    const child = workflow({ name: 'child' }, (w) => void w.sleep('1h'));
    const parent = workflow({ name: 'parent' }, (w) => void w.run(child, undefined));
    const { from, to } = two({ use: [parent, child] });
    const run = await from.start(parent);
    await from.settle();
    const copy = await imported(to, await exported(from, run));
    const part = (await to.runs.list({ parts: true })).runs.find(({ workflow: of }) => of === 'child') ?? { id: '' };
    await expect((await to.get(part.id)).release()).rejects.toMatchObject({ code: 'RUN_CANNOT_GO_ON', details: { run: run.id } });
    expect((await (await to.storeOf).quarantinedRuns(9)).map(({ workflow: of }) => of)).toEqual(['parent']);
    expect((await copy.why()).sentence).toContain('imported');
    expect(await copy.release()).toBe(true);
    expect(await runsOf(to)).toEqual(['child running', 'parent running']);
    await to.clock.advance('1h');
    expect(await runsOf(to)).toEqual(['child success', 'parent success']);
    expect((await to.audit({ run: run.id })).entries).toHaveLength(1);
  });

  test('share the key of the run above them', async () => {
    const work = gate('job');
    const child = flowOf('child', work.task, { concurrency: { key: 'k', limit: 1 } });
    const parent = workflow({ name: 'parent', concurrency: { key: 'k', limit: 1 } }, (w) => w.run(child, 'a'));
    const { from, to } = two({ use: [parent, child as Workflow<never, unknown>] });
    const copy = await carried(from, to, await from.start(parent));
    const other = await to.start(child, 'other');
    await to.settle();
    expect(work.running()).toEqual(['a']);
    work.end('a');
    await to.settle();
    expect(await copy.status()).toMatchObject({ status: 'success' });
    expect(work.running()).toEqual(['other']);
    work.end('other');
    await to.settle();
    expect(await other.status()).toMatchObject({ status: 'success' });
  });

  test('fail with it', async () => {
    const child = workflow({ name: 'child' }, (w) => void w.sleep('1h'));
    const parent = workflow({ name: 'parent' }, (w) => {
      w.run(child, undefined);
      w.run(child, undefined, { id: 'other', detached: true });
    });
    const { from, to } = two({ use: [parent, child] });
    const run = await from.start(parent);
    await from.settle();
    const copy = await imported(to, await exported(from, run));
    await (await to.acts()).abandon(copy.id);
    await to.clock.advance('1m');
    expect(await runsOf(to)).toEqual(['child failed', 'child failed', 'parent failed']);
  });

  test('that ended, so that a redrive finds their dead letters', async () => {
    let isBroken = true;
    const child = workflow({ name: 'child' }, (w) =>
      w.run('job', {}, () => {
        if (isBroken) throw new NonRetryableError('no');
        return 'mended';
      }),
    );
    const parent = workflow({ name: 'parent' }, (w) => w.run(child, undefined));
    const { from, to } = two({ use: [parent, child] });
    const run = await from.start(parent);
    await from.settle();
    const copy = await imported(to, await exported(from, run));
    expect(await runsOf(to)).toEqual(['child failed', 'parent failed']);
    isBroken = false;
    await copy.redrive();
    await to.settle();
    expect(await copy.result()).toBe('mended');
    expect(await runsOf(to)).toEqual(['child success', 'parent success']);
  });

  test('cancelled with it after they went on', async () => {
    const child = workflow({ name: 'child' }, (w) => void w.sleep('1h'));
    const parent = workflow({ name: 'parent' }, (w) => void w.run(child, undefined));
    const { from, to } = two({ use: [parent, child] });
    const copy = await carried(from, to, await from.start(parent));
    await copy.cancel();
    await to.clock.advance('1m');
    expect(await runsOf(to)).toEqual(['child cancelled', 'parent cancelled']);
  });
});

describe('what was imported is told, let in and woken as if it had been there', () => {
  test('a parent hears of a child that had ended before it could be told', async () => {
    const child = workflow({ name: 'child' }, (w) => w.run('job', {}, () => 'done'));
    const parent = workflow({ name: 'parent' }, (w) => w.run(child, undefined, { after: [w.sleep('1s')] }));
    const { from, to } = two({ use: [parent, child] });
    const run = await from.start(parent);
    await from.settle();
    await from.clock.advance('1s');
    expect((await run.status()).status).toBe('success');
    const document = structuredClone(await exported(from, run)) as unknown as Record<string, never>;
    // As it was in between: the child over, its end not told.
    const at = (...path: (string | number)[]) =>
      path.reduce<unknown>((value, key) => (value as Record<string | number, unknown>)[key], document) as Record<string, unknown>;
    Object.assign(at('run'), { status: 'running', finishedAt: null, hasOutput: 0, output: null });
    const place = at('tasks', 1);
    const waits = [{ kind: 'child', name: null, dueAt: null, since: 1, workflow: 'child', group: null }];
    Object.assign(place, { status: 'waiting', finishedAt: null, output: null, waits: JSON.stringify(waits) });
    Object.assign(at('children', 0, 'link'), { recall: 2 });
    const copy = await imported(to, document);
    expect(await copy.release()).toBe(true);
    await to.settle();
    expect(await copy.result()).toBe('done');
  });

  test('a child that its parent had let go of is cancelled', async () => {
    const child = workflow({ name: 'child' }, (w) => void w.sleep('1h'));
    const { from, to } = two({ use: [child] });
    const document = await exported(from, await from.start(child));
    await from.close();
    const link = {
      parent: document.id.split('').toReversed().join(''),
      node: 0,
      item: -1,
      generation: 1,
      name: null,
      kind: 'child',
      recall: 1,
      completion: null,
    };
    const copy = await imported(to, { ...document, link });
    expect(await copy.release()).toBe(true);
    await to.clock.advance('1s');
    expect(await copy.status()).toMatchObject({ status: 'cancelled' });
  });

  test('a run that was redriven, and waits for its key in its second generation', async () => {
    let isBroken = true;
    const flow = workflow({ name: 'flow', input: z.string(), concurrency: { key: 'k', limit: 1 } }, (w, input) => {
      const first = w.run('first', { input }, () => 1);
      return w.run('second', { first, input }, ({ input: id }) => {
        if (isBroken && id === 'a') throw new NonRetryableError('no');
        return id === 'a' ? id : new Promise<string>(() => undefined);
      });
    });
    const { from, to } = two({ use: [flow] });
    const run = await from.start(flow, 'a');
    await from.settle();
    await from.start(flow, 'holds');
    await from.settle();
    await run.redrive();
    await from.settle();
    expect((await run.status()).status).toBe('queued');
    isBroken = false;
    const copy = await carried(from, to, run);
    expect(await copy.result()).toBe('a');
    expect(await copy.tasks()).toMatchObject([
      { task: 'first', attempt: 1 },
      { task: 'second', attempt: 2 },
    ]);
  });

  test('a run that is redriven by its own retry', async () => {
    let attempts = 0;
    const flow = workflow({ name: 'flow', retry: { maxAttempts: 2, initial: '1m', jitter: 'none' } }, (w) =>
      w.run('job', {}, () => {
        if (++attempts === 1) throw new NonRetryableError('no');
        return 'done';
      }),
    );
    const { from, to } = two({ use: [flow] });
    const copy = await carried(from, to, await from.start(flow));
    expect(await copy.status()).toMatchObject({ status: 'running' });
    await to.clock.advance('1m');
    expect(await copy.result()).toBe('done');
  });

  test('hooks of a run that had ended, each for itself', async () => {
    let told = 0;
    const tell = async (): Promise<void> => {
      if (++told === 1) await new Promise(() => undefined);
    };
    const flow = workflow({ name: 'flow', onSuccess: tell }, (w) => w.run('job', {}, () => 1));
    const { from, to } = two({ use: [flow] });
    const run = await from.start(flow);
    await from.settle();
    const document = await exported(from, run);
    await from.close();
    const copy = await imported(to, document);
    expect(await copy.result()).toBe(1);
    const [aside] = await (await to.storeOf).quarantinedRuns(9);
    expect(aside).toMatchObject({ isImported: true, status: 'running' });
    const hook = await to.get(document.children[0]?.id ?? '');
    expect(await hook.release()).toBe(true);
    await to.settle();
    expect(await hook.status()).toMatchObject({ status: 'success' });
    expect(told).toBe(2);
  });

  test('a task whose catch handler ran', async () => {
    let caught = 0;
    const flow = workflow({ name: 'flow' }, (w) =>
      w.run(
        'job',
        {},
        (): string => {
          throw new NonRetryableError('no');
        },
        { catch: () => (++caught === 1 ? new Promise<string>(() => undefined) : 'by hand') },
      ),
    );
    const { from, to } = two({ use: [flow] });
    const copy = await carried(from, to, await from.start(flow));
    expect(await copy.status()).toMatchObject({ status: 'partial' });
    expect(await copy.result()).toBe('by hand');
  });

  test('a deadline and a timeout that passed while it was set aside', async () => {
    const flow = workflow({ name: 'flow', timeout: '1h' }, (w) => void w.sleep('2h'));
    const late = workflow({ name: 'late' }, (w) => void w.wait(signal('never', z.string()), { timeout: '1h' }));
    for (const one of [flow, late]) {
      const { from, to } = two({ use: [one] });
      const run = await from.start(one);
      await from.settle();
      const copy = await imported(to, await exported(from, run));
      await to.clock.advance('90m');
      expect(await copy.status()).toMatchObject({ status: 'running' });
      expect(await copy.release()).toBe(true);
      await to.settle();
      expect(await copy.status()).toMatchObject({ status: 'failed' });
    }
  });

  test('children whose effects are being undone: only after the release', async () => {
    const log: string[] = [];
    const child = workflow({ name: 'child', input: z.string() }, (w, input) =>
      w.run('job', { input }, ({ input: id }) => id, {
        compensate: async ({ output }) => {
          log.push(output);
          if (log.length === 1) await new Promise(() => undefined);
        },
      }),
    );
    const parent = workflow({ name: 'parent' }, (w) => {
      const a = w.run(child, 'a', { id: 'a' });
      const b = w.run(child, 'b', { id: 'b', after: [a] });
      w.run('bad', { b }, () => {
        throw new NonRetryableError('no');
      });
    });
    const { from, to } = two({ use: [parent, child] });
    const run = await from.start(parent);
    await from.settle();
    expect(log).toEqual(['b']);
    const document = await exported(from, run);
    await from.close();
    const asked = document.children.map((one) => ({ ...one, link: { ...one.link, recall: 3 } }));
    for (const children of [document.children, asked]) {
      log.splice(1);
      const here = children === asked ? engineWith({ use: [parent, child] }) : to;
      const copy = await imported(here, { ...document, children });
      await here.clock.advance('1m');
      expect(log).toEqual(['b']);
      expect(await copy.release()).toBe(true);
      await here.clock.advance('1m');
      expect(log.slice(1).toSorted()).toEqual(['a', 'b']);
      expect(await copy.status()).toMatchObject({ status: 'failed' });
    }
  });
});
