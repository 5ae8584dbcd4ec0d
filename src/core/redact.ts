import { PawlError, errorRecord } from './errors.ts';
import type { Redactor } from './log.ts';

export interface RedactOptions {
  /** Names beside the built-in ones whose values are secret wherever they stand in data; upper and lower case, `-` and `_` are the same. */
  readonly keys?: readonly string[];
  /** Secrets themselves, of at least 4 characters: wherever one occurs in a text, it is taken out. */
  readonly values?: readonly string[];
}

export const HIDDEN = '[redacted]';

const KEYS = `password passwd passphrase pwd secret secrets secretkey clientsecret token accesstoken refreshtoken idtoken authtoken sessiontoken
  bearertoken apitoken authorization proxyauthorization auth cookie cookies setcookie apikey xapikey apisecret accesskey
  secretaccesskey privatekey signingkey encryptionkey sessionid sessionkey credential credentials connectionstring jwt otp`;

/** Shorter values would take ordinary text out. */
const SHORTEST_VALUE = 4;
const NAMES_KEPT = 1_000;
const LONGEST_NAME_KEPT = 64;
const MAX_DEPTH = 16;
const MAX_NODES = 10_000;

/** Secrets go by the key they stand under, by their own text, and by where they usually stand: user-info of URLs, `Bearer` and `Basic`. */
export function redactor(options: RedactOptions = {}): Redactor {
  const keys = new Set([...KEYS.split(/\s+/), ...texts(options.keys, 'keys', 1).map(plainKey)]);
  const values = [...new Set(texts(options.values, 'values', SHORTEST_VALUE).flatMap(writtenForms))];
  const text = (given: string): string => hideSchemes(hideUserInfo(hideValues(given, values)));
  const isSecret = remembered((key) => keys.has(plainKey(key)));
  const made: Redactor = { text, data: (value) => new Copy(made, isSecret).of(value) };
  return made;
}

/** The same few names come with every line. */
function remembered(judge: (key: string) => boolean): (key: string) => boolean {
  const known = new Map<string, boolean>();
  return (key) => {
    const before = known.get(key);
    if (before !== undefined) return before;
    if (known.size >= NAMES_KEPT) known.clear();
    const verdict = judge(key);
    if (key.length <= LONGEST_NAME_KEPT) known.set(key, verdict);
    return verdict;
  };
}

function texts(given: readonly string[] = [], name: 'keys' | 'values', shortest: number): readonly string[] {
  const fine = Array.isArray(given) && given.every((one) => typeof one === 'string' && one.length >= shortest);
  // The message must not show what was given.
  if (!fine) throw new PawlError('CONFIG_OPTION', `redact.${name}: give a list of strings of at least ${shortest} characters.`);
  return given;
}

const plainKey = (key: string): string => key.replaceAll(/[-_]/g, '').toLowerCase();

/** A secret as it stands in plain text, in JSON, and in a URL. */
function writtenForms(secret: string): string[] {
  return [secret, JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret.toWellFormed())];
}

/** Occurrences may overlap: what any of them covers is taken out. */
function hideValues(text: string, values: readonly string[]): string {
  const spans: { readonly from: number; to: number }[] = [];
  for (const value of values) {
    for (let at = text.indexOf(value); at !== -1; at = text.indexOf(value, at + 1)) spans.push({ from: at, to: at + value.length });
  }
  if (spans.length === 0) return text;
  spans.sort((a, b) => a.from - b.from);
  let shown = '';
  let seen = 0;
  for (const { from, to } of spans) {
    if (from > seen || seen === 0) shown += text.slice(seen, from) + HIDDEN;
    seen = Math.max(seen, to);
  }
  return shown + text.slice(seen);
}

/** `x://user:password@host`: by hand, since a pattern for schemes takes time square to the length of a text made for it. */
function hideUserInfo(text: string): string {
  let shown = '';
  let seen = 0;
  for (let at = text.indexOf('://'); at !== -1;) {
    const start = at + 3;
    const end = userInfoEnd(text, start);
    if (end > start) {
      shown += text.slice(seen, start) + HIDDEN;
      seen = end;
    }
    at = text.indexOf('://', Math.max(start, end));
  }
  return seen === 0 ? text : shown + text.slice(seen);
}

