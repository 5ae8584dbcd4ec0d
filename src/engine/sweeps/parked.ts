import type { Outcome } from '../../core/kernel/turn.ts';
import type { SweepContext } from './sweep.ts';

const AT_ONCE = 100;

/** Applies what arrived for a run while it was quarantined. What is set aside again meanwhile stays. */
export async function applyParked({ store, committer }: Pick<SweepContext, 'store' | 'committer'>, run: number): Promise<void> {
  const parked = await store.parked(run);
  for (const { node, item, token, outcome } of parked) await committer.outcome(run, { node, item, token }, JSON.parse(outcome) as Outcome);
  const last = parked.at(-1);
  if (last !== undefined) await store.unpark(run, last.id);
}

/** Runs whose releaser died before it had done so: their attempts are over, and no lease will ever tell. */
export async function applyStranded(context: SweepContext): Promise<void> {
  for (const run of await context.store.strandedRuns(AT_ONCE)) await applyParked(context, run);
}
