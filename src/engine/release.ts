import type { RunRow, Store } from '../store/store.ts';
import type { Placed } from '../store/acts.ts';
import { isPawlError, PawlError } from '../core/errors.ts';
import { runIdText } from '../core/ids.ts';
import { standingOf } from '../core/kernel/standing.ts';
import { ItemsNeeded } from '../core/kernel/values.ts';
import { isBroken } from '../store/store.ts';
import { stateFromRows } from './cache.ts';
import type { RunLoader } from './loader.ts';
import type { Registry } from './registry.ts';

interface Parts {
  readonly store: Store;
  readonly registry: Registry;
  readonly loader: RunLoader;
}

/**
 * Imported runs that go on with this one, itself included, each with its place among what is here; null where nobody can say its own. One
 * below it that cannot be read stays set aside. Throws `RUN_CANNOT_GO_ON`. Of a run that was not imported: none.
 */
export async function placeImported(parts: Parts, run: number): Promise<readonly Placed[] | null> {
  const row = await parts.store.runRow(run);
  if (row?.isImported !== true) return [];
  const above = row.parent === null ? null : await parts.store.runRow(row.parent.run);
  if (above?.isImported === true) {
    const [id, whole] = [runIdText(row.uid), runIdText(above.uid)];
    const message = `Run ${id} is a part of run ${whole}, which was imported with it: they go on together.`;
    throw new PawlError('RUN_CANNOT_GO_ON', message, { details: { run: whole } });
  }
  const placed: Placed[] = [];
  for (const one of await importedWith(parts.store, row)) {
    const place = await placeOf(parts, one);
    if (place !== null) placed.push(place);
    else if (one.run === run) return null;
  }
  return placed;
}

/** The run and the imported ones below it, level by level, whatever stands between them. */
export async function importedWith(store: Store, top: RunRow): Promise<readonly RunRow[]> {
  const rows = [top];
  for (const { run } of rows) rows.push(...(await store.childrenOf(run)));
  return rows.filter(({ isImported }) => isImported);
}

async function placeOf({ store, registry, loader }: Parts, { run, definition }: RunRow): Promise<Placed | null> {
  try {
    const known = await registry.learn(store, definition);
    if (known === null) throw new RangeError(`its definition, number ${definition}, is not in the store`);
    const read = async (items: readonly number[]): Promise<Placed> => {
      const [loaded] = await store.load([{ run, items }]);
      if (loaded === undefined || isBroken(loaded)) throw new RangeError(loaded?.broken ?? 'it is gone');
      try {
        return { run, ...standingOf(known.compiled, stateFromRows(known.compiled, loaded)) };
      } catch (error) {
        if (!(error instanceof ItemsNeeded) || items.length > 0) throw error;
        return read(loaded.maps.map(({ node }) => node));
      }
    };
    return await read([]);
  } catch (error) {
    // It says nothing of the run.
    if (isPawlError(error) && error.code.startsWith('STORE_')) throw error;
    await loader.setAside(run, [], error);
    return null;
  }
}

/** Throws `RUN_CANNOT_GO_ON`. */
export function refuseFull(row: RunRow | null, key: string | null): void {
  if (key === null || row === null) return;
  const [id, shown] = [runIdText(row.uid), JSON.stringify(key.slice(0, 100))];
  const message = `Run ${id} held the key ${shown} where it was exported, itself or by a run below it, and here it has no room.`;
  throw new PawlError('RUN_CANNOT_GO_ON', message, { details: { run: id, key } });
}
