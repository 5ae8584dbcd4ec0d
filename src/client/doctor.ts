import type { PawlError } from '../core/errors.ts';
import type { FileFacts, StoreFacts } from '../store/care.ts';
import type { WorkerRow, WriterFacts } from '../store/store.ts';

/** One thing that was looked at. */
export interface Check {
  readonly name: string;
  readonly status: 'ok' | 'warn' | 'fail';
  readonly detail: string;
  /** What to do; where something is to be done. */
  readonly fix?: string;
}

export interface Findings {
  readonly facts: StoreFacts;
  readonly workers: readonly WorkerRow[];
  /** The machine's clock, which need not be the store's. */
  readonly now: number;
  readonly node: string;
  /** Schedules that were due some time ago, and that nobody has looked at. */
  readonly late?: readonly { readonly name: string; readonly workflow: string; readonly nextAt: number }[];
  /** Queued tasks that no live worker can run. */
  readonly unserved: readonly string[];
  /** Null: the journal is kept for ever. */
  readonly journalMs: number | null;
}

const CLOCK_OFF_MS = 5_000;
const MANY_WAL_BYTES = 256 * 2 ** 20;
const LITTLE_SPACE = 2 ** 30;
const NO_SPACE = 64 * 2 ** 20;
const LONG_WAIT_MS = 600_000;
/** So long after a journal row is past its retention a sweep should have cut it. */
const PRUNE_LATE_MS = 86_400_000;

/** File systems whose locks another machine keeps, or does not keep. */
const NETWORK =
  /^(nfs\d?|cifs|smb\d?|smbfs|9p|afs|ceph|glusterfs|lustre|beegfs|ocfs2|gfs2|fuse\.(sshfs|s3fs|rclone|glusterfs|ceph|gcsfuse|goofys))$/;

const check = (name: string, status: Check['status'], detail: string, fix?: string): Check => ({
  name,
  status,
  detail,
  ...(fix === undefined ? {} : { fix }),
});

/** What is to be said of a store and those who work on it. */
export function diagnose(findings: Findings): Check[] {
  const { facts, node } = findings;
  return [
    check('versions', 'ok', `Node ${node}, SQLite ${facts.library}`),
    schemaCheck(facts),
    ...(facts.file === null ? [check('file', 'ok', 'in memory: gone with the process')] : fileChecks(facts.file)),
    durabilityCheck(facts),
    ...(facts.writer === undefined ? [] : [writerCheck(facts.writer)]),
    integrityCheck(facts),
    clockCheck(findings),
    workerCheck(findings),
    facts.quarantined === 0
      ? check('quarantine', 'ok', 'no run is set aside')
      : check('quarantine', 'warn', `${facts.quarantined} set aside`, 'Read `quarantined` of these runs: it says what is wrong with each.'),
    scheduleCheck(findings),
    queueCheck(findings),
    placementCheck(findings),
    journalCheck(findings),
  ];
}

function scheduleCheck({ late = [], now }: Findings): Check {
  const first = late[0];
  if (first === undefined) return check('schedules', 'ok', 'none is late');
  const others = late.length === 1 ? '' : ` and ${late.length - 1} more`;
  return check(
    'schedules',
    'warn',
    `${first.name}${others} was due ${Math.round((now - first.nextAt) / 1_000)} s ago`,
    `Run a worker that registers the workflow ${JSON.stringify(first.workflow)}: only such a one starts its runs.`,
  );
}

function writerCheck({ in: place, flushMs, refused }: WriterFacts): Check {
  const where = place === 'main' ? 'in the main thread' : 'in a thread of its own';
  const detail = flushMs === null ? where : `${where}; a flush took ${flushMs.toFixed(1)} ms`;
  if (refused === undefined) return check('writer', 'ok', detail);
  return check(
    'writer',
    'warn',
    `${detail}; no thread could be started: ${refused}`,
    'Let the process start threads: each commit holds up its event loop.',
  );
}

/** All that can be said where the store cannot be read. */
export const unreadable = ({ code, message, fix }: PawlError): Check => check('store', 'fail', `${code}: ${message}`, fix);

function schemaCheck({ schema, knownSchema }: StoreFacts): Check {
  const detail = `version ${schema}`;
  if (schema === knownSchema) return check('schema', 'ok', detail);
  const fix =
    schema < knownSchema ? 'Open it with write access once: that migrates it.' : 'Run the version of Pawl that wrote it, or a newer one.';
  return check('schema', 'fail', `${detail}; this version of Pawl knows ${knownSchema}`, fix);
}

function fileChecks({ path, bytes, walBytes, mode, folderMode, freeBytes, fileSystem }: FileFacts): Check[] {
  const checks = [
    check('file', 'ok', `${path}, ${size(bytes)}`),
    permissionCheck(mode, folderMode),
    check(
      'wal',
      walBytes > MANY_WAL_BYTES ? 'warn' : 'ok',
      size(walBytes),
      walBytes > MANY_WAL_BYTES ? 'Find the process that keeps a read transaction open: the WAL shrinks when it ends.' : undefined,
    ),
  ];
  if (fileSystem !== null) checks.push(fileSystemCheck(fileSystem));
  if (freeBytes !== null) checks.push(spaceCheck(freeBytes));
  return checks;
}

