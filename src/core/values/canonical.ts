import { encode, MAX_DEPTH } from './encode.ts';
import { PawlError } from '../errors.ts';
import { errorFields, hrefOf, kindOf, toBase64 } from './rich.ts';
import type { Tag } from './rich.ts';

/**
 * JSON text that is equal for equal values, for hashing: keys sorted, entries of a Map and items of a Set sorted by their texts, properties
 * with the value undefined left out. What is not JSON stands as `{"$tag":["Date","…"]}`; a plain object with a key `$tag` is written as
 * `{"$tag":["object",{…}]}`. The stack of an error is left out: it says where, not what. Throws
 * `PAYLOAD_NOT_STORABLE` where `encode` does, but does not look into strings: take it of what was encoded.
 */
export function canonical(value: unknown): string {
  try {
    return write(value, 0);
  } catch (error) {
    if (error !== NOT_STORABLE) throw error;
    encode(value);
    throw new PawlError('ENGINE_BROKEN', 'canonical: the value is refused here, but can be stored.');
  }
}

const NOT_STORABLE = new Error('not storable');

function write(value: unknown, depth: number): string {
  switch (typeof value) {
    case 'string':
      return quoted(value);
    case 'number':
      if (!Number.isFinite(value)) throw NOT_STORABLE;
      return JSON.stringify(value);
    case 'boolean':
      return value ? 'true' : 'false';
    case 'bigint':
      return tagged('bigint', `"${value.toString()}"`);
    case 'undefined':
      return tagged('undefined', 'null');
    case 'object':
      if (value === null) return 'null';
      if (depth >= MAX_DEPTH) throw NOT_STORABLE;
      return writeObject(value, depth + 1);
    case 'function':
    case 'symbol':
      throw NOT_STORABLE;
  }
}

function tagged(tag: Tag | 'object', form: string): string {
  return `{"$tag":["${tag}",${form}]}`;
}

function writeObject(value: object, depth: number): string {
  const kind = kindOf(value);
  switch (kind) {
    case 'object': {
      const text = writeRecord(value as Record<string, unknown>, depth);
      return Object.hasOwn(value, '$tag') && (value as { $tag?: unknown }).$tag !== undefined ? tagged('object', text) : text;
    }
    case 'array':
      return `[${writeAll(value as unknown[], depth).join(',')}]`;
    case 'Map':
      return tagged(
        kind,
        `[${Array.from(value as Map<unknown, unknown>, (pair) => `[${writeAll(pair, depth).join(',')}]`)
          .toSorted()
          .join(',')}]`,
      );
    case 'Set':
      return tagged(
        kind,
        `[${writeAll([...(value as Set<unknown>)], depth)
          .toSorted()
          .join(',')}]`,
      );
    case 'Error': {
      const { stack: _, ...fields } = errorFields(value as Error);
      return tagged(kind, writeRecord(fields, depth));
    }
    case 'Date': {
      const at = value as Date;
      if (Number.isNaN(at.getTime())) throw NOT_STORABLE;
      return tagged(kind, `"${at.toISOString()}"`);
    }
    case 'Uint8Array':
      return tagged(kind, `"${toBase64(value as Uint8Array)}"`);
    case 'URL':
      return tagged(kind, JSON.stringify(hrefOf(value)));
    case undefined:
      throw NOT_STORABLE;
  }
}

function writeAll(items: readonly unknown[], depth: number): string[] {
  return Array.from(items, (item) => write(item, depth));
}

function writeRecord(value: Readonly<Record<string, unknown>>, depth: number): string {
  let text = '';
  for (const key of Object.keys(value).sort()) {
    const item = value[key];
    if (item !== undefined) text += `${text === '' ? '{' : ','}${quoted(key)}:${write(item, depth)}`;
  }
  return text === '' ? '{}' : `${text}}`;
}

/** As JSON.stringify; for short plain text, which most keys and values are, without that call: a third off the whole. */
function quoted(text: string): string {
  if (text.length > 64) return JSON.stringify(text);
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit < 0x20 || unit > 0x7e || unit === 0x22 || unit === 0x5c) return JSON.stringify(text);
  }
  return `"${text}"`;
}
