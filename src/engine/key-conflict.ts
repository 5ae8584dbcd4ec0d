import { PawlError } from '../core/errors.ts';
import { runIdText } from '../core/ids.ts';
import type { StoredDefinition } from '../store/store.ts';
import type { StartUnit } from './units.ts';

/** What is wrong with a start whose key another run holds; null where that run is the answer. */
export function keyConflict({ request }: StartUnit, inputHash: string): ((uid: Uint8Array) => PawlError) | null {
  const key = request.key;
  if (key === null) return null;
  if (request.rejectDuplicate) return (uid) => keyError('RUN_KEY_TAKEN', key.value, '', uid, request.known.stored);
  if (key.inputHash === inputHash) return null;
  return (uid) => keyError('RUN_KEY_CONFLICT', key.value, ', which was started with another input', uid, request.known.stored);
}

function keyError(
  code: 'RUN_KEY_TAKEN' | 'RUN_KEY_CONFLICT',
  key: string,
  more: string,
  uid: Uint8Array,
  stored: StoredDefinition,
): PawlError {
  return new PawlError(
    code,
    `The key ${JSON.stringify(key)} of workflow "${stored.workflow}" already belongs to run ${runIdText(uid)}${more}.`,
    {
      details: { key, run: runIdText(uid) },
    },
  );
}
