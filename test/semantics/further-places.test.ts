import { afterEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { signal, task, workflow, type Build, type Ref } from '../../src/index.ts';
import { closeAll, engineOf, fail, Naps, ok } from './kit.ts';

afterEach(closeAll);

const go = signal('go', z.object({ n: z.number() }));
const add = task({ name: 'add', run: (n: number) => n + 1 });
const child = workflow({ name: 'child', input: z.object({ n: z.number() }) }, (w, input) => ({
  n: w.run('c', { n: input.n }, ({ n }) => n),
}));

/** Each verb as a part that gives something; `id` keeps the ids of two apart. */
const VERBS: Readonly<Record<string, (w: Build, id: string) => unknown>> = {
  run: (w, id) => w.run(id, {}, ok),
  'a handler': (w, id) => w.run(id, {}, (): number => fail(), { catch: () => 1 }),
  'a compensation': (w, id) => w.run(id, {}, ok, { compensate: ok }),
  when: (w, id) => {
    const made = w.run(`${id}.on`, {}, ok);
    return w.optional(
      w.when(
        made,
        (n) => n === 1,
        () => w.run(`${id}.then`, { made }, ok),
        { id },
      ),
    );
  },
  'when with otherwise': (w, id) =>
    w.when(
      w.run(`${id}.on`, {}, ok),
      () => false,
      () => w.run(`${id}.then`, {}, ok),
      () => w.run(`${id}.else`, {}, ok),
      { id },
    ),
  switch: (w, id) =>
    w.switch(w.run(`${id}.on`, {}, ok), { a: [() => false, () => 0], b: [() => true, () => w.run(`${id}.b`, {}, ok)] }, { id }),
  first: (w, id) => w.first({ a: w.run(`${id}.a`, {}, ok), late: w.sleep('1h', { id: `${id}.late` }) }, { id }),
  'a map of a task': (w, id) => w.map([1, 2], add, (n) => n, { id, compensate: ok }),
  'a map of a part': (w, id) => w.map([1, 2], (b, n) => b.run('x', { n }, ({ n }) => n), { id }),
  'a child': (w, id) => w.run(child, { n: 1 }, { id }),
  'a map of children': (w, id) => w.map([1, 2], child, (n) => ({ n }), { id }),
  sleep: (w, id) => w.sleep('1s', { id }),
  wait: (w, id) => w.wait(go, { id, key: id }),
  approve: (w, id) => w.approve(id, { who: ['ann'] }),
  using: (w, id) => w.using(id, { setup: ok, teardown: ok }, (l) => w.run(`${id}.work`, { l }, ok)),
  settle: (w, id) => {
    const after = [w.run(`${id}.ok`, {}, ok)];
    return w.settle({ a: w.run(id, {}, () => fail(), { allowFailure: true, after }) }).a.status;
  },
};

/** Each place in which parts of a graph are made. */
const PLACES: Readonly<Record<string, (w: Build, make: (w: Build, id: string) => unknown) => unknown>> = {
  'a branch': (w, make) =>
    w.when(
      w.run('on', {}, ok),
      () => true,
      () => ({ got: make(w, 'in') }),
      () => ({ got: make(w, 'out') }),
      { id: 'place' },
    ),
  'a case': (w, make) =>
    w.switch(
      w.run('on', {}, ok),
      { a: [() => false, () => make(w, 'out') as Ref<number>], b: [() => true, () => ({ got: make(w, 'in') })] },
      { id: 'place' },
    ),
  'a bracket': (w, make) => w.using('place', { setup: ok, teardown: ok }, () => ({ got: make(w, 'in') })),
  'an item': (w, make) => w.map([1], (b) => ({ got: make(b, 'in') }), { id: 'place' }),
  'a bracket in a branch': (w, make) =>
    w.when(
      w.run('on', {}, ok),
      () => true,
      () => w.using('inner', { setup: ok, teardown: ok }, () => ({ got: make(w, 'in') })),
      () => 0,
      { id: 'place' },
    ),
  'a branch in a bracket': (w, make) =>
    w.using('inner', { setup: ok, teardown: ok }, (on) =>
      w.when(
        on,
        () => true,
        () => ({ got: make(w, 'in') }),
        () => 0,
        { id: 'place' },
      ),
    ),
  'an item of an item': (w, make) => w.map([1], (b) => b.map([1], (c) => ({ got: make(c, 'in') }), { id: 'inner' }), { id: 'place' }),
};

describe.each(Object.keys(PLACES))('in %s', (place) => {
  test.each(Object.keys(VERBS))('%s', async (verb) => {
    const one = workflow({ name: 'case' }, (w) => ({ value: PLACES[place]?.(w, VERBS[verb] ?? ok) as Ref<number> }));
    const naps = new Naps();
    const kit = naps.on(engineOf(one, child));
    const run = await kit.start(one);
    await naps.pass(1);
    if (verb === 'wait') await kit.send(go, { key: 'in', data: { n: 1 } });
    if (verb === 'approve') for (const { runId } of (await kit.approvals.list()).approvals) await kit.approvals.approve(runId);
    await naps.pass(3);
    const { status } = await run.status();
    expect(status).toBe(['a handler', 'settle'].includes(verb) ? 'partial' : 'success');
    expect(JSON.stringify(await run.result())).toMatch(/"got"|^\{"value":\[?\[?\{\}/);
    // What was not chosen is not there, and nothing is left open.
    for (const { task, status: own } of await run.tasks()) expect(['success', 'failed', 'skipped', 'cancelled'], task).toContain(own);
  });
});
