import { z } from 'zod';
import { NonRetryableError, task, workflow } from '../../src/index.ts';
import { exportRun, importRun } from '../../src/client/transfer.ts';
import { realPorts } from '../../src/engine/ports.ts';
import { trigger, type Place } from './kit.ts';

/** RUN_, TASK_: acts of people on runs that are not in the state for them. */
const runId = /\b[0-9a-z]{26}\b/;
const once = { retry: { maxAttempts: 1 } } as const;

const ship = task({
  name: 'ship',
  input: z.object({ id: z.string() }),
  output: z.string(),
  retry: { maxAttempts: 1 },
  run: (): string => {
    throw new NonRetryableError('no van', { code: 'NO_VAN' });
  },
});
const order = workflow({ name: 'order' }, (w) => {
  const box = w.run(ship, { id: 'o-81' });
  w.run('bill', {}, () => 'sent', { after: [box] });
});
const fine = workflow({ name: 'fine' }, (w) => ({ box: w.run('pack', {}, () => 'box') }));

/** A run of a workflow, as it stands when nothing more happens by itself. */
async function started(place: Place, flow: typeof order | typeof fine) {
  const engine = place.kit(flow);
  const run = await engine.start(flow as typeof order);
  await engine.settle();
  return { engine, run };
}

trigger('RUN_NOT_OPEN', [runId, /is success/], async (place) => (await started(place, fine)).run.pause());

trigger('RUN_NOT_PAUSED', [runId, /is scheduled/], async (place) => {
  const run = await place.kit(fine).start(fine, undefined, { delay: '1h' });
  await run.resume();
});

trigger('RUN_NOTHING_TO_REDRIVE', [runId, /no dead letter/], async (place) => (await started(place, fine)).run.redrive());

const undone = workflow({ name: 'undone' }, (w) => {
  const a = w.run('reserve', {}, () => 1, { compensate: () => undefined });
  w.run(ship, { id: 'o-81' }, { after: [a] });
});
trigger('RUN_COMPENSATED', [runId, /compensation has begun/], async (place) => (await started(place, undone)).run.redrive());

async function aside(place: Place) {
  const run = await place.engine([fine]).start(fine);
  place.sqlite(`UPDATE runs SET quarantined = 'its rows contradict each other', unclaimed = 0`).close();
  return run;
}
trigger('RUN_QUARANTINED', [runId, /is quarantined/, /contradict/], async (place) => (await aside(place)).redrive());
trigger('RUN_QUARANTINED', [runId, /contradict/], async (place) => (await aside(place)).cancel());

const held = workflow({ name: 'held', concurrency: { key: 'account-7', limit: 1 } }, (w) => void w.sleep('1h'));
trigger('RUN_CANNOT_GO_ON', [runId, /"account-7"/], async (place) => {
  const [from, to] = [place.kit(held), place.kit(held)];
  const { id } = await from.start(held);
  await from.settle();
  await to.start(held);
  await to.settle();
  const how = { now: 0, digest: (text: string) => realPorts.digest(text) };
  await importRun(await to.storeOf, JSON.parse(JSON.stringify(await exportRun(await from.storeOf, id))), how);
  await (await to.get(id)).release();
});

trigger('RUN_NOT_QUARANTINED', [runId], async (place) => (await started(place, fine)).run.release());

trigger('RUN_REQUEST_CONFLICT', [/"r-1"/, /"ann"/], async (place) => {
  const { run } = await started(place, order);
  await run.discard('ship', { note: 'known', requestId: 'r-1', actor: 'ann' });
  await run.redrive({ requestId: 'r-1', actor: 'ann' });
});

const versions = (version: string, maxAttempts: number) =>
  workflow({ name: 'order', version }, (w) => {
    const fails = (): never => {
      throw new Error('no funds');
    };
    w.run('pay', {}, fails, { retry: { maxAttempts } });
  });

