import { z } from 'zod';
import { task, workflow, type Ctx, type Engine } from '../../src/index.ts';
import { trigger, type Place } from './kit.ts';

/** RUN_, TASK_, PAYLOAD_, STEP_, EVENTS_: what is wrong with a run, or with what is asked of it. */
const ship = task({ name: 'ship', input: z.object({ id: z.string() }), output: z.string(), run: ({ id }) => `box ${id}` });
const order = workflow({ name: 'order', input: z.object({ id: z.string() }) }, (w, input) => ({ box: w.run(ship, { id: input.id }) }));
const later = workflow({ name: 'later' }, () => ({}));
const runId = /\b[0-9a-z]{26}\b/;

const refused = workflow({ name: 'refused' }, (w) => ({
  box: w.run(
    'charge',
    {},
    (): string => {
      throw new Error('card declined');
    },
    { retry: { maxAttempts: 1 } },
  ),
}));

trigger('RUN_NOT_FOUND', [/no run "7kq2v9"/], (place) => place.kit(order).get('7kq2v9'));
trigger('RUN_NOT_FOUND', [/no run undefined/], (place) => place.kit(order).get(undefined as unknown as string));

const exported = async (engine: Engine) => engine.exportRun((await engine.start(order, { id: 'o-81' })).id);

trigger('RUN_EXISTS', [runId], async (place) => {
  const engine = place.engine([order]);
  await engine.importRun(await exported(engine));
});

trigger('RUN_DOCUMENT_INVALID', [/run\.status/], async (place) => {
  const engine = place.engine([order]);
  const document = await exported(engine);
  await engine.importRun({ ...document, run: { ...document.run, status: 'done' } });
});
trigger('RUN_DOCUMENT_INVALID', [/begin with "pawl": 1/], (place) => place.engine([order]).importRun({ id: 'o-81' }));
trigger('RUN_DOCUMENT_INVALID', [runId, /newer version/], async (place) => {
  const { id, ...document } = await exported(place.engine([order]));
  const other = '0'.repeat(id.length);
  await place.engine([order]).importRun({ ...document, id: other, run: { ...document.run, format: 99 } });
});

trigger('RUN_KEY_CONFLICT', [/"order:o-81"/, /"order"/, runId], async (place) => {
  const engine = place.kit(order);
  await engine.start(order, { id: 'o-81' }, { key: 'order:o-81' });
  await engine.start(order, { id: 'o-82' }, { key: 'order:o-81' });
});

trigger('RUN_KEY_TAKEN', [/"order:o-81"/, /"order"/, runId], async (place) => {
  const engine = place.kit(order);
  const key = { value: 'order:o-81', onDuplicate: 'reject' } as const;
  await engine.start(order, { id: 'o-81' }, { key });
  await engine.start(order, { id: 'o-81' }, { key });
});

trigger('RUN_FAILED', [runId, /"refused"/, /"charge"/, /card declined/], async (place) =>
  (await place.kit(refused).start(refused)).result(),
);

trigger('RUN_CANCELLED', [runId, /"later"/, /person/], async (place) => {
  const run = await place.kit(later).start(later, undefined, { delay: '1h' });
  await run.cancel();
  await run.result();
});

trigger('RUN_NO_OUTPUT', [runId, /"order"/, /partial/, /"discount" \(failed\)/], async (place) => {
  const partial = workflow({ name: 'order' }, (w) => {
    const discount = w.run(
      'discount',
      {},
      (): number => {
        throw new Error('no answer');
      },
      {
        allowFailure: true,
        retry: { maxAttempts: 1 },
      },
    );
    return { cents: w.run('cents', {}, () => 100), discount };
  });
  await (await place.kit(partial).start(partial)).result();
});
trigger('RUN_NO_OUTPUT', [/"big"/, /maxPayload, 1048576 bytes/], async (place) => {
  const big = workflow({ name: 'big' }, (w) => {
    const part = w.run('part', {}, () => 'x'.repeat(700_000));
    return { a: part, b: part };
  });
  await (await place.kit(big).start(big)).result();
});

trigger('RUN_TIMEOUT', [runId, /30s/], async (place) => {
  const engine = place.kit(later);
  const result = (await engine.start(later, undefined, { delay: '1h' })).result({ timeout: '30s' }).catch((error: unknown) => error);
  await engine.clock.advance('31s');
  return result;
});

trigger('RUN_INPUT_INVALID', [/"order"/, /input\.id: .*number/], (place) => place.kit(order).start(order, { id: 81 as unknown as string }));

