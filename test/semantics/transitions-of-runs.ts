import { task, workflow, type Run, type Workflow } from '../../src/index.ts';
import type { Build } from '../../src/core/types/types.ts';
import { fail, ok } from './kit.ts';
import { hang, type Place, type Scenario } from './transitions-kit.ts';

const scenario = (moves: readonly string[], play: Scenario['play']): Scenario => ({ of: 'run', moves, play });

const of = (name: string, options: object, build: (w: Build) => void): Workflow<void, unknown> =>
  workflow({ name, ...options }, (w) => {
    build(w);
    return {};
  });
const hangs = (w: Build): void => void w.run('work', {}, (_, ctx) => hang(_, ctx));
const up = { setup: ok, teardown: () => undefined };
const limited = (onLimit: string): object => ({ concurrency: { key: 'k', limit: 1, onLimit } });

/** Two runs of a workflow that takes one at a time: the second waits. */
async function line(place: Place, options: object = { concurrency: 1 }) {
  const one = of('line', options, hangs);
  const { kit, run: first } = await place.run(one);
  const second = await kit.start(one);
  await kit.settle();
  return { one, kit, first, second };
}

export const OF_RUNS: readonly Scenario[] = [
  scenario(
    [
      '- | accepted | running',
      'running | last task ended | success',
      'running | last task ended | partial',
      'running | last task ended | failed | error',
      'running | guard says no or fails | skipped | condition',
      'running | guard says no or fails | failed | definition_error',
    ],
    async (place) => {
      const item = task({ name: 'item', run: (n: number) => n });
      await place.run(of('nothing', {}, () => undefined));
      await place.run(of('no-list', {}, (w) => void w.map(7 as never as number[], item, (n) => n)));
      await place.run(of('good', {}, (w) => void w.run('a', {}, ok)));
      await place.run(of('bad', {}, (w) => void w.run('a', {}, fail)));
      await place.run(
        of('partly', {}, (w) => {
          w.run('a', {}, ok);
          w.run('b', {}, fail, { allowFailure: true });
        }),
      );
      await place.run(of('no', { guard: () => false }, (w) => void w.run('a', {}, ok)));
      await place.run(of('throws', { guard: fail }, (w) => void w.run('a', {}, ok)));
    },
  ),
  scenario(['running | last task ended | cancelled'], async (place) => {
    const { kit } = await place.run(
      of('holder', {}, (w) => void w.run('a', {}, (_, ctx) => hang(_, ctx), { concurrency: { key: 'k', limit: 1 } })),
    );
    void kit;
    await place.run(
      of('one', {}, (w) => {
        w.run('old', {}, (_, ctx) => hang(_, ctx), { concurrency: { key: 'k', limit: 1 } });
        w.run('new', {}, ok, { after: [w.run('soon', {}, ok)], concurrency: { key: 'k', limit: 1, onLimit: 'cancel_new' } });
        w.run('makes-room', {}, ok, {
          after: [w.run('sooner', {}, ok)],
          concurrency: { key: 'k', limit: 1, onLimit: 'cancel_old' },
        });
      }),
    );
  }),
  scenario(
    [
      '- | accepted | scheduled',
      'scheduled | due | running',
      'scheduled | cancel | cancelled | person',
      'scheduled | deadline or marked failed | failed | marked_failed',
    ],
    async (place) => {
      const one = of('one', {}, hangs);
      const kit = place.engine([one]);
      const start = async (): Promise<Run<unknown>> => kit.start(one, undefined, { delay: '1h' });
      await (await start()).cancel();
      await (await start()).markFailed();
      await start();
      await kit.clock.advance('2h');
    },
  ),
  scenario(
    [
      '- | accepted | queued',
      'scheduled | due | queued',
      'queued | cancel | cancelled | person',
      'queued | admitted | running',
      'queued | stuck or marked failed | failed | marked_failed',
    ],
    async (place) => {
      const { one, kit, first, second } = await line(place);
      await kit.start(one, undefined, { delay: '1m' });
      await kit.clock.advance('2m');
      await second.cancel();
      const third = await kit.start(one);
      await third.markFailed();
      await first.cancel();
      await kit.settle();
    },
  ),
  scenario(['queued | its key is taken | failed | key_limit'], async (place) => void (await line(place, limited('fail')))),
  scenario(['queued | its key is taken | cancelled | key_limit'], async (place) => void (await line(place, limited('cancel_new')))),
  scenario(
    ['running | makes room for a newer one of its key | cancelled | key_limit'],
    async (place) => void (await line(place, limited('cancel_old'))),
  ),
  scenario(
    ['queued | pause | paused', 'paused | resume | queued', 'running | pause | paused', 'paused | resume | running'],
    async (place) => {
      const { kit, first, second } = await line(place);
      await second.pause();
      await second.resume();
      await first.pause();
      await first.resume();
      await kit.settle();
    },
  ),
  scenario(['scheduled | pause | paused', 'paused | resume | scheduled'], async (place) => {
    const one = of('one', {}, hangs);
    const kit = place.engine([one]);
    const run = await kit.start(one, undefined, { delay: '1h' });
    await run.pause();
    await run.resume();
  }),
  scenario(
    [
      'running | cancel | cancelled | person',
      'running | deadline, stuck or marked failed | failed | marked_failed',
      'running | deadline, stuck or marked failed | failed | deadline',
    ],
    async (place) => {
      const first = await place.run(of('one', {}, hangs));
      await first.run.cancel();
      const second = await place.run(of('one', {}, hangs));
      await second.run.markFailed();
      const third = await place.run(of('one', { timeout: '1s' }, hangs));
      await third.kit.clock.advance('2s');
    },
  ),
  scenario(
    [
      'paused | last task ended | success',
      'paused | last task ended | partial',
      'paused | last task ended | failed | error',
      'paused | cancel | cancelled | person',
      'paused | deadline or marked failed | failed | marked_failed',
    ],
    async (place) => {
      for (const how of ['success', 'partial', 'failed', 'cancel', 'mark']) {
        let end: () => void = () => undefined;
        const gate = new Promise<void>((resolve) => (end = resolve));
        const one = of(how, {}, (w) => {
          w.run('a', {}, () => gate);
          if (how !== 'success') w.run('b', {}, () => gate.then(fail), { allowFailure: how === 'partial' });
        });
        const { kit, run } = await place.run(one);
        await run.pause();
        if (how === 'cancel') await run.cancel();
        if (how === 'mark') await run.markFailed();
        end();
        await kit.settle();
      }
    },
  ),
  scenario(['paused | last task ended | cancelled'], async (place) => {
    const held = { concurrency: { key: 'k', limit: 1, onLimit: 'cancel_old' } } as const;
    const one = of('one', {}, (w) => void w.run('a', {}, (_, ctx) => hang(_, ctx), held));
    const { kit, run } = await place.run(one);
    await run.pause();
    await kit.start(one);
    await kit.settle();
  }),
  scenario(
    ['paused | guard says no or fails | skipped | condition', 'paused | guard says no or fails | failed | definition_error'],
    async (place) => {
      await place.pausedIn((pause) => of('no', { guard: () => pause(false) }, (w) => void w.run('a', {}, ok)));
      await place.pausedIn((pause) => of('throws', { guard: () => pause(true) && fail() }, (w) => void w.run('a', {}, ok)));
    },
  ),
  scenario(
    [
      'success | redrive, rerun or mark | queued',
      'partial | redrive, rerun or mark | queued',
      'failed | redrive, rerun or mark | queued',
      'cancelled | redrive, rerun or mark | queued',
    ],
    async (place) => {
      for (const how of ['success', 'partial', 'failed', 'cancelled']) {
        const one = of(how, {}, (w) => {
          w.run('a', {}, ok);
          if (how === 'failed') w.run('b', {}, fail);
          if (how === 'partial') w.run('b', {}, fail, { allowFailure: true });
          if (how === 'cancelled') hangs(w);
        });
        const { kit, run } = await place.run(one);
        if (how === 'cancelled') await run.cancel();
        await run.rerun('a');
        await kit.settle();
      }
    },
  ),
  scenario(
    [
      'running | outcome fixed, cleans up | finishing',
      'finishing | cleaned up | success',
      'finishing | cleaned up | partial',
      'finishing | cleaned up | failed | error',
    ],
    async (place) => {
      for (const how of ['success', 'partial', 'failed'])
        await place.run(
          of(how, {}, (w) => {
            w.using('db', up, () => w.run('a', {}, ok));
            if (how !== 'success') w.run('b', {}, fail, { allowFailure: how === 'partial' });
          }),
        );
    },
  ),
  scenario(['finishing | cleaned up | cancelled'], async (place) => {
    const one = of('one', {}, (w) => {
      const key = { concurrency: { key: 'k', limit: 1, onLimit: 'cancel_old' } } as const;
      w.using('db', up, () => w.run('a', {}, (_, ctx) => hang(_, ctx), key));
    });
    const { kit } = await place.run(one);
    await kit.start(one);
    await kit.settle();
  }),
  scenario(
    [
      'running | cancel, deadline or marked failed, cleans up | cancelling',
      'paused | cancel, deadline or marked failed, cleans up | cancelling',
      'cancelling | cleaned up | cancelled | person',
      'cancelling | cleaned up | failed | marked_failed',
    ],
    async (place) => {
      for (const paused of [false, true]) {
        const { kit, run } = await place.run(of('one', {}, (w) => w.using('db', up, () => hangs(w))));
        if (paused) await run.pause();
        await (paused ? run.markFailed() : run.cancel());
        await kit.settle();
        if (paused) await kit.clock.advance('1m');
      }
    },
  ),
  scenario(['success | its parent compensates | finishing', 'partial | its parent compensates | finishing'], async (place) => {
    for (const how of ['success', 'partial'])
      await place.run(
        of(how, {}, (w) => {
          const sub = of('sub', {}, (v) => {
            v.run('a', {}, ok, { compensate: ok });
            if (how === 'partial') v.run('b', {}, fail, { allowFailure: true });
          });
          w.run('last', {}, fail, { after: [w.run(sub, undefined)] });
        }),
      );
  }),
  scenario(['failed | redrive of a compensation | finishing'], async (place) => {
    const { kit, run } = await place.run(
      of('one', {}, (w) => {
        const a = w.run('a', {}, ok, { compensate: fail });
        w.run('last', {}, fail, { after: [a] });
      }),
    );
    await run.redrive({ task: 'a.compensate' });
    await kit.settle();
  }),
  scenario(['finishing | waits for its own retry | running'], async (place) => {
    const retry = { maxAttempts: 2, initial: '1h', maxDelay: '1h', jitter: 'none' };
    const { kit } = await place.run(
      of('one', { retry }, (w) => {
        w.using('db', up, () => w.run('a', {}, fail));
      }),
    );
    await kit.clock.advance('2h');
  }),
  scenario(['cancelling | cleaned up, its place was redriven | running'], async (place) => {
    const slow = { setup: ok, teardown: (_: unknown, ctx: { readonly signal: AbortSignal }) => hang(_, ctx), grace: '5s' as const };
    const child = of('child', {}, (w) => w.using('db', slow, () => hangs(w)));
    const { kit, run } = await place.run(of('one', {}, (w) => void w.run(child, undefined)));
    await run.cancel();
    await kit.clock.advance('1s');
    await run.redrive();
    await kit.clock.advance('1m');
  }),
];
