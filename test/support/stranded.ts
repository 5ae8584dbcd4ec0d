import type { OpenCursor, Store } from '../../src/store/store.ts';

const allowed = new WeakSet<Store>();

/** Of this store a test has taken something away that would wake its runs. */
export function mayStrand(store: Store): void {
  allowed.add(store);
}

/** Open runs that nothing would ever wake, as text; none where the store cannot be read any more. */
export async function strandedRuns(store: Store): Promise<string[]> {
  if (allowed.has(store)) return [];
  const found: string[] = [];
  try {
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
