import { workflow } from '../../src/index.ts';
import { trigger } from './kit.ts';

/** SCHEDULE_: what is wrong with a schedule, or with what is asked of it. */
const report = workflow({ name: 'report' }, () => ({}));
const declared = workflow({ name: 'report', schedule: { name: 'nightly', cron: '0 3 * * *', tz: 'UTC' } }, () => ({}));
const nightly = { name: 'nightly', workflow: report, cron: '0 3 * * *', tz: 'UTC' } as const;

trigger('SCHEDULE_INVALID', [/"0 0 30 2 \*"/, /never due/], (place) =>
  place.kit(report).schedules.create({ ...nightly, cron: '0 0 30 2 *' }),
);
trigger('SCHEDULE_INVALID', [/6 fields/, /"Mars\/Base"/, /overlap/], (place) =>
  place.kit(report).schedules.create({ ...nightly, cron: '0 0 3 * * *', tz: 'Mars/Base', overlap: 'no' as 'skip' }),
);

trigger('SCHEDULE_NOT_FOUND', [/"nightly"/], (place) => place.kit(report).schedules.get('nightly'));

trigger('SCHEDULE_EXISTS', [/"nightly"/], async (place) => {
  const engine = place.kit(report);
  await engine.schedules.create(nightly);
  await engine.schedules.create(nightly);
});
trigger('SCHEDULE_EXISTS', [/"nightly"/, /"report"/, /at run time/], async (place) => {
  await place.engine([report]).schedules.create(nightly);
  await place.engine([declared]).schedules.list();
});

trigger('SCHEDULE_DECLARED', [/"nightly"/, /"report"/], (place) => place.kit(declared).schedules.delete('nightly'));
