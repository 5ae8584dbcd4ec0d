import { PawlError } from '../core/errors.ts';
import { parseRunId } from '../core/ids.ts';
import { checkRunDocument, type RunDocument } from '../core/documents/run-document.ts';
import type { Store } from '../store/store.ts';

export async function exportRun({ care }: Store, id: string): Promise<RunDocument> {
  const uid = parseRunId(id);
  const document = uid === null ? null : await care.exportRun(uid);
  if (document === null) throw new PawlError('RUN_NOT_FOUND', `There is no run ${JSON.stringify(id.slice(0, 60))} in this store.`);
  return document;
}

export async function importRun(
  { care }: Store,
  given: unknown,
  { now, digest }: { readonly now: number; readonly digest: (text: string) => string },
): Promise<{ readonly id: string; readonly run: number }> {
  const document = checkRunDocument(given, digest);
  return { id: document.id, run: await care.importRun(document, now) };
}
