import { readFileSync, realpathSync, statfsSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { FactsOptions, FileFacts, StoreFacts } from '../care.ts';
import { checkFile } from './check-file.ts';
import type { Connection } from '../sql/connection.ts';
import { journalSpan, oldestQueued } from '../sql/facts.ts';
import { one } from '../sql/program.ts';
import { SCHEMA } from './driver.ts';

/** `synchronous` of SQLite: FULL, and EXTRA above it. */
const FULL = 2;

export async function factsOf(connection: Connection, path: string, options: FactsOptions): Promise<StoreFacts> {
  const file = path === ':memory:' ? null : fileFacts(resolve(path));
  const isChecked = file !== null && options.checkUpTo !== null && file.bytes <= options.checkUpTo;
  const facts = await connection.read(function* (sql) {
    return {
      library: String((yield* one(sql.libraryVersion.get()))?.['version']),
      schema: Number((yield* one(sql.schemaVersion.get()))?.['user_version']),
      syncsCommits: Number((yield* one(sql.synchronous.get()))?.['synchronous']) >= FULL,
      quarantined: Number((yield* one(sql.countQuarantined.get()))?.['n']),
      oldestQueuedAt: yield* oldestQueued(sql),
      journal: yield* journalSpan(sql),
    };
  });
  return {
    kind: 'sqlite',
    file,
    knownSchema: SCHEMA,
    damage: isChecked ? (await checkFile(file.path, { immutable: false })).damage : null,
    clock: facts.journal?.toAt ?? 0,
    ...facts,
  };
}

function fileFacts(path: string): FileFacts {
  const { size, mode } = statSync(path);
  const folder = dirname(realpathSync(path));
  return {
    path,
    bytes: size,
    walBytes: statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0,
    mode: mode & 0o777,
    folderMode: statSync(folder).mode & 0o777,
    freeBytes: freeBytes(folder),
    fileSystem: fileSystemOf(folder),
  };
}

function freeBytes(folder: string): number | null {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize;
  } catch {
    return null;
  }
}

/** The type of the mount that the folder lies on; the last line of the longest mount point counts. */
export function fileSystemOf(folder: string, mounts = readMounts()): string | null {
  let found: { point: string; type: string } | null = null;
  for (const line of mounts.split('\n')) {
    const [before = '', after = ''] = line.split(' - ');
    const point = (before.split(' ')[4] ?? '').replaceAll(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));
    const type = after.split(' ')[0] ?? '';
    const isAbove = point === '/' || folder === point || folder.startsWith(`${point}/`);
    if (point !== '' && type !== '' && isAbove && point.length >= (found?.point.length ?? 0)) found = { point, type };
  }
  return found?.type ?? null;
}

function readMounts(): string {
  try {
    return readFileSync('/proc/self/mountinfo', 'utf8');
  } catch {
    return '';
  }
}
