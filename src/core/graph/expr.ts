/** Expressions of a graph as functions. Both functions expect expressions in which `checkExpr` (expr-check.ts) finds nothing. */
import { clone, decode, readPath } from '../values/codec.ts';
import { PawlError } from '../errors.ts';
import type { Expr, Path, RefExpr } from './graph.ts';
import { setOwn } from '../values/rich.ts';

/** Where an expression reads the values of a run. What it gets stays the owner's: results are copies. */
export interface Scope {
  input(): unknown;
  /** The item, in the expressions of a map. */
  readonly item?: unknown;
  /** The decoded value of a task that succeeded. */
  output(id: string): unknown;
  /** `{status: 'success', value}`, `{status, error}` or `{status: 'skipped'}` of a task that ended. */
  settled(id: string): unknown;
  skipped(id: string): boolean;
}

export type Compiled = (scope: Scope) => unknown;

export interface ExprRead {
  readonly id: string;
  readonly mode: 'required' | 'optional' | 'settle';
  readonly path: Path;
}

type FormKey = '$ref' | '$input' | '$item' | '$optional' | '$settle' | '$value' | '$undefined';
/** Any of the forms: which keys are there is known by the first one. */
interface Form {
  readonly $ref: string;
  readonly $input: Path;
  readonly $item: Path;
  readonly $optional: RefExpr;
  readonly $settle: RefExpr;
  readonly $value: string;
  readonly default?: Expr;
  readonly path?: Path;
}

const NO_PATH: Path = [];

/** The key that makes an object a form; undefined for a literal object. */
export function formKey(expr: object): string | undefined {
  for (const key in expr) return key.startsWith('$') ? key : undefined;
  return undefined;
}

/** The reads of task outputs in an expression, in the order they stand there; one task may occur several times. */
export function exprRefs(expr: Expr): ExprRead[] {
  const reads: ExprRead[] = [];
  collect(expr, reads);
  return reads;
}

function collect(expr: Expr, reads: ExprRead[]): void {
  if (typeof expr !== 'object' || expr === null) return;
  if (Array.isArray(expr)) {
    for (const part of expr as readonly Expr[]) collect(part, reads);
    return;
  }
  const form = expr as unknown as Form;
  switch (formKey(expr)) {
    case undefined:
      for (const part of Object.values(expr as Readonly<Record<string, Expr>>)) collect(part, reads);
      return;
    case '$ref':
      reads.push(readOf(form, 'required'));
      return;
    case '$settle':
      reads.push(readOf(form.$settle, 'settle'));
      return;
    case '$optional':
      reads.push(readOf(form.$optional, 'optional'));
      if (form.default !== undefined) collect(form.default, reads);
  }
}

function readOf(ref: RefExpr, mode: ExprRead['mode']): ExprRead {
  return { id: ref.$ref, mode, path: ref.path ?? NO_PATH };
}

/** A function that puts the expression's value together: a fresh copy at each call, so that a body may change its input. */
export function compileExpr(expr: Expr): Compiled {
  if (typeof expr !== 'object' || expr === null) return () => expr;
  if (Array.isArray(expr)) return compileList((expr as readonly Expr[]).map(compileExpr));
  const key = formKey(expr);
  if (key === undefined) return compileObject(expr as Readonly<Record<string, Expr>>);
  if (!Object.hasOwn(FORMS, key)) throw new PawlError('BUILD_INVALID', `An expression has the unknown form ${JSON.stringify(key)}.`);
  return FORMS[key as FormKey](expr as unknown as Form);
}

const FORMS: Readonly<Record<FormKey, (form: Form) => Compiled>> = {
  $ref: (form) => {
    const id = form.$ref;
    return reader((scope) => scope.output(id), form.path);
  },
  $input: (form) => reader((scope) => scope.input(), form.$input),
  $item: (form) => reader((scope) => scope.item, form.$item),
  $optional: (form) => {
    const { $ref: id } = form.$optional;
    const value = compileExpr(form.$optional);
    const otherwise = form.default === undefined ? undefined : compileExpr(form.default);
    return (scope) => (scope.skipped(id) ? otherwise?.(scope) : value(scope));
  },
  $settle: (form) => {
    const { $ref: id, path = NO_PATH } = form.$settle;
    return reader((scope) => settledPart(scope.settled(id), path), form.path);
  },
  $value: (form) => {
    const value = decode(form.$value);
    return () => clone(value);
  },
  $undefined: () => () => undefined,
};

function reader(read: Compiled, path: Path = NO_PATH): Compiled {
  return path.length === 0 ? (scope) => clone(read(scope)) : (scope) => clone(readPath(read(scope), path));
}

function settledPart(result: unknown, path: Path): unknown {
  if (path.length === 0 || readPath(result, ['status']) !== 'success') return result;
  return { status: 'success', value: readPath(result, ['value', ...path]) };
}

function compileList(parts: readonly Compiled[]): Compiled {
  return (scope) => {
    const list: unknown[] = [];
    for (const part of parts) list.push(part(scope));
    return list;
  };
}

/** A property whose value is undefined is left out, as it is by the codec. */
function compileObject(expr: Readonly<Record<string, Expr>>): Compiled {
  const parts = Object.entries(expr).map(([key, part]) => ({ key, value: compileExpr(part), isOdd: key === '__proto__' }));
  return (scope) => {
    const object: Record<string, unknown> = {};
    for (const { key, value, isOdd } of parts) {
      const item = value(scope);
      if (item === undefined) continue;
      if (isOdd) setOwn(object, key, item);
      else object[key] = item;
    }
    return object;
  };
}
