import { task, workflow } from '../../src/index.ts';
import { anyText } from './capacity-kit.ts';
import { fail, flow, ok } from './kit.ts';
import { go, hang, type Scenario } from './transitions-kit.ts';

const scenario = (moves: readonly string[], play: Scenario['play']): Scenario => ({ of: 'task', moves, play });
const later = { retry: { maxAttempts: 2, initial: '1h', maxDelay: '1h', jitter: 'none' } } as const;
const broken = (): never => {
  throw new Error('no');
};
const item = task({ name: 'item', run: (n: number) => (n === 0 ? fail() : n) });
const held = { concurrency: { key: 'k', limit: 1 } } as const;

export const OF_TASKS: readonly Scenario[] = [
  scenario(
    [
      '- | run admitted | pending',
      '- | run admitted | running',
      'pending | join says run, claimed in the same commit | running',
      'pending | join says run | queued',
      'queued | claim | running',
      'running | valid output | success',
    ],
    async (place) => {
      await place.run(
        flow((w) => {
          const a = w.run('a', {}, ok);
          for (const id of ['b', 'c', 'd']) w.run(id, {}, ok, { after: [a] });
        }),
        { concurrency: 1 },
      );
    },
  ),
  scenario(['- | run admitted | queued'], async (place) => {
    await place.run(flow((w) => void w.run('a', {}, ok, { priority: 1 })));
  }),
  scenario(
    [
      'pending | map starts | running',
      'pending | map is empty or not valid | success',
      'pending | map is empty or not valid | skipped',
      'pending | map is empty or not valid | failed | not_iterable',
      'running | items done | success',
      'running | items done | failed | too_many_failures',
    ],
    async (place) => {
      await place.run(
        flow((w) => {
          const none = w.run('none', {}, () => [] as number[]);
          const number = w.run('number', {}, () => 7 as never);
          w.map([1, 2], item, (n) => n, { id: 'good' });
          w.map([0, 1], item, (n) => n, { id: 'bad' });
          w.map(none, item, (n) => n, { id: 'empty' });
          w.map(none, item, (n) => n, { id: 'nothing', onEmpty: 'skip' });
          w.map(number, item, (n) => n, { id: 'no-list' });
        }),
      );
    },
  ),
  scenario(['pending | a part of a first won | success', 'queued | cancel | cancelled | superseded'], async (place) => {
    await place.run(
      flow((w) => void w.first({ a: w.run('a', {}, ok, { priority: 1 }), b: w.run('b', {}, ok) })),
      { concurrency: 1 },
    );
  }),
  scenario(
    [
      'pending | join says never | upstream_failed',
      'pending | join says never | skipped',
      'pending | join says never | cancelled',
      'queued | its key is taken | cancelled | key_limit',
      'queued | its key is taken | failed | key_limit',
    ],
    async (place) => {
      await place.run(
        flow((w) => {
          w.run('x', {}, ok, { after: [w.run('f', {}, fail)] });
          w.run('k', {}, ok, { after: [w.run('n', {}, ok, { when: () => false })] });
          const holder = w.run('holder', {}, (_, ctx) => hang(_, ctx), held);
          const soon = { after: [w.run('soon', {}, ok)] };
          const c = w.run('c', {}, ok, { ...soon, concurrency: { key: 'k', limit: 1, onLimit: 'cancel_new' } });
          w.run('d', {}, ok, { ...soon, concurrency: { key: 'k', limit: 1, onLimit: 'fail' } });
          w.run('behind', {}, ok, { after: [c] });
          void holder;
        }),
      );
    },
  ),
  scenario(['running | makes room for a newer one of its key | cancelled | key_limit'], async (place) => {
    await place.run(
      flow((w) => {
        w.run('old', {}, (_, ctx) => hang(_, ctx), held);
        w.run('new', {}, ok, { after: [w.run('soon', {}, ok)], concurrency: { key: 'k', limit: 1, onLimit: 'cancel_old' } });
      }),
    );
  }),
  scenario(['queued | cache hit | success'], async (place) => {
    const kept = task({ name: 'kept', effects: 'none', cache: { ttl: '1h' }, run: (n: number) => n });
    const one = flow((w) => void w.run(kept, 1));
    const { kit } = await place.run(one);
    await kit.queues.pause('default');
    await kit.start(one);
    await kit.queues.resume('default');
    await kit.settle();
  }),
  scenario(
    [
      'queued | queue timeout | failed | queue_timeout',
      'queued | total timeout | failed | total_timeout',
      'queued | fails, its handler is started | retrying',
    ],
    async (place) => {
      const one = flow((w) => {
        w.run('a', {}, ok, { timeout: { queue: '1s' } });
        w.run('b', {}, ok, { timeout: { total: '1s' } });
        w.run('c', {}, ok, { timeout: { queue: '1s' }, catch: ok });
      });
      const kit = place.engine([one]);
      await kit.queues.pause('default');
      await kit.start(one);
      await kit.clock.advance('5s');
    },
  ),
  scenario(['queued | no limit would ever let it run | failed | unsatisfiable'], async (place) => {
    await place.run(
      flow((w) => void w.run('a', {}, ok, { pools: { db: 5 } })),
      { limits: { db: 2 } },
    );
  }),
  scenario(
    ['pending | its key is not valid | failed | definition_error', 'pending | fails, its handler is started | retrying'],
    async (place) => {
      await place.run(
        flow((w) => {
          const { id } = w.run('customer', {}, () => ({}) as { id: string });
          w.run('a', {}, ok, { concurrency: { key: id, limit: 1 } });
          w.run('b', {}, ok, { concurrency: { key: id, limit: 1 }, catch: ok });
        }),
      );
    },
  ),
  scenario(
    [
      'running | verdict | running',
      'running | verdict | queued',
      'running | verdict | success',
      'running | verdict | skipped | condition',
      'running | verdict | failed | definition_error',
    ],
    async (place) => {
      await place.run(
        flow((w) => {
          const a = w.run('a', {}, ok);
          w.run('yes', {}, ok, { when: () => true });
          w.run('b', {}, ok, { when: () => true, concurrency: 1 });
          w.run('c', {}, ok, { when: () => false });
          w.run('d', {}, ok, { when: broken });
          w.when(
            { a },
            () => true,
            () => w.run('e', {}, ok),
          );
        }),
      );
    },
  ),
  scenario(
    [
      'running | error or timeout | retrying',
      'running | error or timeout | failed | error',
      'retrying | due | queued',
      'retrying | its handler ends | failed | error',
    ],
    async (place) => {
      const { kit } = await place.run(
        flow((w) => {
          w.run('a', {}, broken, later);
          w.run('b', {}, broken, { ...later, priority: 1 });
          w.run('c', {}, (): void => fail(), { catch: () => undefined });
        }),
        { concurrency: 1 },
      );
      await kit.clock.advance('2h');
    },
  ),
  scenario(['retrying | due, claimed in the same commit | running'], async (place) => {
    // Soon after the worker has last looked at its queue.
    const { kit } = await place.run(
      flow((w) => void w.run('a', {}, broken, { retry: { maxAttempts: 2, initial: '50ms', jitter: 'none' } })),
    );
    await kit.clock.advance('1s');
  }),
  scenario(['running | lease lost | queued', 'running | lease lost | failed | outcome_unknown'], async (place) => {
    const { kit } = await place.run(
      flow((w) => {
        w.run('a', {}, (_, ctx) => hang(_, ctx));
        w.run('b', {}, (_, ctx) => hang(_, ctx), { effects: 'unsafe' });
      }),
    );
    await kit.reboot();
    await kit.settle();
  }),
  scenario(
    ['pending | wait begins | waiting', 'pending | wait begins | success', 'pending | wait begins | failed | definition_error'],
    async (place) => {
      await place.run(
        flow((w) => {
          const at = w.run('at', {}, () => ({ past: new Date(0), none: 'soon' as never as Date }));
          w.sleep('1d', { id: 'long' });
          w.sleep(at.past, { id: 'past' });
          w.sleep(at.none, { id: 'none' });
        }),
      );
    },
  ),
  scenario(
    [
      'waiting | woken | success',
      'waiting | woken | failed | rejected',
      'waiting | woken | skipped | rejected',
      'waiting | woken or due, claimed in the same commit | running',
      'running | waits | waiting',
    ],
    async (place) => {
      const { kit, run } = await place.run(
        flow((w) => {
          w.wait(go, { id: 'w' });
          w.approve('no', { who: ['ops'] });
          w.approve('skip', { who: ['ops'], onReject: 'skip' });
          w.run('body', {}, (_, ctx) => ctx.wait('w', go));
        }),
      );
      for (const data of ['x', 'y']) await kit.send(go, { run: run.id, data });
      for (const of of ['no', 'skip']) await kit.approvals.reject(run.id, { task: of });
      await kit.settle();
    },
  ),
  scenario(
    [
      'waiting | due | success',
      'waiting | due | failed | wait_timeout',
      'waiting | due | skipped | wait_timeout',
      'waiting | due | queued',
      'waiting | fails, its handler is started | retrying | total_timeout',
    ],
    async (place) => {
      const { kit } = await place.run(
        flow((w) => {
          w.sleep('1s', { id: 'nap' });
          w.wait(go, { id: 'late', timeout: '1s' });
          w.wait(go, { id: 'skip', timeout: '1s', onTimeout: 'skip' });
          w.run('body', {}, (_, ctx) => ctx.sleep('n', '1s'));
          w.run('caught', {}, (_, ctx) => ctx.sleep('n', '1d'), { timeout: { total: '1s' }, catch: () => undefined });
        }),
      );
      await kit.clock.advance('5s');
    },
  ),
  scenario(['waiting | woken | queued', 'running | waits | queued'], async (place) => {
    let end: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (end = resolve));
    const { kit, run } = await place.run(
      flow((w) => {
        w.run('woken', {}, (_, ctx) => ctx.wait('w', go), { priority: 1 });
        w.run('slow', {}, async (_, ctx) => {
          await Promise.all([ctx.step('gate', () => gate), ctx.sleep('n', '1s')]);
        });
      }),
      { concurrency: 1 },
    );
    await kit.send(go, { run: run.id, data: 'x' });
    await kit.clock.advance('5s');
    end();
    await kit.settle();
  }),
  scenario(['running | hand-back | queued', 'running | hand-back | failed | outcome_unknown'], async (place) => {
    const begun: string[] = [];
    const never = (id: string) => (): Promise<void> => {
      begun.push(id);
      return new Promise(() => undefined);
    };
    await place.drained(
      flow((w) => {
        w.run('a', {}, never('a'));
        w.run('b', {}, never('b'), { effects: 'unsafe' });
      }),
      () => begun.length === 2,
    );
  }),
  scenario(['running | begins anew | queued'], async (place) => {
    const again = task({ name: 'again', run: (n: number, ctx) => (n < 2 ? ctx.restart(n + 1) : n) });
    await place.run(flow((w) => void w.run(again, 1)));
  }),
  scenario(
    [
      'pending | cancel | cancelled | person',
      'queued | cancel | cancelled | person',
      'running | cancel | cancelled | person',
      'retrying | cancel | cancelled | person',
      'waiting | cancel | cancelled | person',
      'cancelled | redrive or rerun | pending',
      'cancelled | mark success | success',
    ],
    async (place) => {
      const { run } = await place.run(
        flow((w) => {
          const a = w.run('a', {}, (_, ctx) => hang(_, ctx));
          w.run('b', {}, ok, { after: [a] });
          w.run('c', {}, broken, later);
          w.sleep('1d', { id: 'd' });
          w.run('e', {}, ok, { queue: 'elsewhere' });
        }),
      );
      await run.cancel();
      await run.mark('e', { output: 1 });
      await run.redrive();
    },
  ),
  scenario(
    [
      'failed | redrive or rerun | pending',
      'upstream_failed | redrive or rerun | pending',
      'skipped | redrive or rerun | pending',
      'success | redrive or rerun | pending',
      'success | left as it is by a redrive | success',
      'failed | mark success | success',
      'upstream_failed | mark success | success',
      'skipped | mark success | success',
      'failed | discard | failed',
    ],
    async (place) => {
      const one = flow((w) => {
        const a = w.run('a', {}, fail);
        const b = w.run('b', {}, ok, { after: [a] });
        const k = w.run('k', {}, ok, { when: () => false });
        w.run('kept', {}, ok, { after: [a], join: 'all_done' });
        w.run('done', {}, ok, { after: [a], join: 'all_done' });
        w.run('after-skip', {}, ok, { after: [k] });
        void b;
      });
      const { kit, run } = await place.run(one);
      await run.redrive({ task: 'a', keep: ['kept'] });
      await kit.settle();
      await run.rerun('k');
      await kit.settle();
      await run.mark('b', { output: 1 });
      await run.mark('after-skip', { output: 1 });
      await run.discard('a', { note: 'as it is' });
      await run.mark('a', { output: 1 });
      await kit.settle();
    },
  ),
  scenario(
    ['failed | redrive or rerun | running', 'cancelled | redrive or rerun | running', 'success | redrive or rerun | running'],
    async (place) => {
      const bad = task({ name: 'bad', run: (n: number, ctx) => (n === 0 && ctx.attempt === 1 ? fail() : n) });
      const whole = flow((w) => void w.map([0, 1], bad, (n) => n, { id: 'all' }));
      const tolerant = flow((w) => void w.map([0, 1], bad, (n) => n, { id: 'all', tolerate: { count: 1 } }));
      const stopped = workflow({ name: 'stopped', failurePolicy: 'drain' }, (w) => {
        w.map([1, 2, 3], task({ name: 'slow', run: hang }), (n) => n, { id: 'all', concurrency: 1 });
        w.run('f', {}, (_, ctx) => (ctx.attempt === 1 ? fail() : 1), { after: [w.run('soon', {}, ok)] });
        return {};
      });
      const first = await place.run(whole);
      await first.run.redrive();
      await first.kit.settle();
      const second = await place.run(tolerant);
      await second.run.redrive({ task: 'all', item: 0 });
      await second.kit.settle();
      const third = await place.run(stopped);
      await third.run.cancel();
      await third.run.redrive();
      await third.kit.settle();
    },
  ),
  scenario(
    [
      'queued | an upstream is redriven or rerun | pending',
      'running | an upstream is redriven or rerun | pending',
      'retrying | an upstream is redriven or rerun | pending',
      'waiting | an upstream is redriven or rerun | pending',
    ],
    async (place) => {
      const { kit, run } = await place.run(
        flow((w) => {
          const after = [w.run('a', {}, ok)];
          w.run('b', {}, ok, { after, queue: 'elsewhere' });
          w.run('c', {}, (_, ctx) => hang(_, ctx), { after });
          w.run('d', {}, broken, { after, ...later });
          w.sleep('1d', { id: 'e', after });
        }),
      );
      await run.rerun('a');
      await kit.settle();
    },
  ),
  scenario(
    [
      'pending | skip | skipped | manual',
      'queued | skip | skipped | manual',
      'retrying | skip | skipped | manual',
      'waiting | skip | skipped | manual',
    ],
    async (place) => {
      const { run } = await place.run(
        flow((w) => {
          const a = w.run('a', {}, (_, ctx) => hang(_, ctx));
          w.run('b', {}, ok, { after: [a] });
          w.run('c', {}, broken, later);
          w.sleep('1d', { id: 'd' });
          w.run('e', {}, ok, { queue: 'elsewhere' });
        }),
      );
      for (const id of ['b', 'c', 'd', 'e']) await run.skip(id);
    },
  ),
  scenario(
    [
      'pending | child run starts | waiting',
      'waiting | child run ended | success',
      'waiting | child run ended | failed | error',
      'waiting | child run ended | skipped | condition',
      'waiting | child run ended | cancelled',
      'failed | redrive in the child run | waiting',
      'cancelled | redrive in the child run | waiting',
      'success | redrive in the child run | waiting',
    ],
    async (place) => {
      const of = (name: string, body: () => unknown, options: object = {}) =>
        workflow({ name, ...options }, (w) => {
          w.run('work', {}, body);
          return {};
        });
      const good = of('good', ok);
      const bad = of('bad', fail);
      const allowed = workflow({ name: 'allowed' }, (w) => {
        w.run('work', {}, fail, { allowFailure: true });
        w.run('other', {}, ok);
        return {};
      });
      const never = of('never', ok, { guard: () => false });
      const cancelled = workflow({ name: 'cancelled' }, (w) => {
        w.run('work', {}, (_, ctx) => hang(_, ctx));
        return {};
      });
      const { kit } = await place.run(flow((w) => [good, bad, never, cancelled, allowed].forEach((one) => void w.run(one, undefined))));
      const childOf = async (name: string) => kit.get((await kit.runs.list({ workflow: name })).runs[0]?.id ?? '');
      const stopped = await childOf('cancelled');
      await stopped.cancel();
      await kit.settle();
      await (await childOf('bad')).redrive();
      await stopped.redrive();
      await (await childOf('good')).rerun('work');
      await kit.settle();
    },
  ),
  scenario(['running | input of the child run is valid | waiting'], async (place) => {
    const checked = workflow({ name: 'checked', input: anyText }, (w, input) => w.run('work', { input }, ok));
    const plain = workflow({ name: 'plain' }, (w) => w.run('work', {}, ok));
    await place.run(
      flow((w) => {
        w.run(checked, 'x');
        w.run(plain, undefined, { when: () => true });
        w.map([1, 2], plain, () => undefined, { id: 'all' });
      }),
    );
  }),
  scenario(['waiting | child run ended | queued'], async (place) => {
    const short = workflow({ name: 'short' }, (w) => w.sleep('1s', { id: 'nap' }));
    const long = workflow({ name: 'long' }, (w) => w.sleep('2s', { id: 'nap' }));
    const one = flow((w) => {
      w.run('body', {}, (_, ctx) =>
        ctx.all([
          ['one', short],
          ['two', long],
        ]),
      );
      w.run('hog', {}, (_, ctx) => hang(_, ctx));
    });
    const kit = place.engine([one, short, long], { concurrency: 1 });
    await kit.start(one);
    await kit.clock.advance('5s');
  }),
  // Held back while its run is paused.
  scenario(['queued | child run starts | waiting'], async (place) => {
    const plain = workflow({ name: 'plain' }, (w) => w.run('work', {}, ok));
    let end: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (end = resolve));
    const { kit, run } = await place.run(flow((w) => void w.run(plain, undefined, { after: [w.run('a', {}, () => gate)] })));
    await run.pause();
    end();
    await kit.settle();
    await run.resume();
    await kit.settle();
  }),
];
