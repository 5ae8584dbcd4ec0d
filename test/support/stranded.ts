import type { DatabaseSync } from 'node:sqlite';
import type { OpenCursor, Store } from '../../src/store/store.ts';
import { orphans } from './orphans.ts';

const allowed = new WeakSet<Store>();

/** Of this store a test has taken something away that would wake its runs. */
export function mayStrand(store: Store): void {
  allowed.add(store);
}

let isAllowedHere = false;

/** Of all stores of this file. */
export function mayStrandHere(): void {
  isAllowedHere = true;
}

/** Open runs that nothing would ever wake, and rows that do not belong together, as text; none where the store cannot be read any more. */
export async function strandedRuns(store: Store): Promise<string[]> {
  if (isAllowedHere || allowed.has(store)) return [];
  const found: string[] = [];
  try {
    // why: what the rows say of each other no method shows; a handle of its own would not see a store in memory
    const { db } = store as unknown as { readonly db: DatabaseSync | null };
    if (db !== null) found.push(...orphans(db));
    for (let after: OpenCursor | null = null, isLast = false; !isLast;) {
      const page: Awaited<ReturnType<Store['stuck']>> = await store.stuck(after, 1_000);
      found.push(...page.runs.map(({ run }) => `run ${run} is open, and nothing would ever wake it`));
      after = page.last;
      isLast = after === null;
    }
  } catch {
    // The test has broken or closed the store itself.
    return [];
  }
  return found;
}
