import { PawlError } from '../core/errors.ts';
import { shown } from '../core/graph/problems.ts';
import type { VersionRow } from '../store/store.ts';

const SHOWN = 10;

/** The version of that name; throws `RUN_UNKNOWN_VERSION` where the store has none. */
export function namedVersion(workflow: string, version: string, versions: readonly VersionRow[]): VersionRow {
  const found = versions.find((one) => one.version === version);
  if (found !== undefined) return found;
  const known = versions.slice(-SHOWN).map((one) => one.version);
  const names = known.map((one) => JSON.stringify(one)).join(', ');
  throw new PawlError('RUN_UNKNOWN_VERSION', `Workflow ${shown(workflow)} has no version ${shown(version)} in this store.`, {
    details: { workflow, versions: known },
    fix: `Give one of ${names}${versions.length > SHOWN ? ', or an older one' : ''}; a version is stored when an engine registers it.`,
  });
}
