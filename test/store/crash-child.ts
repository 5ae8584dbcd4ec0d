/** Prunes or backs up a store, and is killed while it does. */
import { SqliteStore } from '../../src/store/sqlite/store.ts';
import { armKillSwitch, type KillPlan } from '../chaos/kill-switch.ts';
import { T0 } from './kit.ts';

export interface CrashTask {
  readonly path: string;
  readonly act: 'prune' | 'journal' | { readonly backup: string };
  readonly kill: KillPlan | null;
}

const { path, act, kill } = JSON.parse(process.argv[2] ?? '') as CrashTask;
const store = new SqliteStore({ path, durability: 'full', patienceMs: 5_000 });
await store.open();
if (kill !== null) armKillSwitch(kill, () => 0, `${path}.kill`);
if (typeof act === 'object') await store.care.backup(act.backup);
else {
  const before = T0 + 1_000;
  for (let more = true; more;) {
    ({ more } =
      act === 'prune'
        ? await store.care.prune({ now: before, finishedBefore: before, failedBefore: before, rows: 60 })
        : await store.care.pruneJournal({ before, rows: 20 }));
  }
}
await store.close();
