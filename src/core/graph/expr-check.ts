/** Whether data is an expression. Of what others wrote nothing is taken for granted: no crash on any value, no walk without an end. */
import { decode } from '../values/codec.ts';
import { MAX_DEPTH } from '../values/encode.ts';
import { formKey } from './expr.ts';
import { pathText } from '../values/path.ts';
import { shown, type ProblemCode, type Report } from './problems.ts';

type At = readonly (string | number)[];
type Form = Readonly<Record<string, unknown>>;

export interface ExprCheck {
  readonly report: Report;
  /** `$item` may be read: the expression belongs to a map's item. */
  readonly item: boolean;
  /** Values that may still be looked at, over all expressions of a graph. */
  readonly budget: { left: number };
}

interface Walk extends ExprCheck {
  /** Where the walk is: one list for all of it, since a copy per value costs more than all the rest. */
  readonly at: (string | number)[];
  readonly maxLength: number;
}

const MAX_PATH = 256;
/** Forms stand between the values, and add their own keys to the path. */
const MAX_EXPR_DEPTH = 2 * MAX_DEPTH;

/** True where nothing was reported. */
export function checkExpr(value: unknown, at: At, check: ExprCheck): boolean {
  return isExpr(value, { ...check, at: [...at], maxLength: at.length + MAX_EXPR_DEPTH });
}

function isExpr(value: unknown, walk: Walk): boolean {
  if (walk.at.length > walk.maxLength) return endOf(walk, `is nested deeper than ${MAX_EXPR_DEPTH}`);
  if (--walk.budget.left === 0) return endOf(walk, 'is beyond the largest graph that can be');
  if (walk.budget.left < 0) return false;
  switch (typeof value) {
    case 'boolean':
      return true;
    case 'number':
      return Number.isFinite(value) || bad(walk, `must be a finite number, not ${value}`);
    case 'string':
      return isText(value) || bad(walk, 'has a NUL character or a lone surrogate, which cannot be stored');
    case 'object':
      return value === null || isContainer(value, walk);
    case 'undefined':
    case 'function':
    case 'symbol':
    case 'bigint':
      return bad(walk, `must be JSON data, not ${shown(value)}`);
  }
}

/** Data that is too deep may be so in a million places: nothing more is looked at. */
function endOf(walk: Walk, message: string): false {
  walk.budget.left = 0;
  return bad(walk, message, 'too_large');
}

function isText(text: string): boolean {
  return text.isWellFormed() && !text.includes('\0');
}

function isContainer(value: object, walk: Walk): boolean {
  if (Array.isArray(value)) return isList(value, walk);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    return bad(walk, 'must be JSON data; what else the codec stores stands as { $value: encoded }');
  }
  const key = formKey(value);
  if (key !== undefined) return isForm(key, value as Form, walk);
  let isGood = true;
  for (const [name, part] of Object.entries(value)) {
    if (walk.budget.left <= 0) return false;
    isGood = within(walk, name, () => (isText(name) ? isExpr(part, walk) : bad(walk, 'is a key that cannot be stored'))) && isGood;
  }
  return isGood;
}

function isList(list: readonly unknown[], walk: Walk): boolean {
  let isGood = true;
  for (let i = 0; i < list.length; i++) {
    if (walk.budget.left <= 0) return false;
    isGood = within(walk, i, () => isExpr(list[i], walk)) && isGood;
  }
  return isGood;
}

function within(walk: Walk, key: string | number, check: () => boolean): boolean {
  walk.at.push(key);
  const isGood = check();
  walk.at.pop();
  return isGood;
}

// ---- forms ----------------------------------------------------------------------------------------------------------------------------

/** What stands under the form's own key, and under the others that it may have. */
const FORMS: Readonly<Record<string, Readonly<Record<string, (value: unknown, walk: Walk) => boolean>>>> = {
  $ref: { $ref: isId, path: isPath },
  $input: { $input: isPath },
  $item: {
    $item: (path, walk) => (walk.item ? isPath(path, walk) : bad(walk, "is read outside the input of a map's item", 'item_outside')),
  },
  $optional: { $optional: isRef, default: isExpr },
  $settle: { $settle: isRef, path: isPath },
  $value: { $value: (text, walk) => isStored(text) || bad(walk, 'must be a text that the codec wrote') },
  $undefined: { $undefined: (value, walk) => value === true || bad(walk, `must be true, not ${shown(value)}`) },
};

function isForm(key: string, form: Form, walk: Walk): boolean {
  const parts = Object.hasOwn(FORMS, key) ? FORMS[key] : undefined;
  if (parts !== undefined) return hasParts(form, parts, key, walk);
  const known = Object.keys(FORMS).join(', ');
  return within(walk, key, () =>
    bad(walk, `is no form of an expression; known are ${known}; a literal object with such a key stands as { $value: encoded }`),
  );
}

function hasParts(form: Form, parts: NonNullable<(typeof FORMS)[string]>, key: string, walk: Walk): boolean {
  let isGood = true;
  for (const [name, part] of Object.entries(form)) {
    const check = Object.hasOwn(parts, name) ? parts[name] : undefined;
    isGood = within(walk, name, () => (check ? check(part, walk) : bad(walk, `has no place beside ${key}`))) && isGood;
  }
  return isGood;
}

function isRef(ref: unknown, walk: Walk): boolean {
  const isForm = typeof ref === 'object' && ref !== null && formKey(ref) === '$ref';
  return isForm ? hasParts(ref as Form, FORMS['$ref'] ?? {}, '$ref', walk) : bad(walk, `must be { $ref: id, path? }, not ${shown(ref)}`);
}

function isId(id: unknown, walk: Walk): boolean {
  return typeof id === 'string' || bad(walk, `must be the id of a task, not ${shown(id)}`);
}

function isPath(path: unknown, walk: Walk): boolean {
  const isGood =
    Array.isArray(path) && path.length <= MAX_PATH && path.every((step) => typeof step === 'string' || Number.isSafeInteger(step));
  return isGood || bad(walk, `must be a list of at most ${MAX_PATH} keys and indices`);
}

function isStored(text: unknown): boolean {
  if (typeof text !== 'string') return false;
  try {
    decode(text);
    return true;
  } catch {
    // It is no stored text: the caller says so.
    return false;
  }
}

const MAX_SHOWN = 12;

function bad({ at, report }: Walk, message: string, code: ProblemCode = 'bad_expr'): false {
  report(code, [...at], `${pathText('', at.slice(0, MAX_SHOWN))}${at.length > MAX_SHOWN ? '…' : ''} ${message}`);
  return false;
}
