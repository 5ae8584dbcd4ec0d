import { pathText } from './path.ts';
import type { PathStep } from './path.ts';

/**
 * The Standard Schema v1 shape (zod, valibot and arktype satisfy it), with the JSON Schema part of 1.1 where a library has it.
 * `I` is what goes into the schema, `O` what comes out of it: they differ where the schema transforms or fills in.
 */
export interface Schema<I = unknown, O = I> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => unknown;
    readonly types?: { readonly input: I; readonly output: O } | undefined;
  };
}

interface Typed<I, O> {
  readonly '~standard': { readonly types?: { readonly input: I; readonly output: O } | undefined };
}

export type SIn<S> = S extends Typed<infer I, infer _> ? I : never;
export type SOut<S> = S extends Typed<infer _, infer O> ? O : never;

export interface SchemaIssue {
  /** `lines[3].at`; empty where the value as a whole is meant. */
  readonly path: string;
  readonly message: string;
}

export type Validated = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly issues: readonly SchemaIssue[] };

/** Arktype's schemas are functions. */
export function isSchema(value: unknown): value is Schema {
  const standard = propertyOf(value, '~standard');
  return propertyOf(standard, 'version') === 1 && typeof propertyOf(standard, 'validate') === 'function';
}

/**
 * The value as the schema lets it through, or its issues (at most 100). A schema that checks synchronously answers so. Never throws or
 * rejects: a validator that does gives an issue.
 */
export function validate(schema: Schema, value: unknown): Validated | Promise<Validated> {
  try {
    const result = schema['~standard'].validate(value);
    return isThenable(result) ? Promise.resolve(result).then(toValidated, threw) : toValidated(result);
  } catch (error) {
    return threw(error);
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof propertyOf(value, 'then') === 'function';
}

const MAX_ISSUES = 100;
const MAX_MESSAGE = 1_000;

function toValidated(result: unknown): Validated {
  if (typeof result !== 'object' || result === null) return failed('the schema gave no result');
  const { issues } = result as { issues?: unknown };
  if (issues === undefined || issues === null) return { ok: true, value: (result as { value?: unknown }).value };
  if (!Array.isArray(issues) || issues.length === 0) return failed('the schema refused the value and gave no reason');
  return { ok: false, issues: issues.slice(0, MAX_ISSUES).map(toIssue) };
}

function toIssue(issue: unknown): SchemaIssue {
  const path = propertyOf(issue, 'path');
  return {
    path: Array.isArray(path) ? pathText('', Array.from(path, toStep)) : '',
    message: storable(propertyOf(issue, 'message')),
  };
}

/** A step is a key, or an object that holds one. (Paths are read with Array.from: arktype's is a subclass of Array, whose map() gives another such path.) */
function toStep(step: unknown): PathStep {
  const key = typeof step === 'object' && step !== null ? propertyOf(step, 'key') : step;
  return typeof key === 'number' ? key : String(key);
}

function threw(error: unknown): Validated {
  const message = propertyOf(error, 'message');
  return failed(`the schema threw: ${storable(typeof message === 'string' ? message : error)}`);
}

function failed(message: string): Validated {
  return { ok: false, issues: [{ path: '', message }] };
}

/** Messages quote what was sent in, and are stored: so without what cannot be stored as text. */
function storable(message: unknown): string {
  const text = typeof message === 'string' ? message : 'invalid';
  return text.slice(0, MAX_MESSAGE).replaceAll('\0', '\u2400').toWellFormed();
}

/**
 * The JSON Schema (2020-12, else draft 7) of what goes into the schema or comes out of it, as plain data of its own; undefined where the
 * library gives none, or none for this schema (a Date has none). Never throws. A `$ref` in it is data and is never followed.
 */
export function jsonSchemaOf(schema: unknown, side: 'input' | 'output' = 'input'): unknown {
  const converter = propertyOf(propertyOf(schema, '~standard'), 'jsonSchema');
  const convert = propertyOf(converter, side);
  if (typeof convert !== 'function') return undefined;
  for (const target of ['draft-2020-12', 'draft-07']) {
    try {
      const text: unknown = JSON.stringify(convert.call(converter, { target }));
      if (typeof text === 'string') return JSON.parse(text);
    } catch {
      // Not for this schema, or not in this dialect: the next one, or none.
      continue;
    }
  }
  return undefined;
}

/** Of schemas and results that others wrote: nothing is taken for granted, a getter that throws included. */
function propertyOf(value: unknown, key: string): unknown {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return undefined;
  try {
    return (value as unknown as Record<string, unknown>)[key];
  } catch {
    return undefined;
  }
}
