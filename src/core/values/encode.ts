import { PawlError } from '../errors.ts';
import { pathText, quoted } from './path.ts';
import type { PathStep } from './path.ts';
import { errorFields, hrefOf, kindOf, setOwn, toBase64 } from './rich.ts';
import type { Tag } from './rich.ts';

/** Containers inside each other. */
export const MAX_DEPTH = 64;
/** Keys of one object. */
export const MAX_KEYS = 10_000;
/** The highest `maxPayload` that can be set, and what holds where no limit is given. */
export const MAX_PAYLOAD_BYTES = 64 * 1_048_576;

/** How a text starts that has a tag table: see {@link encode}. */
export const TAGGED_START = '{"$tags":';

export interface EncodeOptions {
  /** UTF-8 bytes of the stored text. */
  readonly maxBytes?: number;
  /** What messages call the value: `output` gives `output.lines[3].at`. */
  readonly root?: string;
}

const NO_OPTIONS: EncodeOptions = {};

/**
 * The text that is stored for a value; undefined (NULL) for the value undefined.
 *
 * Plain JSON data is stored as `JSON.stringify` gives it. Where something else is in it, the text is
 * `{"$tags":{"/lines/0/at":"Date"},"$value":…}`: `$value` holds the JSON forms of rich.ts, `$tags` says with JSON Pointers (RFC 6901) which
 * of them stand for what. A plain object with a key `$tags` at its root is wrapped too, with an empty table, so that the first characters
 * of a text tell the two apart. As in JSON, properties with the value undefined, symbol keys and what is not enumerable are dropped.
 *
 * Two ways lead to the text. Almost every payload is plain: one quick look over it, without paths, then the engine's own JSON.stringify.
 * Whatever looks unusual there goes the second way, which knows where it is, builds the table, or says what cannot be stored.
 */
export function encode(value: unknown, options: EncodeOptions = NO_OPTIONS): string | undefined {
  if (value === undefined) return undefined;
  const maxBytes = options.maxBytes ?? MAX_PAYLOAD_BYTES;
  const text = plainText(value, maxBytes) ?? writtenText(value, maxBytes, options.root ?? 'value');
  // At most three bytes for each UTF-16 unit.
  if (text.length * 3 > maxBytes) {
    const bytes = utf8Bytes(text);
    if (bytes > maxBytes) throw tooLarge(options.root ?? 'value', bytes, maxBytes);
  }
  return text;
}

/** The first way; undefined means: take the second. */
function plainText(value: unknown, maxBytes: number): string | undefined {
  room = maxBytes;
  try {
    if (hasTagsKey(value) || !isPlain(value, 0)) return undefined;
    const text = JSON.stringify(value);
    return mayHoldBadText(text) ? undefined : text;
  } catch {
    // A getter or proxy that throws: the second way says where.
    return undefined;
  }
}

function writtenText(value: unknown, maxBytes: number, root: string): string {
  const text = new Writer(root, maxBytes, false).text(value);
  return mayHoldBadText(text) ? new Writer(root, maxBytes, true).text(value) : text;
}

/**
 * NUL and lone surrogates leave JSON.stringify as \u0000 and \udXXX: one search replaces a look at each string. Other things are written
 * so too (\u001b), so that finding it only means that the strings must be looked at.
 */
function mayHoldBadText(text: string): boolean {
  return text.includes('\\u');
}

function hasTagsKey(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, '$tags') && (value as { $tags?: unknown }).$tags !== undefined;
}

/** Bytes that {@link isPlain} may still see. A variable of the module, so that the recursion allocates nothing. */
let room = 0;

function isPlain(value: unknown, depth: number): boolean {
  switch (typeof value) {
    case 'string':
      return (room -= value.length + 2) >= 0;
    case 'number':
      room -= 1;
      return Number.isFinite(value);
    case 'boolean':
      room -= 4;
      return true;
    case 'object':
      return value === null || (depth < MAX_DEPTH && isPlainContainer(value, depth + 1));
    case 'undefined':
    case 'bigint':
    case 'function':
    case 'symbol':
      return false;
  }
}

