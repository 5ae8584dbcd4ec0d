import { PawlError } from '../errors.ts';

/** While a check looks at a whole module, whoever cannot be built is reported here. */
let report: ((error: PawlError) => void) | null = null;

/** While `work` goes on, a definition with problems is reported and stands empty, so that the problems of those behind it are found too. */
export async function collectInvalid<T>(work: () => Promise<T>, onInvalid: (error: PawlError) => void): Promise<T> {
  const before = report;
  report = onInvalid;
  try {
    return await work();
  } finally {
    report = before;
  }
}

/** What `build` makes; where it throws one of Pawl's errors during a check, what `empty` makes. */
export function buildOrReport<T>(build: () => T, empty: () => T): T {
  if (report === null) return build();
  try {
    return build();
  } catch (error) {
    if (!(error instanceof PawlError)) throw error;
    report(error);
    return empty();
  }
}