/** A password may hold a slash that should have been escaped: so far it is looked for behind one. */
const FAR = 1_024;

/** Where the `@` behind user-info stands; -1 where there is none. */
function userInfoEnd(text: string, start: number): number {
  let found = -1;
  let colon = -1;
  let slash = -1;
  for (let i = start; i < text.length; i++) {
    const char = text.charAt(i);
    if (char === '@') {
      found = i;
      if (slash !== -1) return found;
    } else if (/[\s"<>]/.test(char) || (slash !== -1 && i - slash > FAR)) return found;
    else if (char === ':') colon = i;
    else if ((char === '/' || char === '?' || char === '#') && slash === -1) {
      const isPort = colon === -1 || text.charAt(start) === '[' || /^\d*$/.test(text.slice(colon + 1, i));
      if (found !== -1 || isPort) return found;
      slash = i;
    }
  }
  return found;
}

// why: `basic` in small letters is an English word; a credential behind it has a digit, a capital or padding
const SCHEMES = /\b(?:(bearer|Bearer|BEARER|Basic|BASIC)[ \t]+[\w\-.~+/]+=*|(basic)[ \t]+(?=[a-z\-.~+/]*[A-Z0-9_=])[\w\-.~+/]+=*)/g;

function hideSchemes(text: string): string {
  return text.replaceAll(SCHEMES, (_, one: string | undefined, other: string | undefined) => `${one ?? other ?? ''} ${HIDDEN}`);
}

/** One value as plain JSON data without secrets: circular, deep, huge and hostile ones too. */
class Copy {
  private readonly redactor: Redactor;
  private readonly isSecret: (key: string) => boolean;
  private readonly above = new Set<object>();
  private left = MAX_NODES;

  constructor(made: Redactor, isSecret: (key: string) => boolean) {
    this.redactor = made;
    this.isSecret = isSecret;
  }

  of(value: unknown): unknown {
    switch (typeof value) {
      case 'string':
        return this.redactor.text(value);
      case 'number':
        return Number.isFinite(value) ? value : String(value);
      case 'bigint':
        return this.redactor.text(String(value));
      case 'boolean':
        return value;
      case 'object':
        return value === null ? null : this.object(value);
      case 'undefined':
      case 'function':
      case 'symbol':
        return undefined;
    }
  }

  private object(value: object): unknown {
    if (this.above.has(value)) return '[circular]';
    if (this.above.size >= MAX_DEPTH || this.left <= 0) return '[…]';
    this.above.add(value);
    try {
      return this.parts(value);
    } catch {
      // A proxy or a toJSON that throws: what cannot be read cannot be shown.
      return '[unreadable]';
    } finally {
      this.above.delete(value);
    }
  }

  private parts(value: object): unknown {
    if (value instanceof Error) return errorRecord(value, this.redactor);
    if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
    if (value instanceof Map) return this.entries([...value].map(([key, one]) => [typeof key === 'string' ? key : String(key), one]));
    if (value instanceof Set) return this.list([...value]);
    if (Array.isArray(value)) return this.list(value);
    if ('toJSON' in value && typeof value.toJSON === 'function') return this.of(value.toJSON());
    return this.entries(Object.keys(value).map((key) => [key, read(value, key)]));
  }

  private list(values: readonly unknown[]): unknown[] {
    const shown: unknown[] = [];
    for (const value of values) {
      if (this.left-- <= 0) return [...shown, '[…]'];
      shown.push(this.of(value) ?? null);
    }
    return shown;
  }

  private entries(entries: Iterable<readonly [string, unknown]>): Record<string, unknown> {
    const shown: [string, unknown][] = [];
    for (const [key, value] of entries) {
      if (this.left-- <= 0) break;
      const isHidden = value !== null && value !== undefined && this.isSecret(key);
      shown.push([this.redactor.text(key), isHidden ? HIDDEN : this.of(value)]);
    }
    // why: not by assignment, for a key may be `__proto__`
    return Object.fromEntries(shown);
  }
}

function read(value: object, key: string): unknown {
  try {
    return (value as Record<string, unknown>)[key];
  } catch {
    return '[unreadable]';
  }
}
