/**
 * Payloads: values as they are stored, and back. `encode` describes the format; the rest of the codec's public face is here.
 */
import { TAGGED_START } from './encode.ts';
import { PawlError } from '../errors.ts';
import { errorFields, fromBase64, hrefOf, kindOf, makeError, makeUrl } from './rich.ts';
import type { ErrorFields } from './rich.ts';

export { canonical } from './canonical.ts';
export { encode } from './encode.ts';
export type { EncodeOptions } from './encode.ts';
export { readPath } from './path.ts';

/** The value of a stored text; no text (NULL) is the value undefined. Throws `STORE_CORRUPT` where `encode` did not write it. */
export function decode(text: string | undefined | null): unknown {
  if (text === undefined || text === null) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return text.startsWith(TAGGED_START) ? revived(value) : value;
  } catch (cause) {
    const why = cause instanceof Unreadable ? cause.message : 'it is not JSON, or a value in it has not the form of its type';
    // The text is not shown: payloads may be secret.
    throw new PawlError('STORE_CORRUPT', `A stored payload of ${text.length} characters cannot be read: ${why}.`, { cause });
  }
}

class Unreadable extends Error {}

type Container = Record<string, unknown>;

function isContainer(value: unknown): value is Container {
  return typeof value === 'object' && value !== null;
}

function revived(stored: unknown): unknown {
  if (!isContainer(stored) || !isContainer(stored['$tags']) || !Object.hasOwn(stored, '$value')) throw new Unreadable('$value is missing');
  const tags = stored['$tags'];
  const root: Container = { '': stored['$value'] };
  // The insides of a Map before the Map: what is inside has the longer pointer.
  for (const pointer of Object.keys(tags).toSorted((a, b) => b.length - a.length)) revive(root, pointer, tags[pointer]);
  return root[''];
}

/** Through own properties only: a table that names `/constructor/prototype` finds nothing. */
function revive(root: Container, pointer: string, tag: unknown): void {
  const steps = pointer.split('/');
  const last = unescaped(steps.pop() ?? '');
  let at: unknown = root;
  for (const step of steps) at = own(at, unescaped(step), pointer);
  const form = own(at, last, pointer);
  (at as Container)[last] = valueOf(tag, form, pointer);
}

function own(container: unknown, key: string, pointer: string): unknown {
  if (!isContainer(container) || !Object.hasOwn(container, key)) throw new Unreadable(`$tags names ${pointer}, which is not there`);
  return container[key];
}

function unescaped(step: string): string {
  return step.includes('~') ? step.replaceAll('~1', '/').replaceAll('~0', '~') : step;
}

function valueOf(tag: unknown, form: unknown, pointer: string): unknown {
  const value = typeof form === 'string' ? fromText(tag, form) : fromStructure(tag, form);
  if (value === undefined && tag !== 'undefined') throw new Unreadable(`at ${pointer} stands no ${String(tag)}`);
  return value;
}

function fromText(tag: unknown, form: string): unknown {
  switch (tag) {
    case 'Date': {
      const date = new Date(form);
      return Number.isNaN(date.getTime()) ? undefined : date;
    }
    case 'bigint':
      return form === '' ? undefined : BigInt(form);
    case 'Uint8Array':
      return fromBase64(form);
    case 'URL':
      return makeUrl(form);
    default:
      return refuse(tag);
  }
}

function fromStructure(tag: unknown, form: unknown): unknown {
  switch (tag) {
    case 'undefined':
      return form === null ? undefined : refuse(tag);
    case 'Map':
      return isPairs(form) ? new Map(form) : undefined;
    case 'Set':
      return Array.isArray(form) ? new Set<unknown>(form) : undefined;
    case 'Error':
      return isErrorFields(form) ? makeError(form) : undefined;
    default:
      return refuse(tag);
  }
}

function refuse(tag: unknown): never {
  throw new Unreadable(`${typeof tag === 'string' ? tag : 'a tag'} is unknown, or has another form`);
}

function isPairs(form: unknown): form is [unknown, unknown][] {
  return Array.isArray(form) && form.every((pair) => Array.isArray(pair) && pair.length === 2);
}

function isErrorFields(form: unknown): form is ErrorFields {
  return isContainer(form) && typeof form['name'] === 'string' && typeof form['message'] === 'string';
}

/** A deep copy of a decoded value, with the same types. */
export function clone<T>(value: T): T;
export function clone(value: unknown): unknown {
  return typeof value === 'object' && value !== null ? cloned(value) : value;
}

function cloned(value: object): unknown {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype) return clonedRecord(value as Container);
  if (prototype === Array.prototype) return (value as unknown[]).map(clone);
  switch (kindOf(value)) {
    case 'object':
      return clonedRecord(value as Container);
    case 'array':
      return (value as unknown[]).map(clone);
    case 'Date':
      return new Date((value as Date).getTime());
    case 'Map':
      return new Map([...(value as Map<unknown, unknown>)].map(([key, item]) => [clone(key), clone(item)]));
    case 'Set':
      return new Set([...(value as Set<unknown>)].map(clone));
    case 'Uint8Array':
      return new Uint8Array(value as Uint8Array);
    case 'URL':
      return makeUrl(hrefOf(value));
    case 'Error': {
      const fields = errorFields(value as Error);
      return makeError(fields.cause === undefined ? fields : { ...fields, cause: clone(fields.cause) });
    }
    case undefined:
      throw new PawlError('ENGINE_BROKEN', 'clone: the value did not come out of the codec.');
  }
}

/** Spread takes own keys only and keeps a key `__proto__` one. */
function clonedRecord(value: Container): Container {
  const copy = { ...value };
  for (const key in copy) {
    const item = copy[key];
    if (typeof item === 'object' && item !== null && Object.hasOwn(copy, key)) copy[key] = cloned(item);
  }
  return copy;
}
