import { readFileSync, realpathSync, statfsSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { FactsOptions, FileFacts, StoreFacts } from '../care.ts';
import { checkFile } from './check-file.ts';
import type { Connection } from './connection.ts';
import { SCHEMA } from './driver.ts';
import type { Statements } from './statements.ts';

/** `synchronous` of SQLite: FULL, and EXTRA above it. */
const FULL = 2;

export async function factsOf(connection: Connection, options: FactsOptions): Promise<StoreFacts> {
  const sql = connection.sql();
  const file = connection.path === ':memory:' ? null : fileFacts(resolve(connection.path));
  const isChecked = file !== null && options.checkUpTo !== null && file.bytes <= options.checkUpTo;
  const facts = connection.read(() => ({
    library: String(sql.libraryVersion.get()?.['version']),
    schema: Number(sql.schemaVersion.get()?.['user_version']),
    syncsCommits: Number(sql.synchronous.get()?.['synchronous']) >= FULL,
    quarantined: Number(sql.countQuarantined.get()?.['n']),
    oldestQueuedAt: oldestQueued(sql),
    journal: journalSpan(sql),
  }));
  return {
    kind: 'sqlite',
    file,
    knownSchema: SCHEMA,
    damage: isChecked ? (await checkFile(file.path, { immutable: false })).damage : null,
    clock: facts.journal?.toAt ?? 0,
    ...facts,
  };
}

/** By body and rank, as a claim would find it: what is first in its queue has waited longest, but for priorities. */
function oldestQueued(sql: Statements): number | null {
  const found: number[] = [];
  for (let row = sql.nextQueuedBody.get(0); row !== undefined; row = sql.nextQueuedBody.get(Number(row['body'])))
    found.push(Number(sql.oldestQueued.get(Number(row['body']))?.['at']));
  for (let row = sql.nextUnclaimedDefinition.get(-1); row !== undefined;) {
    const definition = Number(row['definition']);
    const oldest = sql.oldestUnclaimed.get(definition);
    found.push(Number(oldest?.['startAt'] ?? oldest?.['at']));
    row = sql.nextUnclaimedDefinition.get(definition);
  }
  return found.length === 0 ? null : Math.min(...found);
}

function journalSpan(sql: Statements): StoreFacts['journal'] {
  const [first, last] = [sql.journalFrom.get(0), sql.journalHead.get()];
  if (first === undefined || last === undefined) return null;
  return { from: Number(first['seq']), fromAt: Number(first['at']), to: Number(last['seq']), toAt: Number(last['at']) };
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