trigger('RUN_QUEUE_FULL', [/maxQueued is 2/], async (place) => {
  const engine = place.engine([order], { maxQueued: 2 });
  for (const id of ['o-81', 'o-82', 'o-83']) await engine.start(order, { id });
});

trigger('RUN_UNKNOWN_WORKFLOW', [/"order"/, /registered: "later"/], (place) => place.kit(later).start(order, { id: 'o-81' }));
trigger('RUN_UNKNOWN_WORKFLOW', [/another workflow .*"later" \(version [0-9a-f]{12}\)/i], (place) => {
  const other = workflow({ name: 'later' }, () => ({}));
  return place.kit(later).start(other);
});

trigger('PAYLOAD_NOT_STORABLE', [/input\.id/, /function/], (place) =>
  place.kit(order).start(order, { id: (() => 'o-81') as unknown as string }),
);

trigger('PAYLOAD_TOO_LARGE', [/input/, /2000000\d* bytes|at least \d{7} bytes/, /1048576/], (place) =>
  place.kit(order).start(order, { id: 'x'.repeat(2_000_000) }),
);

trigger('TASK_UNKNOWN', [/"order"/, runId, /"chrage"/], async (place) =>
  (await place.kit(order).start(order, { id: 'o-81' })).output('chrage'),
);

/** What a body met: it ends its task, so that the run carries it as data too. */
async function inBody(place: Place, body: (ctx: Ctx, engine: ReturnType<Place['kit']>) => Promise<unknown>): Promise<unknown> {
  let error: unknown;
  const pay = workflow({ name: 'pay' }, (w) => ({
    n: w.run('charge', {}, (_, ctx) =>
      body(ctx, engine).then(
        () => 1,
        (thrown: unknown) => {
          error = thrown;
          throw thrown;
        },
      ),
    ),
  }));
  const engine = place.kit(pay);
  await (await engine.start(pay)).result().catch(() => undefined);
  await engine.settle();
  return error;
}

trigger('STEP_DUPLICATE', [/"call"/, /task "charge" of run/, /runs\.ts:\d+/, runId], (place) =>
  inBody(place, async (ctx) => {
    await ctx.step('call', () => 1);
    await ctx.step('call', () => 2);
  }),
);

trigger('STEP_NESTED', [/ctx\.sleep\("a while"\)/, /task "charge" of run/, /step "pay"/, /runs\.ts:\d+/, runId], (place) =>
  inBody(place, (ctx) => ctx.step('pay', () => ctx.sleep('a while', '1h'))),
);

trigger('STEP_LIMIT', [/\["call",10000\]/, /"charge"/, /10000/], (place) =>
  inBody(place, (ctx) => Promise.all(Array.from({ length: 10_001 }, (_, i) => ctx.step(['call', i], () => i)))),
);

trigger('STEP_LEASE_LOST', [/"call"/, /task "charge" of run/], (place) =>
  inBody(place, async (ctx, engine) => {
    await (await engine.get(ctx.runId)).cancel();
    await ctx.step('call', () => 1);
  }),
);

trigger('STEP_CHANGED', [/"call"/, /task "charge" of run/, /ctx\.sleep/], async (place) => {
  let error: unknown;
  const pay = workflow({ name: 'pay' }, (w) => ({
    n: w.run(
      'charge',
      {},
      async (_, ctx) => {
        const call = ctx.step('call', () => 1);
        error = await call.catch((thrown: unknown) => thrown);
        // The body as it was before this version.
        place.sqlite(`UPDATE steps SET kind = 'sleep'`).close();
        if (ctx.attempt === 1) throw new Error('again');
        return call;
      },
      { retry: { initial: 1, jitter: 'none' } },
    ),
  }));
  const engine = place.engine([pay], { sweep: '20ms' });
  await engine.work({ drainOn: [] });
  await (await engine.start(pay)).result().catch(() => undefined);
  return error;
});

trigger('CONFIG_OPTION', [/after: "soon"/], (place) => place.kit(later).watch({ after: 'soon' }).next());

trigger('EVENTS_GONE', [/"1:0"/], async (place) => {
  const engine = place.engine([later]);
  for (let i = 0; i < 3; i++) await engine.start(later);
  place.sqlite(`DELETE FROM journal WHERE seq <= 2; UPDATE meta SET value = 2 WHERE name = 'pruned_to'`).close();
  await engine.watch({ after: '1:0' }).next();
});
