/** Looks after a store, or takes runs into it, and is killed while it does. */
import { readFileSync } from 'node:fs';
import type { RunDocument } from '../../src/core/documents/run-document.ts';
import type { Placed } from '../../src/store/acts.ts';
import { SqliteStore } from '../../src/store/sqlite/store.ts';
import { armKillSwitch, type KillPlan } from '../chaos/kill-switch.ts';
import { T0 } from './kit.ts';

export interface CrashTask {
  readonly path: string;
  readonly act: 'prune' | 'journal' | { readonly backup: string } | { readonly take: string } | { readonly release: readonly Placed[] };
  readonly kill: KillPlan | null;
}

const { path, act, kill } = JSON.parse(process.argv[2] ?? '') as CrashTask;
const store = new SqliteStore({ path, durability: 'full', patienceMs: 5_000 });
await store.open();
if (kill !== null) armKillSwitch(kill, () => 0, `${path}.kill`);
if (typeof act === 'object') {
  if ('backup' in act) await store.care.backup(act.backup);
  else if ('take' in act) await store.care.importRun(JSON.parse(readFileSync(act.take, 'utf8')) as RunDocument, T0);
  else {
    const [top] = act.release;
    const asked = { actor: 'ann', action: 'release', request: null, hash: 'h', facts: '{}', note: null, result: '{}' };
    await store.release(top?.run ?? 0, asked, T0, act.release);
  }
} else {
  const before = T0 + 1_000;
  for (let more = true; more;) {
    ({ more } =
      act === 'prune'
        ? await store.care.prune({ now: before, finishedBefore: before, failedBefore: before, rows: 60 })
        : await store.care.pruneJournal({ before, rows: 20 }));
  }
}
await store.close();
