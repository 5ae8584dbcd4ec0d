/** What the tests of the examples share. */
import { expect } from 'vitest';

/** What takes weeks of virtual time takes less than a second of ours. */
export async function withinASecond(work: () => Promise<void>): Promise<void> {
  const since = performance.now();
  await work();
  expect(performance.now() - since).toBeLessThan(1_000);
}
