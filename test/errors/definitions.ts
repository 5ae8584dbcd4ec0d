import { z } from 'zod';
import { createEngine, signal, task, workflow } from '../../src/index.ts';
import { trigger } from './kit.ts';

/** BUILD_ and CONFIG_: what is wrong before any run. */
const loadOrder = task({ name: 'load-order', run: (i: { id: string }) => ({ id: i.id, total: 120, lines: ['a'] }) });
const memory = (options: object): unknown => createEngine({ store: 'sqlite::memory:', use: [], ...options });

trigger('BUILD_REF_AS_VALUE', [/"load-order\.total"/, /workflow "order" \(definitions\.ts:\d+:\d+\)/], () => {
  workflow({ name: 'order', input: z.object({ id: z.string() }) }, (w, input) => {
    const order = w.run(loadOrder, { id: input.id });
    return { label: w.run('label', { text: `total: ${String(order.total)}` }, ({ text }) => text) };
  });
});

trigger('BUILD_ASYNC', [/builder of workflow "order"/], () => {
  workflow({ name: 'order' }, (async () => ({})) as never);
});

trigger('BUILD_INVALID', [/Workflow "order" has 2 problems/, /"pack".*definitions\.ts:\d+:\d+/, /atempts/], () => {
  workflow({ name: 'order' }, (w) => {
    w.run('pack', {}, () => 1);
    w.run('pack', {}, () => 2);
    w.run('send', {}, () => 3, { retry: { atempts: 5 } as object });
    return {};
  });
});

trigger('BUILD_INVALID', [/Task "charge"/, /timeout/, /"soon"/], () => {
  task({ name: 'charge', timeout: 'soon' as '1s', run: () => 1 });
});

trigger('CONFIG_DURATION', [/lease: "soon"/], () => memory({ lease: 'soon' }));
trigger('CONFIG_DURATION', [/grace: -1/], () => memory({ grace: -1 }));

trigger('CONFIG_OPTION', [/concurrency: .*1 to 100000, not 0/], () => memory({ concurrency: 0 }));
trigger('CONFIG_OPTION', [/durability: .*'full' or 'fast', not "none"/], () => memory({ durability: 'none' }));
trigger('CONFIG_OPTION', [/writer: .*'auto', 'main' or 'thread', not "pool"/], () => memory({ writer: 'pool' }));
trigger('CONFIG_OPTION', [/writer: .*memory/], () => memory({ writer: 'thread' }));
trigger('CONFIG_OPTION', [/writer: .*access: 'read'/], () => memory({ store: 'sqlite:./app.db', access: 'read', writer: 'thread' }));
trigger('CONFIG_OPTION', [/lease: .*at least 1 s, not "10ms"/], () => memory({ lease: '10ms' }));
trigger('CONFIG_OPTION', [/use: .*not undefined/], () => memory({ use: undefined }));
trigger('CONFIG_OPTION', [/use\[1\]: .*not undefined/], () => memory({ use: [loadOrder, undefined] }));

const nothing = workflow({ name: 'nothing' }, () => ({}));
for (const [options, message] of [
  [{ key: 5 }, /key: .*, not 5/],
  [{ key: 'k'.repeat(501) }, /key: .*not one of 501/],
  [{ tags: ['a', ''] }, /tags\[1\]: .*not ""/],
  [{ tags: 'a' }, /tags: .*not "a"/],
  [{ priority: 0.5 }, /priority: .*not 0\.5/],
  [{ startAt: 'tomorrow' }, /startAt: .*not "tomorrow"/],
  [{ delay: 8.64e15 }, /delay: 8640000000000000/],
] as const) {
  trigger('CONFIG_OPTION', [message], (place) => place.kit(nothing).start(nothing, undefined, options as object));
}
for (const [query, message] of [
  [{ limit: 0 }, /limit: .*not 0/],
  [{ cursor: 'x' }, /cursor: "x"/],
  [{ since: 'today' }, /since: .*not "today"/],
  [{ since: new Date(Number.NaN) }, /since: .*not an object/],
  [{ status: ['succeeded'] }, /status: .*success.*not "succeeded"/],
  [{ status: 'failed' }, /status: .*not "failed"/],
] as const) {
  trigger('CONFIG_OPTION', [message], (place) => place.kit(nothing).runs.list(query as object));
}

trigger('CONFIG_STORE', [/store: "mysql:\/\/localhost\/app"/], () => memory({ store: 'mysql://localhost/app' }));

trigger('CONFIG_DUPLICATE', [/workflows .*"order"/, /versions 1 and 2/], () => {
  const use = ['1', '2'].map((version) => workflow({ name: 'order', version }, () => ({ version })));
  return memory({ use });
});
trigger('CONFIG_DUPLICATE', [/task "charge"/], () => {
  const charge = task({ name: 'charge', input: z.object({}), output: z.number() });
  return memory({ use: [charge.implement(() => 1), charge.implement(() => 2)] });
});
trigger('CONFIG_DUPLICATE', [/signals .*"paid"/], () => memory({ use: [signal('paid', z.string()), signal('paid', z.number())] }));

trigger('CONFIG_LIMIT_UNKNOWN', [/task "charge" of workflow "order"/, /pool "db"/], () => {
  const charge = task({ name: 'charge', pools: { db: 2 }, run: () => 1 });
  return memory({ use: [workflow({ name: 'order' }, (w) => w.run(charge, undefined))], limits: { bd: 5 } });
});

trigger('CONFIG_VERSION_CHANGED', [/"order" version "1"/], async (place) => {
  const first = workflow({ name: 'order', version: '1' }, (w) => ({ n: w.run('n', {}, () => 1) }));
  await place.engine([first]).start(first);
  const changed = workflow({ name: 'order', version: '1' }, (w) => ({ m: w.run('m', {}, () => 1) }));
  await place.engine([changed]).start(changed);
});
