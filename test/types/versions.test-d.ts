import { expectTypeOf } from 'vitest';
import { createEngine, task, workflow, type MoveReport, type VersionCheck } from '../../src/index.ts';

const flow = workflow({ name: 'flow', onDeploy: 'pin' }, (w) => w.run('it', {}, () => 1, { effects: 'none', cache: { ttl: '1h' } }));
// @ts-expect-error there is no such way to deploy
workflow({ name: 'flow', onDeploy: 'stay' }, () => 1);
// @ts-expect-error a cache has a time
task({ name: 'it', effects: 'none', cache: {}, run: () => 1 });

const engine = createEngine({
  store: 'sqlite::memory:',
  use: [flow],
  classifyError: (error, { task: id, attempt }) =>
    error instanceof TypeError && id !== '' && attempt > 1 ? { retryAfter: '1m' } : undefined,
});
// @ts-expect-error an error is tried again or not
createEngine({ store: 'sqlite::memory:', use: [flow], classifyError: () => 'maybe' });

expectTypeOf(engine.checkVersions()).resolves.toEqualTypeOf<readonly VersionCheck[]>();
const run = await engine.start(flow);
expectTypeOf(run.move({ to: '2' })).resolves.toEqualTypeOf<MoveReport>();
// @ts-expect-error it says where to
await run.move({});
expectTypeOf((await run.fork('it', { version: '2' })).reused).toEqualTypeOf<readonly string[]>();
