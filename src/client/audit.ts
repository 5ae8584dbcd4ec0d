import { PawlError } from '../core/errors.ts';
import { shown } from '../core/graph/problems.ts';
import { runIdText } from '../core/ids.ts';
import type { Store } from '../store/store.ts';
import { subjectOf, type ActSubject } from './operator-acts.ts';

/** An act of a person. */
export interface AuditEntry {
  readonly at: Date;
  readonly actor: string;
  readonly action: string;
  /** What it was done to: a run, which may be gone, or what `on` names. */
  readonly runId?: string;
  readonly on?: ActSubject;
  readonly requestId?: string;
  readonly note?: string;
  /** What was asked for. */
  readonly facts: unknown;
}

export interface AuditQuery {
  readonly run?: string;
  /** What was done to one queue, workflow, limit or schedule: `'queue:media'`. */
  readonly on?: string;
  /** At most 500; default 50. */
  readonly limit?: number;
  readonly cursor?: string;
}

export async function auditPage(
  store: Store,
  run: number | undefined,
  query: AuditQuery,
): Promise<{ readonly entries: readonly AuditEntry[]; readonly next?: string }> {
  const { limit = 50, cursor, on } = query;
  if (on !== undefined && (run !== undefined || subjectOf(on) === null))
    throw new PawlError(
      'CONFIG_OPTION',
      `on: give queue:, workflow:, limit: or schedule: with a name, and no run beside it, not ${shown(on)}.`,
    );
  if (!Number.isInteger(limit) || limit < 1 || limit > 500)
    throw new PawlError('CONFIG_OPTION', 'limit: give a whole number from 1 to 500.');
  if (cursor !== undefined && !/^\d{1,15}$/.test(cursor)) throw new PawlError('CONFIG_OPTION', 'cursor: none of a list of acts.');
  const rows = await store.audit({
    limit: limit + 1,
    ...(run === undefined ? {} : { run }),
    ...(on === undefined ? {} : { subject: on }),
    ...(cursor === undefined ? {} : { before: Number(cursor) }),
  });
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  return {
    entries: page.map(({ at, actor, action, uid, subject, request, note, facts }) => ({
      at: new Date(at),
      actor,
      action,
      ...(uid === null ? {} : { runId: runIdText(uid) }),
      ...onOf(subject),
      ...(request === null ? {} : { requestId: request }),
      ...(note === null ? {} : { note }),
      facts: JSON.parse(facts) as unknown,
    })),
    ...(rows.length > limit && last !== undefined ? { next: String(last.id) } : {}),
  };
}

function onOf(subject: string | null): { readonly on?: ActSubject } {
  const on = subject === null ? null : subjectOf(subject);
  return on === null ? {} : { on };
}
