import type { SweepContext } from './sweep.ts';

const AT_ONCE = 100;

/** Children that ended while their parent was set aside: now it can be told. */
export async function tellParents({ store, committer }: Pick<SweepContext, 'store' | 'committer'>): Promise<void> {
  for (const run of await store.untold(AT_ONCE)) await committer.event(run, { type: 'tell' });
}
