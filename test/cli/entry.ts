import { LIBRARY } from './kit.ts';

/** An entry with a workflow for every way in which a run can end, and one to be started later. */
export const ENTRY = `import { z } from 'zod';
import { NonRetryableError, signal, task, workflow } from '${LIBRARY}';

const part = task({
  name: 'part',
  run: ({ n }: { n: number }) => {
    if (n === 3) throw new NonRetryableError('three is \\u001b[31mred\\u202e', { code: 'THREE' });
    return n;
  },
});

export const order = workflow({ name: 'order', version: '7', input: z.object({ id: z.string(), cents: z.number().optional() }) }, (w, input) => {
  const load = w.run('load', { id: input.id }, ({ id }) => ({ id, lines: [1, 2, 3, 4] }));
  const parts = w.map(load.lines, part, (n) => ({ n }), { settle: true });
  const pay = w.run('pay', { load }, (): number => {
    throw new Error('503 from 支払い');
  }, { retry: { maxAttempts: 2, initial: '1ms' } });
  return { parts, pay };
});

const good = workflow({ name: 'good', version: '1' }, (w) => w.run('make', {}, () => ({ at: new Date(0), big: 2n ** 70n, text: 'a\\u001b[2J' })));
const open = workflow({ name: 'open', version: '1' }, (w) => w.run('never', {}, () => 0));
export const others = [good, open, signal('go', z.object({}))];
export const note = 'no definition';
`;
