/** What one event comes to: the outcome, joins to a fixed point, who lost a first, the failure policy, the outcome of the run. */
import { afterEach, expect, test } from 'vitest';
import { task, workflow } from '../../src/index.ts';
import { closeAll, engineOf, fail, flow, ok, ran, stateOf } from './kit.ts';

afterEach(closeAll);

test('joins come to rest before the losers of a first are cancelled', async () => {
  const one = flow((w) => {
    const a = w.run('a', {}, ok);
    const m = w.run('m', {}, ok, { after: [a], join: 'one_failed' });
    const far = w.run('far', {}, ok, { after: [m] });
    w.first({ a, far });
  });
  expect((await ran(one)).tasks).toMatchObject({ a: 'success', m: 'skipped', far: 'skipped' });
});

test.each(['cancel', 'markFailed'] as const)('a %s does not hide items that failed beyond what their map tolerates', async (act) => {
  const item = task({ name: 'item', run: (n: number) => (n === 0 ? fail() : new Promise<number>(() => undefined)) });
  const one = workflow({ name: 'one' }, (w) => {
    w.map([0, 1], item, (n) => n, { id: 'all' });
    return {};
  });
  const kit = engineOf(one);
  const run = await kit.start(one);
  await kit.settle();
  await (act === 'cancel' ? run.cancel() : run.markFailed({ note: 'over' }));
  await kit.settle();
  const { run: status, tasks } = await stateOf(run);
  expect({ status, all: tasks['all'], first: tasks['all[0]'] }).toEqual({
    status: 'failed',
    all: act === 'cancel' ? 'cancelled: person' : 'cancelled: marked_failed',
    first: 'failed',
  });
});