function isPlainContainer(value: object, depth: number): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Array.prototype) return isPlainArray(value as unknown[], depth);
  if (prototype !== Object.prototype && prototype !== null) return false;
  let keys = 0;
  // for-in makes no list of the keys. What it would see on a polluted prototype only costs the way round.
  for (const key in value) {
    const item = (value as Record<string, unknown>)[key];
    if (++keys > MAX_KEYS) return false;
    if (item === undefined) continue;
    room -= key.length + 4;
    if (!isPlain(item, depth)) return false;
  }
  return room >= 0;
}

function isPlainArray(value: readonly unknown[], depth: number): boolean {
  room -= value.length;
  if (room < 0) return false;
  for (let at = 0; at < value.length; at++) {
    if (!isPlain(value[at], depth)) return false;
  }
  return true;
}

/** A step as the pointer has it (`wire`) and as messages show it. */
type Step = string | number | { readonly wire: number; readonly shown: string };

/** The second way: a copy of the value in JSON forms, the tag table, and an error with the path where something cannot be stored. */
class Writer {
  readonly #root: string;
  readonly #maxBytes: number;
  readonly #looksAtText: boolean;
  readonly #steps: Step[] = [];
  readonly #ancestors: object[] = [];
  readonly #tags: Record<string, Tag> = {};
  #tagged = false;
  /** Of the text, seen so far: never more than it will have. */
  #bytes = 0;

  constructor(root: string, maxBytes: number, looksAtText: boolean) {
    this.#root = root;
    this.#maxBytes = maxBytes;
    this.#looksAtText = looksAtText;
  }

  text(value: unknown): string {
    try {
      const body = JSON.stringify(this.#form(value));
      return this.#tagged || hasTagsKey(value) ? `${TAGGED_START}${JSON.stringify(this.#tags)},"$value":${body}}` : body;
    } catch (error) {
      if (error instanceof PawlError) throw error;
      // Steps were not taken back: they still say where.
      return this.#refuse(`something that throws when it is read (${quoted(thrownText(error))})`);
    }
  }

  #form(value: unknown): unknown {
    switch (typeof value) {
      case 'string':
        this.#text(value, 'string');
        return value;
      case 'number':
        if (!Number.isFinite(value)) this.#refuse(String(value));
        this.#count(1);
        return value;
      case 'boolean':
        this.#count(4);
        return value;
      case 'bigint': {
        this.#tag('bigint');
        const digits = value.toString();
        this.#count(digits.length + 2);
        return digits;
      }
      case 'undefined':
        this.#tag('undefined');
        this.#count(4);
        return null;
      case 'object':
        return value === null ? null : this.#object(value);
      case 'function':
        return this.#refuse('a function');
      case 'symbol':
        return this.#refuse('a symbol');
    }
  }

  #object(value: object): unknown {
    if (this.#ancestors.includes(value)) this.#refuse('a cyclic reference');
    if (this.#ancestors.length >= MAX_DEPTH) this.#refuse(`something nested deeper than ${MAX_DEPTH}`);
    this.#ancestors.push(value);
    const form = this.#formOf(value);
    this.#ancestors.pop();
    return form;
  }

  #formOf(value: object): unknown {
    const kind = kindOf(value);
    if (kind === undefined) return this.#refuse(instanceName(value));
    if (kind === 'object') return this.#record(value as Record<string, unknown>);
    if (kind === 'array') return this.#list(value as unknown[]);
    this.#tag(kind);
    switch (kind) {
      case 'Map':
        return this.#map(value as Map<unknown, unknown>);
      case 'Set':
        return this.#list([...(value as Set<unknown>)], (at) => ({ wire: at, shown: `<item ${at}>` }));
      case 'Error':
        return this.#record({ ...errorFields(value as Error) });
      case 'Date': {
        const at = value as Date;
        if (Number.isNaN(at.getTime())) this.#refuse('an invalid Date');
        this.#count(26);
        return at.toISOString();
      }
      case 'Uint8Array': {
        const bytes = value as Uint8Array;
        this.#count((bytes.length * 4) / 3);
        return toBase64(bytes);
      }
      case 'URL':
        return this.#form(hrefOf(value));
    }
  }

