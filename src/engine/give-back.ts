import { advance } from '../core/kernel/advance.ts';
import { compileGraph } from '../core/kernel/compile.ts';
import type { KernelSettings } from '../core/kernel/turn.ts';
import { isBroken, type Store, type TaskKey } from '../store/store.ts';
import { stateFromRows } from './cache.ts';

/** Claims that never began go back to the queue, as a hand-back that costs nothing. Works without an engine: any thread with a store can. */
export async function giveBack(
  store: Store,
  claims: readonly (TaskKey & { readonly token: number })[],
  at: { readonly worker: number; readonly now: number; readonly settings: KernelSettings },
): Promise<void> {
  const { worker, now, settings } = at;
  const nothing = { now, worker, starts: [], runs: [], steps: [], logs: [], share: [], claim: null };
  for (const run of new Set(claims.map((claim) => claim.run))) {
    await store.commit({ ...nothing, share: [run] });
    for (let conflicts = 1; conflicts > 0;) {
      const [loaded] = await store.load([{ run, items: [] }]);
      const definition = loaded === undefined || isBroken(loaded) ? null : await store.definition(loaded.row.definition);
      if (loaded === undefined || isBroken(loaded) || definition === null) break;
      const graph = compileGraph(definition.graph);
      const state = stateFromRows(graph, loaded);
      const events = claims
        .filter((claim) => claim.run === run)
        .map(
          ({ node, item, token }) => ({ type: 'ended', node, item, token, outcome: { kind: 'released', began: false, ranMs: 0 } }) as const,
        );
      const changes = advance(graph, state, events, now, settings);
      const write = {
        firstBody: definition.firstBody,
        state,
        epoch: loaded.epoch,
        shared: true,
        act: null,
        move: null,
        cache: null,
        changes,
      };
      conflicts = (await store.commit({ ...nothing, runs: [write] })).conflicts.length;
    }
  }
}