/** A folder that others may read shows no payload; one that they may write lets them put another file in the store's place. */
function permissionCheck(mode: number, folderMode: number): Check {
  const octal = (bits: number): string => bits.toString(8).padStart(4, '0');
  const detail = `file ${octal(mode)}, folder ${octal(folderMode)}`;
  if ((mode & 0o077) !== 0)
    return check('permissions', 'warn', detail, 'chmod 600 the file: others on this machine may read its payloads.');
  if ((folderMode & 0o022) !== 0)
    return check('permissions', 'warn', detail, 'chmod 700 the folder: others on this machine may replace the file.');
  return check('permissions', 'ok', detail);
}

const fileSystemCheck = (type: string): Check =>
  NETWORK.test(type)
    ? check('file system', 'fail', `${type}, a network mount`, 'Move the store to a local disk: locks over a network lose data.')
    : check('file system', 'ok', type);

function spaceCheck(free: number): Check {
  const status = free < NO_SPACE ? 'fail' : free < LITTLE_SPACE ? 'warn' : 'ok';
  return check('disk space', status, `${size(free)} free`, status === 'ok' ? undefined : 'Free space: a full disk stops every commit.');
}

const durabilityCheck = ({ syncsCommits }: StoreFacts): Check =>
  check(
    'durability',
    'ok',
    syncsCommits ? 'full: every commit is synced' : 'fast: a power loss may take what came since the last checkpoint',
  );

function integrityCheck({ damage }: StoreFacts): Check {
  if (damage === null) return check('integrity', 'ok', 'not checked: ask for a full check');
  if (damage.length === 0) return check('integrity', 'ok', 'the whole file was checked');
  return check('integrity', 'fail', damage.join('; '), 'Stop every process on this file and restore the last backup.');
}

function clockCheck({ facts, now }: Findings): Check {
  const ahead = facts.clock - now;
  if (ahead <= CLOCK_OFF_MS) return check('clock', 'ok', "the machine's clock is not behind what is stored");
  return check(
    'clock',
    'warn',
    `the machine's clock is ${duration(ahead)} behind what is stored`,
    'Set the clock: until then store time stands still.',
  );
}

function workerCheck({ workers, now }: Findings): Check {
  const fenced = workers.filter((worker) => worker.fenced || worker.leaseUntil < now);
  const live = workers.filter((worker) => !fenced.includes(worker));
  const wedged = live.filter((worker) => worker.wedged);
  const detail = `${live.length} live, ${wedged.length} wedged, ${fenced.length} gone and not yet taken back`;
  if (wedged.length > 0) return check('workers', 'warn', detail, `Look at ${names(wedged)}: the main thread does not answer.`);
  if (live.length === 0 && fenced.length > 0)
    return check('workers', 'warn', detail, 'Start a worker: it takes back what the others held.');
  return check('workers', 'ok', detail);
}

const names = (workers: readonly WorkerRow[]): string => workers.map((worker) => worker.name).join(', ');

function queueCheck({ facts: { oldestQueuedAt }, workers, now }: Findings): Check {
  if (oldestQueuedAt === null) return check('queue', 'ok', 'nothing waits');
  const waited = now - oldestQueuedAt;
  const detail = `the oldest task has waited for ${duration(Math.max(0, waited))}`;
  const isServed = workers.some((worker) => !worker.fenced && worker.leaseUntil >= now);
  if (!isServed) return check('queue', 'warn', `${detail}, and no worker is live`, 'Start a worker.');
  if (waited <= LONG_WAIT_MS) return check('queue', 'ok', detail);
  return check('queue', 'warn', detail, 'Start more workers, or one that has the body of this task.');
}

function placementCheck({ unserved }: Findings): Check {
  if (unserved.length === 0) return check('placement', 'ok', 'no task waits for a worker that is not there');
  const some = `${unserved.slice(0, 5).join(', ')}${unserved.length > 5 ? ` and ${unserved.length - 5} more` : ''}`;
  return check(
    'placement',
    'warn',
    `WORKER_NONE: no live worker for ${some}`,
    'Start a worker that has their code and serves their queue.',
  );
}

function journalCheck({ facts: { journal }, now, journalMs }: Findings): Check {
  if (journal === null) return check('journal', 'ok', 'empty');
  const detail = `rows ${journal.from} to ${journal.to}, over ${duration(journal.toAt - journal.fromAt)}, kept ${journalMs === null ? 'for ever' : `for ${duration(journalMs)}`}`;
  const isLate = journalMs !== null && journal.to > journal.from && now - journal.fromAt > journalMs + PRUNE_LATE_MS;
  return isLate ? check('journal', 'warn', detail, 'Run a worker, or prune: nobody has for a day.') : check('journal', 'ok', detail);
}

/** `1.2 MiB`. */
export function size(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = Math.min(units.length - 1, bytes < 1 ? 0 : Math.floor(Math.log2(bytes) / 10));
  return `${Math.round((bytes / 1_024 ** power) * 10) / 10} ${units[power]}`;
}

function duration(ms: number): string {
  const [most, name] = (
    [
      [86_400_000, 'd'],
      [3_600_000, 'h'],
      [60_000, 'min'],
      [1_000, 's'],
    ] as const
  ).find(([unit]) => ms >= unit) ?? [1, 'ms'];
  return `${Math.round((ms / most) * 10) / 10} ${name}`;
}
