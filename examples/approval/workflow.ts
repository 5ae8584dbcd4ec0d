/** The graph and its contracts: a purchase that a manager must approve, or the director where the manager does not answer. */
import { z } from 'zod';
import { NonRetryableError, task, workflow } from '../../src/index.ts';

const Purchase = z.object({ id: z.string(), what: z.string(), cents: z.number().int().positive(), requester: z.string() });

/** What whoever says yes fills in. */
const Form = z.object({ costCentre: z.string().min(1), note: z.string().optional() });

export const placeOrder = task({
  name: 'place-order',
  input: z.object({ purchase: Purchase, costCentre: z.string(), approvedBy: z.string() }),
  output: z.object({ orderNumber: z.string() }),
});

export const tell = task({ name: 'tell', input: z.object({ to: z.string(), text: z.string() }), output: z.void() });

export const purchase = workflow({ name: 'purchase', input: Purchase }, (w, input) => {
  const manager = w.approve('manager', { who: ['manager'], show: input, form: Form, timeout: '2d', onTimeout: 'skip' });
  // Only where the time of the manager ran out. A no of the manager is a failure: nobody else is asked.
  const director = w.approve('director', {
    who: ['director'],
    show: input,
    form: Form,
    timeout: '3d',
    after: [manager],
    join: 'all_skipped',
  });

  const yes = w.run('yes', { manager: w.optional(manager), director: w.optional(director) }, ({ manager, director }) => {
    const answer = manager ?? director;
    // Where an operator has skipped both.
    if (answer === undefined) throw new NonRetryableError('Nobody has said yes.');
    return { approvedBy: answer.by, costCentre: answer.form.costCentre };
  });
  const order = w.run(placeOrder, { purchase: input, costCentre: yes.costCentre, approvedBy: yes.approvedBy });

  const news = w.run('news', { what: input.what, ends: w.settle({ manager, director, yes, order }) }, ({ what, ends }) => {
    if (ends.order.status === 'success') return `${what}: ordered, ${ends.order.value.orderNumber}`;
    const [why] = [ends.manager, ends.director, ends.yes, ends.order].flatMap((end) =>
      end.status === 'failed' ? [end.error.message] : [],
    );
    return `${what}: not ordered. ${why ?? ends.order.status}`;
  });
  w.run(tell, { to: input.requester, text: news });
  return { orderNumber: order.orderNumber };
});
