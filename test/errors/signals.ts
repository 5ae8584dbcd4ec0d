import { z } from 'zod';
import { PawlError, signal, task, workflow, type Ctx } from '../../src/index.ts';
import { trigger, type Place } from './kit.ts';

/** SIGNAL_, and what is met by who waits or answers. */
const paid = signal('paid', z.object({ cents: z.number() }));
const order = workflow({ name: 'order' }, (w) => void w.wait(paid, { key: 'o-81' }));
const grant = workflow({ name: 'grant' }, (w) => void w.approve('manager', { who: ['ops'], form: z.object({ limit: z.number() }) }));

trigger('SIGNAL_UNKNOWN', [/"payed"/], (place) => place.kit(order).send('payed', { key: 'k', data: 1 }));

trigger('SIGNAL_DATA_INVALID', [/"paid"/, /data\.cents/], (place) =>
  place.kit(order).send(paid, { key: 'k', data: { cents: 'much' } as never }),
);

trigger('SIGNAL_MAILBOX_FULL', [/"paid"/, /"o-81"/, /10,000/], async (place) => {
  const engine = place.engine([order]);
  await engine.runs.list();
  const numbers = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)';
  place.sqlite(`${numbers} INSERT INTO messages (signal, key, at, expires_at, data) SELECT 'paid', 'o-81', 1, 9e15, '{}' FROM n`).close();
  await engine.send(paid, { key: 'o-81', data: { cents: 1 } });
});

async function answered(place: Place, form: unknown, twice: boolean) {
  const engine = place.kit(grant);
  const run = await engine.start(grant);
  await engine.settle();
  await engine.approvals.approve(run.id, { form });
  if (twice) await engine.approvals.approve(run.id, { task: 'manager', form });
}
trigger('TASK_NOT_WAITING', [/"manager"/], (place) => answered(place, { limit: 1 }, true));
trigger('TASK_FORM_INVALID', [/"manager"/, /form\.limit/], (place) => answered(place, {}, false));

/** The error with which a body's task failed. */
async function failedBody(
  place: Place,
  name: string,
  body: (input: undefined, ctx: Ctx) => Promise<unknown>,
  options: { readonly effects?: 'unsafe'; readonly after?: '1h' } = {},
) {
  const { effects = 'idempotent', after } = options;
  const one = task({ name, effects, retry: { maxAttempts: 1 }, run: body as (input: undefined, ctx: Ctx) => Promise<string> });
  const flow = workflow({ name: 'one' }, (w) => void w.run(one, undefined));
  const engine = place.kit(flow);
  const run = await engine.start(flow);
  await engine.settle();
  if (after !== undefined) await engine.clock.advance(after);
  const error = (await run.tasks())[0]?.error;
  throw new PawlError(error?.code as 'STEP_SWALLOWED', error?.message ?? '');
}

trigger('SIGNAL_TIMEOUT', [/"answer"/, /task "ask"/], (place) =>
  failedBody(place, 'ask', async (_, ctx) => ctx.wait('answer', paid, { timeout: '1h' }), { after: '1h' }),
);
trigger('STEP_SWALLOWED', [/"a week"/, /task "remind"/], (place) =>
  failedBody(place, 'remind', async (_, ctx) => ctx.sleep('a week', '7d').catch(() => undefined)),
);
trigger('STEP_NOT_AWAITED', [/"mail"/, /task "charge"/], (place) =>
  failedBody(place, 'charge', async (_, ctx) => void ctx.step('mail', () => 1)),
);
trigger('TASK_UNSAFE_WAITS', [/ctx\.sleep/, /task "charge"/], (place) =>
  failedBody(place, 'charge', async (_, ctx) => ctx.sleep('a', '7d'), { effects: 'unsafe' }),
);
