/** The graph and its contracts: an order whose steps are undone when a later one fails. */
import { z } from 'zod';
import { task, workflow } from '../../src/index.ts';

const Line = z.object({ sku: z.string(), qty: z.number().int().positive() });
const Order = z.object({ id: z.string(), cents: z.number().int().positive(), lines: z.array(Line).min(1) });

const Hold = Line.extend({ orderId: z.string() });
const Held = z.object({ holdId: z.string() });
const Charge = z.object({ orderId: z.string(), cents: z.number().int() });
const Charged = z.object({ paymentId: z.string() });

/** What undoes a task gets what the task got and gave. */
const undoing = <I extends z.ZodType, O extends z.ZodType>(input: I, output: O) => z.object({ input, output });

export const reserve = task({ name: 'reserve', input: Hold, output: Held, retry: { maxAttempts: 5, initial: '1s' } });
export const charge = task({ name: 'charge', input: Charge, output: Charged, timeout: '30s' });
export const ship = task({
  name: 'ship',
  input: z.object({ orderId: z.string(), holds: z.array(Held) }),
  output: z.object({ tracking: z.string() }),
  retry: { maxAttempts: 3, initial: '1m', on: [{ match: 'NO_SUCH_ADDRESS', action: 'fail' }] },
});

// Undoing is tried for longer than doing: what stays undone needs a person.
const patient = { maxAttempts: 10, initial: '1s', maxDelay: '10m' } as const;
export const release = task({ name: 'release', input: undoing(Hold, Held), output: z.void(), retry: patient });
export const refund = task({ name: 'refund', input: undoing(Charge, Charged), output: z.void(), retry: patient });

export const order = workflow({ name: 'order', input: Order }, (w, input) => {
  const holds = w.map(input.lines, reserve, (line) => ({ orderId: input.id, sku: line.sku, qty: line.qty }), {
    key: (line) => line.sku,
    compensate: release,
  });
  const payment = w.run(charge, { orderId: input.id, cents: input.cents }, { after: [holds], compensate: refund });
  const parcel = w.run(ship, { orderId: input.id, holds }, { after: [payment] });
  return { paymentId: payment.paymentId, tracking: parcel.tracking };
});
