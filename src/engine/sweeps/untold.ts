import { abandonedNotice } from '../../core/kernel/children.ts';
import { runIdText } from '../../core/ids.ts';
import type { SweepContext } from './sweep.ts';

const AT_ONCE = 100;

type Parts = Pick<SweepContext, 'store' | 'committer'>;

/** Children that ended while their parent was set aside, or were set aside themselves and failed by a person: now it can be told. */
export async function tellParents(parts: Parts): Promise<void> {
  for (const run of await parts.store.untold(AT_ONCE)) await tellParent(parts, run);
}

async function tellParent({ store, committer }: Parts, run: number): Promise<void> {
  const row = await store.runRow(run);
  if (row?.parent == null) return;
  if (row.reason !== 'marked_failed') {
    await committer.event(run, { type: 'tell' });
    return;
  }
  // Its own rows may say nothing that can be read: what the parent hears is in the run's row.
  const top = row.parent.run;
  const taken = await committer.event(top, abandonedNotice(row.parent, runIdText(row.uid), row.workflow));
  // A parent that was set aside meanwhile hears it later.
  if (taken || (await store.runRow(top))?.quarantined == null) await store.told(run);
}
