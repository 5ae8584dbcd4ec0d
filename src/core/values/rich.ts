/**
 * The types beyond JSON that a payload may hold, and the JSON form in which each is stored:
 *
 *   Date        ISO 8601 text            Map    array of [key, value]
 *   bigint      decimal text             Set    array of its items
 *   Uint8Array  base64                   Error  {name, message, code?, stack?, cause?}
 *   URL         its href                 undefined (in an array, Map or Set)  null
 */
export type Tag = 'Date' | 'Map' | 'Set' | 'bigint' | 'Uint8Array' | 'URL' | 'Error' | 'undefined';

/** What an object is to the codec. */
export type Kind = 'object' | 'array' | Exclude<Tag, 'bigint' | 'undefined'>;

/** The host's own, declared here because the kernel is checked without the types of any host. */
interface Url {
  readonly href: string;
}
declare const URL: { new (href: string): Url; readonly prototype: Url };
declare function btoa(binary: string): string;
declare function atob(base64: string): string;

const KIND_OF_PROTOTYPE = new Map<unknown, Kind>([
  [Object.prototype, 'object'],
  [null, 'object'],
  [Array.prototype, 'array'],
  [Date.prototype, 'Date'],
  [Map.prototype, 'Map'],
  [Set.prototype, 'Set'],
  [Uint8Array.prototype, 'Uint8Array'],
  [URL.prototype, 'URL'],
]);

/** Undefined: an instance of a class that cannot be stored. Of subclasses only those of Error and Uint8Array (Buffer) are taken. */
export function kindOf(value: object): Kind | undefined {
  const prototype: unknown = Object.getPrototypeOf(value);
  return KIND_OF_PROTOTYPE.get(prototype) ?? rareKind(value, prototype);
}

function rareKind(value: object, prototype: unknown): Kind | undefined {
  if (value instanceof Error || Object.prototype.toString.call(value) === '[object Error]') return 'Error';
  if (value instanceof Uint8Array) return 'Uint8Array';
  // Plain data of another realm: what Node's own functions return inside a test runner that works in a vm context.
  if (Array.isArray(value)) return Array.isArray(prototype) ? 'array' : undefined;
  const isObjectPrototype = Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype as object, 'isPrototypeOf');
  return isObjectPrototype ? 'object' : undefined;
}

/** Own, also where the key is `__proto__`, which an assignment would take for the prototype. */
export function setOwn(target: Record<string, unknown>, key: string, value: unknown): void {
  if (key === '__proto__') Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true });
  else target[key] = value;
}

/** Builtins by name, so that a TypeError comes back as one; every other error comes back as an Error of that name. */
const ERRORS = new Map<string, new (message: string) => Error>(
  [Error, TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError].map((type) => [type.name, type]),
);

export interface ErrorFields {
  readonly name: string;
  readonly message: string;
  readonly code?: string | number;
  readonly stack?: string;
  readonly cause?: unknown;
}

/** What is kept of an error. Other properties are dropped. */
export function errorFields(error: Error): ErrorFields {
  const { name, message, stack, cause, code } = error as Error & { code?: unknown };
  return {
    name: typeof name === 'string' ? name : 'Error',
    message: typeof message === 'string' ? message : '',
    ...(typeof code === 'string' || (typeof code === 'number' && Number.isFinite(code)) ? { code } : {}),
    ...(typeof stack === 'string' ? { stack } : {}),
    ...(cause === undefined ? {} : { cause }),
  };
}

export function makeError(fields: ErrorFields): Error {
  const error = new (ERRORS.get(fields.name) ?? Error)(fields.message);
  if (error.name !== fields.name) hide(error, 'name', fields.name);
  if (fields.code !== undefined) setOwn(error as unknown as Record<string, unknown>, 'code', fields.code);
  hide(error, 'stack', fields.stack);
  if (fields.cause !== undefined) hide(error, 'cause', fields.cause);
  return error;
}

/** Like the properties that an Error's constructor makes: not enumerable. */
function hide(error: Error, key: string, value: unknown): void {
  Object.defineProperty(error, key, { value, writable: true, enumerable: false, configurable: true });
}

export function makeUrl(href: string): unknown {
  return new URL(href);
}

export function hrefOf(url: object): string {
  return (url as Url).href;
}

/** Arguments of one call; far below what the stack of any engine takes. */
const CHUNK = 8_192;

export function toBase64(bytes: Uint8Array): string {
  let binary = '';
  for (let at = 0; at < bytes.length; at += CHUNK) {
    binary += String.fromCharCode.apply(null, bytes.subarray(at, at + CHUNK) as unknown as number[]);
  }
  return btoa(binary);
}

export function fromBase64(text: string): Uint8Array {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at++) bytes[at] = binary.charCodeAt(at);
  return bytes;
}