async function deployed(place: Place) {
  const before = versions('1', 3);
  const engine = place.kit(before);
  const run = await engine.start(before);
  await engine.settle();
  await engine.reboot({ use: [versions('2', 5)] });
  return run;
}

trigger('RUN_CANNOT_MOVE', [runId, /"2"/, /"pay" has another contract/], async (place) => (await deployed(place)).move({ to: '2' }));

trigger('RUN_UNKNOWN_VERSION', [/"order"/, /"9"/], async (place) => (await deployed(place)).move({ to: '9' }));

trigger('RUN_CHANGED', [runId, /changed each time/], async (place) => {
  const ids = Array.from({ length: 12 }, (_, i) => `task-${i}`);
  const rivals: (() => Promise<unknown>)[] = [];
  // Somebody else is faster, each time.
  const input = z.object({ id: z.string() }).refine(async () => {
    await rivals[0]?.();
    return true;
  });
  const busy = workflow({ name: 'busy', input }, (w) => {
    for (const id of ids) w.run(id, {}, () => id, { after: [w.run(`before-${id}`, {}, () => id)] });
  });
  const engine = place.engine([busy]);
  const run = await engine.start(busy, { id: 'o-81' });
  for (const id of ids) await run.skip(id);
  const left = [...ids];
  rivals.push(() => run.mark(left.pop() ?? ''));
  await run.fork('task-0', { input: { id: 'o-82' } });
});

trigger('TASK_NOT_DEAD', [/"bill"/, runId, /upstream_failed/, /began at ship/], async (place) =>
  (await started(place, order)).run.redrive({ task: 'bill' }),
);
trigger('TASK_NOT_DEAD', [/"bill"/, runId, /no dead letter/], async (place) =>
  (await started(place, order)).run.discard('bill', { note: 'known' }),
);
trigger('TASK_NOT_DEAD', [/\/bill/, /upstream_failed/], async (place) => {
  const { engine, run } = await started(place, order);
  await engine.dead.get(`${run.id}/bill`);
});

trigger('TASK_NOT_ENDED', [/"pack"/, runId, /pending/], async (place) => {
  const run = await place.kit(fine).start(fine, undefined, { delay: '1h' });
  await run.rerun('pack');
});

trigger('TASK_NOT_OPEN', [/"pack"/, runId], async (place) => (await started(place, fine)).run.skip('pack'));

trigger('TASK_OUTCOME_UNKNOWN', [/"charge"/, runId, /unsafe/], async (place) => {
  const pay = workflow({ name: 'pay' }, (w) => {
    w.run(
      'charge',
      {},
      () => {
        throw new Error('socket hang up');
      },
      { ...once, effects: 'unsafe' },
    );
  });
  const engine = place.kit(pay);
  const run = await engine.start(pay);
  await engine.settle();
  await run.redrive({ task: 'charge' });
});

trigger('TASK_UNSAFE_RUNNING', [/"mail"/, runId, /running/], async (place) => {
  const mail = workflow({ name: 'mail' }, (w) => {
    const box = w.run(ship, { id: 'o-81' });
    w.run('mail', {}, (_, ctx) => new Promise<void>((resolve) => ctx.signal.addEventListener('abort', () => resolve())), {
      after: [box],
      join: 'all_done',
      effects: 'unsafe',
    });
  });
  const engine = place.kit(mail);
  const run = await engine.start(mail);
  await engine.settle();
  await run.redrive({ task: 'ship' });
});

trigger('TASK_INPUT_INVALID', [/"ship"/, /input\.id: .*string/], async (place) =>
  (await started(place, order)).run.redrive({ task: 'ship', input: { id: 81 } }),
);

trigger('TASK_OUTPUT_INVALID', [/"ship"/, /output: .*string/], async (place) =>
  (await started(place, order)).run.mark('ship', { output: 81 }),
);

trigger('TASK_NO_CODE', [/"ship"/, /output/], async (place) => {
  const { id } = await place.engine([order]).start(order);
  const run = await place.engine([fine]).get(id);
  await run.mark('ship', { output: 'box 81' });
});
