import { z } from 'zod';
import { workflow } from '../../src/index.ts';

const Input = z.object({ a: z.string() });
const rule = { cron: '0 3 * * *', tz: 'UTC' } as const;

export const typed = [
  workflow({ name: 'w', schedule: rule }, () => ({})),
  workflow(
    {
      name: 'w',
      schedule: [
        { name: 'a', every: '1h' },
        { name: 'b', ...rule },
      ],
    },
    () => ({}),
  ),
  workflow({ name: 'w', input: Input, schedule: { ...rule, input: { a: 'x' } } }, () => ({})),
  workflow({ name: 'w', input: Input, schedule: { ...rule, input: (dueAt) => ({ a: dueAt.toISOString() }) } }, () => ({})),
  // @ts-expect-error a schedule gives the workflow's input
  workflow({ name: 'w', input: Input, schedule: rule }, () => ({})),
  // @ts-expect-error another input than the workflow's
  workflow({ name: 'w', input: Input, schedule: { ...rule, input: {} } }, () => ({})),
  // @ts-expect-error a cron expression has a time zone
  workflow({ name: 'w', schedule: { cron: '0 3 * * *' } }, () => ({})),
  // @ts-expect-error an interval has none
  workflow({ name: 'w', schedule: { every: '1h', tz: 'UTC' } }, () => ({})),
  // @ts-expect-error no such rule
  workflow({ name: 'w', schedule: { ...rule, overlap: 'wait' } }, () => ({})),
];