  #record(value: Readonly<Record<string, unknown>>): Record<string, unknown> {
    const keys = Object.keys(value);
    if (keys.length > MAX_KEYS) this.#refuse(`an object with ${keys.length} keys (at most ${MAX_KEYS})`);
    const form: Record<string, unknown> = {};
    this.#count(1);
    for (const key of keys) {
      this.#steps.push(key);
      const item = value[key];
      if (item !== undefined) {
        this.#text(key, 'key');
        this.#count(2);
        setOwn(form, key, this.#form(item));
      }
      this.#steps.pop();
    }
    return form;
  }

  #list(value: readonly unknown[], step: (at: number) => Step = (at) => at): unknown[] {
    const form: unknown[] = [];
    this.#count(value.length + 1);
    for (let at = 0; at < value.length; at++) {
      this.#steps.push(step(at));
      form.push(this.#form(value[at]));
      this.#steps.pop();
    }
    return form;
  }

  #map(value: ReadonlyMap<unknown, unknown>): unknown[] {
    const form: unknown[] = [];
    for (const [key, item] of value) {
      this.#count(4);
      const at = form.length;
      const shown = typeof key === 'string' ? `.get(${quoted(key)})` : typeof key === 'number' ? `.get(${key})` : `<entry ${at}>`;
      form.push([this.#half(at, 0, `<key ${at}>`, key), this.#half(at, 1, shown, item)]);
    }
    return form;
  }

  #half(at: number, half: 0 | 1, shown: string, value: unknown): unknown {
    this.#steps.push({ wire: at, shown }, { wire: half, shown: '' });
    const form = this.#form(value);
    this.#steps.length -= 2;
    return form;
  }

  #text(text: string, what: 'string' | 'key'): void {
    this.#count(text.length + 2);
    if (!this.#looksAtText) return;
    if (text.includes('\0')) this.#refuse(`a ${what} with a NUL character`);
    if (!text.isWellFormed()) this.#refuse(`a ${what} with a lone surrogate`);
  }

  #tag(tag: Tag): void {
    let pointer = '';
    for (const step of this.#steps) pointer += `/${typeof step === 'string' ? escaped(step) : typeof step === 'number' ? step : step.wire}`;
    this.#count(pointer.length + tag.length + 5);
    this.#tags[pointer] = tag;
    this.#tagged = true;
  }

  #count(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes > this.#maxBytes) throw tooLarge(this.#root, Math.floor(this.#bytes), this.#maxBytes, 'at least ');
  }

  #refuse(found: string): never {
    const path = pathText(this.#root, this.#steps satisfies PathStep[]);
    throw new PawlError('PAYLOAD_NOT_STORABLE', `${path} cannot be stored: it is ${found}.`, { details: { path, found } });
  }
}

function escaped(key: string): string {
  return key.includes('~') || key.includes('/') ? key.replaceAll('~', '~0').replaceAll('/', '~1') : key;
}

function instanceName(value: object): string {
  if (value instanceof Promise) return 'a Promise (is an await missing?)';
  const constructor: unknown = (value as { constructor?: unknown }).constructor;
  return typeof constructor === 'function' && constructor.name !== ''
    ? `an instance of ${quoted(constructor.name).slice(1, -1)}`
    : 'an instance of a class';
}

function thrownText(error: unknown): string {
  return error instanceof Error ? error.message : typeof error;
}

function tooLarge(root: string, bytes: number, maxBytes: number, least = ''): PawlError {
  const message = `${root} is too large: ${least}${bytes} bytes as stored, and the limit is ${maxBytes}.`;
  return new PawlError('PAYLOAD_TOO_LARGE', message, { details: { bytes, maxBytes } });
}

/** Of well-formed text. */
function utf8Bytes(text: string): number {
  let bytes = text.length;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    // A pair of surrogates is two units and four bytes: one more for each half.
    if (unit > 0x7f) bytes += unit > 0x7ff && (unit < 0xd800 || unit > 0xdfff) ? 2 : 1;
  }
  return bytes;
}
