import { PawlError } from '../core/errors.ts';
import { parseRunId, RUN_ID_LENGTH, runIdText } from '../core/ids.ts';
import type { RunRow, Store } from '../store/store.ts';

/** A prefix of an id is looked for among so many of the newest runs; the whole id finds any run. */
const PREFIX_AMONG = 10_000;
const SHORTEST_PREFIX = 2;
const CANDIDATES = 10;

export interface FindOptions {
  /** Runs of this workflow only. */
  readonly workflow?: string;
}

/**
 * The one run that a person means: by its id, by a prefix of the id, by the key that it holds, as `@last` or `@last:<workflow>`. Throws
 * `RUN_NOT_FOUND`, or `RUN_AMBIGUOUS` with the candidates.
 */
export async function findRun(store: Store, text: string, { workflow }: FindOptions = {}): Promise<RunRow> {
  const last = /^@last(?::(.+))?$/s.exec(text);
  if (last !== null) return newestRun(store, last[1] ?? workflow);
  const uid = parseRunId(text);
  const whole = uid === null ? null : await store.findRun(uid);
  if (whole !== null) return whole;
  const found = new Map((await store.holdersOf(text, workflow ?? null)).map((row) => [row.run, row]));
  for (const row of await byPrefix(store, text)) {
    if (workflow === undefined || row.workflow === workflow) found.set(row.run, row);
  }
  const [one, ...others] = found.values();
  if (one === undefined)
    throw notFound(`There is no run ${JSON.stringify(text.slice(0, 60))}: neither an id, nor the start of one, nor a key.`);
  if (others.length > 0) throw ambiguous(text, [one, ...others]);
  return one;
}

async function newestRun(store: Store, workflow: string | undefined): Promise<RunRow> {
  const [row] = await store.listRuns({ limit: 1, ...(workflow === undefined ? {} : { workflow }) });
  if (row === undefined)
    throw notFound(workflow === undefined ? 'There is no run yet.' : `There is no run of "${workflow.slice(0, 60)}" yet.`);
  return row;
}

/** The random part of an id stands first in its text and last in its bytes, so a prefix is no range of the index. */
async function byPrefix(store: Store, prefix: string): Promise<RunRow[]> {
  if (prefix.length < SHORTEST_PREFIX || prefix.length >= RUN_ID_LENGTH || !/^[0-9a-hjkmnp-tv-z]+$/.test(prefix)) return [];
  const uids = (await store.newestIds(PREFIX_AMONG)).filter((uid) => runIdText(uid).startsWith(prefix));
  const rows = await Promise.all(uids.slice(0, CANDIDATES + 1).map((uid) => store.findRun(uid)));
  return rows.filter((row) => row !== null);
}

const notFound = (message: string): PawlError => new PawlError('RUN_NOT_FOUND', message);

function ambiguous(text: string, rows: readonly RunRow[]): PawlError {
  const candidates = rows.slice(0, CANDIDATES).map((row) => ({
    id: runIdText(row.uid),
    workflow: row.workflow,
    status: row.status,
    ...(row.key === null ? {} : { key: row.key }),
  }));
  const named = candidates.map(({ id, workflow, status, key }) => `\n  ${id} ${workflow} ${status}${key === undefined ? '' : ` ${key}`}`);
  const more = rows.length > CANDIDATES ? '\n  and more' : '';
  return new PawlError('RUN_AMBIGUOUS', `${JSON.stringify(text.slice(0, 60))} may be several runs:${named.join('')}${more}`, {
    details: { candidates },
  });
}
