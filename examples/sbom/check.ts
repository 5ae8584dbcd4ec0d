/** What the demo checks after the end, each by another way than the one that made it. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import type { BodyRecord } from './log.ts';

export interface Expected {
  /** The worker that was killed; null where none was. */
  readonly killedPid: number | null;
  /** Units (see {@link unitOf}) that the store said had ended, when the killed worker was dead and no other one had begun. */
  readonly acknowledged: ReadonlySet<string>;
  /** Units that had ended when the run was over. */
  readonly ended: ReadonlySet<string>;
}

export interface Comparison {
  /** Bodies that began. */
  readonly began: number;
  readonly twice: readonly string[];
  /** Begun by the killed worker and not acknowledged: only these may run again. */
  readonly inFlight: readonly string[];
  /** Ran more often than that allows. */
  readonly repeated: readonly string[];
  /** Ended, says the store, but no body of theirs ever ended. */
  readonly unheard: readonly string[];
}

/** A task, or one item of a map. */
export function unitOf({ task, item }: { readonly task: string; readonly item: string | null }): string {
  return item === null ? task : `${task} ${item}`;
}

/** The bodies' own diary against what the store acknowledged. */
export function compareBodies(records: readonly BodyRecord[], { killedPid, acknowledged, ended }: Expected): Comparison {
  const units = new Map<string, { begins: number; ends: number; errors: number; inFlight: boolean }>();
  for (const record of records) {
    const name = unitOf(record);
    const unit = units.get(name) ?? { begins: 0, ends: 0, errors: 0, inFlight: false };
    units.set(name, unit);
    if (record.event === 'began') unit.begins++;
    else unit.ends++;
    if (record.outcome === 'error') unit.errors++;
    if (record.pid === killedPid && !acknowledged.has(name)) unit.inFlight = true;
  }
  const namesOf = (test: (unit: { begins: number; errors: number; inFlight: boolean }) => boolean): string[] =>
    [...units].filter(([, unit]) => test(unit)).map(([name]) => name);
  return {
    began: records.filter((record) => record.event === 'began').length,
    twice: namesOf((unit) => unit.begins > 1),
    inFlight: namesOf((unit) => unit.inFlight),
    // An error that is no refusal is tried again: that is the policy, not a repeat.
    repeated: namesOf((unit) => unit.begins > 1 + unit.errors + (unit.inFlight ? 1 : 0)),
    unheard: [...ended].filter((name) => (units.get(name)?.ends ?? 0) === 0),
  };
}

/** Counts packages without the scan's code: every path at once, and a pattern that says which of them is a package's manifest. */
export function countPackages(root: string, folders: readonly string[]): number {
  const isManifest = /^(?:(?:@[^/]+\/)?[^/.@][^/]*\/node_modules\/)*(?:@[^/]+\/)?[^/.@][^/]*\/package\.json$/;
  let count = 0;
  for (const folder of folders) {
    for (const path of pathsUnder(join(root, folder))) {
      if (isManifest.test(path.split(sep).join('/')) && hasNameAndVersion(join(root, folder, path))) count++;
    }
  }
  return count;
}

function pathsUnder(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, encoding: 'utf8' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

function hasNameAndVersion(file: string): boolean {
  try {
    const { name, version } = JSON.parse(readFileSync(file, 'utf8')) as { name?: unknown; version?: unknown };
    return typeof name === 'string' && typeof version === 'string' && name !== '' && version !== '';
  } catch {
    return false;
  }
}
