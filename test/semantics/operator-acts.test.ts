import { afterEach, expect, test } from 'vitest';
import { workflow } from '../../src/index.ts';
import type { TestEngine } from '../../src/testing/index.ts';
import { closeAll, engineOf, ok } from './kit.ts';

afterEach(closeAll);

const report = workflow({ name: 'report' }, (w) => w.run('write', {}, ok));
const by = { actor: 'ada', note: 'the tape robot is down' };

const acts = async (kit: TestEngine, on?: string): Promise<unknown[]> =>
  (await kit.audit(on === undefined ? {} : { on })).entries.map(({ actor, action, on: what, runId, note, facts }) => [
    `${actor} ${action}`,
    what === undefined ? runId : `${what.kind}:${what.name}`,
    ...(note === undefined ? [] : [note]),
    facts,
  ]);

test('who paused a queue or a workflow is in the audit, once; a pause that found it paused is no act', async () => {
  const kit = engineOf(report);
  await kit.queues.pause('media', by);
  expect(await kit.queues.pause('media', { actor: 'bob' })).toBe(false);
  await kit.queues.resume('media');
  await kit.workflows.pause('report', { actor: 'bob' });
  expect(await acts(kit)).toEqual([
    ['bob pause', 'workflow:report', {}],
    ['api resume', 'queue:media', {}],
    ['ada pause', 'queue:media', by.note, {}],
  ]);
  expect(await acts(kit, 'queue:media')).toHaveLength(2);
});

test('so is who set or cleared a limit, and to what', async () => {
  const kit = engineOf(report);
  await kit.limits.set('db', 3, by);
  await kit.limits.set('mail', '10/s');
  await kit.limits.clear('db', { actor: 'bob' });
  expect(await kit.limits.clear('db')).toBe(false);
  expect(await acts(kit)).toEqual([
    ['bob clear', 'limit:db', { kind: 'pool' }],
    ['api set', 'limit:mail', { kind: 'rate', value: '10/s' }],
    ['ada set', 'limit:db', by.note, { kind: 'pool', value: 3 }],
  ]);
});

test('and everything that is done to a schedule', async () => {
  const kit = engineOf(report);
  await kit.clock.advance('3d');
  await kit.schedules.create({ name: 'nightly', workflow: report, every: '1d' }, by);
  await kit.schedules.pause('nightly', { why: 'holidays', actor: 'bob' });
  await kit.schedules.pause('nightly');
  await kit.schedules.resume('nightly', { actor: 'bob' });
  await kit.schedules.trigger('nightly', { actor: 'eve' });
  const now = kit.clock.now();
  const made = await kit.schedules.backfill('nightly', { from: now, to: now, actor: 'eve' });
  await kit.schedules.backfill.cancel(made.id, { actor: 'eve' });
  await kit.settle();
  await kit.schedules.delete('nightly');
  const done = (await acts(kit, 'schedule:nightly')).map((one) => (one as unknown[])[0]);
  expect(done).toEqual(['api delete', 'eve cancel_backfill', 'eve backfill', 'eve run', 'bob resume', 'bob pause', 'ada create']);
  // What the schedule does by itself is nobody's act.
  expect(await acts(kit)).toHaveLength(7);
});

test('acts on runs stand beside them, and a page goes over both', async () => {
  const kit = engineOf(report);
  await kit.queues.pause('default', by);
  const run = await kit.start(report);
  await run.cancel({ actor: 'bob' });
  expect((await acts(kit)).map((one) => (one as unknown[]).slice(0, 2))).toEqual([
    ['bob cancel', run.id],
    ['ada pause', 'queue:default'],
  ]);
  const { entries, next } = await kit.audit({ limit: 1 });
  expect(entries).toMatchObject([{ runId: run.id }]);
  expect((await kit.audit({ limit: 1, cursor: next ?? '' })).entries).toMatchObject([{ on: { kind: 'queue', name: 'default' } }]);
});

test('what is no queue, workflow, limit or schedule is refused, and so is what is none of its options', async () => {
  const kit = engineOf(report);
  await expect(kit.audit({ on: 'media' })).rejects.toMatchObject({ code: 'CONFIG_OPTION' });
  await expect(kit.audit({ on: 'queue:' })).rejects.toMatchObject({ code: 'CONFIG_OPTION' });
  await expect(kit.queues.pause('media', { actor: '' })).rejects.toMatchObject({ code: 'CONFIG_OPTION' });
  await expect(kit.queues.pause('media', { who: 'ada' } as never)).rejects.toMatchObject({ code: 'CONFIG_OPTION' });
  expect(await kit.queues.list()).toEqual([]);
});
