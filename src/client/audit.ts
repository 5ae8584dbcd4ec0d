import { PawlError } from '../core/errors.ts';
import { runIdText } from '../core/ids.ts';
import type { Store } from '../store/store.ts';

/** An act of a person. */
export interface AuditEntry {
  readonly at: Date;
  readonly actor: string;
  readonly action: string;
  /** The run may be gone. */
  readonly runId: string;
  readonly requestId?: string;
  readonly note?: string;
  /** What was asked for. */
  readonly facts: unknown;
}

export interface AuditQuery {
  readonly run?: string;
  /** At most 500; default 50. */
  readonly limit?: number;
  readonly cursor?: string;
}

export async function auditPage(
  store: Store,
  run: number | undefined,
  query: AuditQuery,
): Promise<{ readonly entries: readonly AuditEntry[]; readonly next?: string }> {
  const { limit = 50, cursor } = query;
  if (!Number.isInteger(limit) || limit < 1 || limit > 500)
    throw new PawlError('CONFIG_OPTION', 'limit: give a whole number from 1 to 500.');
  if (cursor !== undefined && !/^\d{1,15}$/.test(cursor)) throw new PawlError('CONFIG_OPTION', 'cursor: none of a list of acts.');
  const rows = await store.audit({
    limit: limit + 1,
    ...(run === undefined ? {} : { run }),
    ...(cursor === undefined ? {} : { before: Number(cursor) }),
  });
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  return {
    entries: page.map(({ at, actor, action, uid, request, note, facts }) => ({
      at: new Date(at),
      actor,
      action,
      runId: runIdText(uid),
      ...(request === null ? {} : { requestId: request }),
      ...(note === null ? {} : { note }),
      facts: JSON.parse(facts) as unknown,
    })),
    ...(rows.length > limit && last !== undefined ? { next: String(last.id) } : {}),
  };
}
