/** Trees of values and refs, as authors write them, turned into expressions. */
import { decode, encode, readPath } from '../values/codec.ts';
import { MAX_DEPTH } from '../values/encode.ts';
import { isPawlError } from '../errors.ts';
import { formKey } from '../graph/expr.ts';
import type { Expr, Path } from '../graph/graph.ts';
import { pathText } from '../values/path.ts';
import type { Report } from '../graph/problems.ts';
import { refInfo, type RefInfo } from './refs.ts';
import { setOwn } from '../values/rich.ts';

export interface TreeContext {
  /** What the tree is called in messages. */
  readonly name: string;
  /** The expression of a ref; reports where it may not stand here. */
  refExpr(info: RefInfo, at: Path): Expr;
  readonly report: Report;
}

/** Reports what cannot be stored; `null` stands in for it. */
export function treeExpr(tree: unknown, context: TreeContext): Expr {
  const holders = new Set<object>();
  findHolders(tree, holders, new Set(), 0);
  return exprOf(tree, [], { ...context, holders, ancestors: [] });
}

interface Walk extends TreeContext {
  /** Lists and objects that hold a ref somewhere below. Everything else is a literal, and the codec's business. */
  readonly holders: ReadonlySet<object>;
  readonly ancestors: object[];
}

function findHolders(value: unknown, holders: Set<object>, seen: Set<object>, depth: number): boolean {
  if (refInfo(value) !== undefined) return true;
  if (!isTree(value) || depth > MAX_DEPTH) return false;
  if (seen.has(value)) return holders.has(value);
  seen.add(value);
  for (const part of Object.values(value)) {
    if (findHolders(part, holders, seen, depth + 1)) holders.add(value);
  }
  return holders.has(value);
}

function isTree(value: unknown): value is readonly unknown[] | Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return false;
  if (Array.isArray(value)) return true;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function exprOf(value: unknown, at: Path, walk: Walk): Expr {
  const info = refInfo(value);
  if (info !== undefined) return walk.refExpr(info, at);
  if (!isTree(value) || !walk.holders.has(value)) return literalExpr(value, at, walk);
  const wrong = walk.ancestors.includes(value) ? 'it holds itself' : at.length > MAX_DEPTH ? `it is nested deeper than ${MAX_DEPTH}` : null;
  if (wrong !== null) {
    walk.report('not_storable', at, `${pathText(walk.name, at)} cannot be stored: ${wrong}`);
    return null;
  }
  walk.ancestors.push(value);
  const expr = Array.isArray(value)
    ? value.map((part, i) => exprOf(part, [...at, i], walk))
    : objectExpr(value as Readonly<Record<string, unknown>>, at, walk);
  walk.ancestors.pop();
  return expr;
}

function objectExpr(value: Readonly<Record<string, unknown>>, at: Path, walk: Walk): Expr {
  const expr: Record<string, Expr> = {};
  for (const [key, part] of Object.entries(value)) {
    // As in JSON, and in the codec: no property instead of an undefined one.
    if (part !== undefined) setOwn(expr, key, exprOf(part, [...at, key], walk));
  }
  const first = formKey(expr);
  if (first === undefined) return expr;
  walk.report(
    'bad_expr',
    at,
    `${pathText(walk.name, [...at, first])}: an object that starts with a key "$…" cannot hold refs; put it together in an inline task`,
  );
  return null;
}

function literalExpr(value: unknown, at: Path, walk: Walk): Expr {
  if (value === undefined) return { $undefined: true };
  try {
    return storedExpr(encode(value, { root: pathText(walk.name, at) }) ?? 'null');
  } catch (error) {
    if (!isPawlError(error, 'PAYLOAD_NOT_STORABLE', 'PAYLOAD_TOO_LARGE')) throw error;
    walk.report('not_storable', at, error.message.replace(/\.$/, ''));
    return null;
  }
}

/** Plain JSON stands for itself; what the codec tagged, and what would look like a form, is quoted. */
function storedExpr(text: string): Expr {
  const value = JSON.parse(text) as Expr;
  return holdsForm(value) ? { $value: text } : value;
}

function holdsForm(value: Expr): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (!Array.isArray(value) && formKey(value) !== undefined) return true;
  return Object.values(value).some((part) => holdsForm(part as Expr));
}

const UNDEFINED: Expr = { $undefined: true };

/** The expression of what stands at a path inside another expression's value. */
export function partOf(expr: Expr, path: Path): Expr {
  const [key, ...rest] = path;
  if (key === undefined) return expr;
  if (typeof expr !== 'object' || expr === null) return UNDEFINED;
  const form = Array.isArray(expr) ? undefined : formKey(expr);
  if (form === undefined)
    return Object.hasOwn(expr, key) ? partOf((expr as Readonly<Record<string | number, Expr>>)[key] ?? null, rest) : UNDEFINED;
  return PARTS[form]?.(expr as never, path) ?? UNDEFINED;
}

const PARTS: Readonly<Record<string, (form: never, path: Path) => Expr>> = {
  $ref: (form: { $ref: string; path?: Path }, path) => ({ ...form, path: [...(form.path ?? []), ...path] }),
  $settle: (form: { $settle: { $ref: string }; path?: Path }, path) => ({ ...form, path: [...(form.path ?? []), ...path] }),
  $input: (form: { $input: Path }, path) => ({ $input: [...form.$input, ...path] }),
  $item: (form: { $item: Path }, path) => ({ $item: [...form.$item, ...path] }),
  $optional: (form: { $optional: { $ref: string; path?: Path }; default?: Expr }, path) => ({
    $optional: { ...form.$optional, path: [...(form.$optional.path ?? []), ...path] },
    ...(form.default === undefined ? {} : { default: partOf(form.default, path) }),
  }),
  $value: (form: { $value: string }, path) => {
    const text = encode(readPath(decode(form.$value), path));
    return text === undefined ? UNDEFINED : storedExpr(text);
  },
};
