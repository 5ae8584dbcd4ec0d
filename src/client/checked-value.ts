import { encode } from '../core/values/codec.ts';
import type { GraphNode } from '../core/kernel/compile.ts';
import { PawlError } from '../core/errors.ts';
import { validate, type Schema } from '../core/values/schema.ts';

/** A value that a person gives for a task or item. */
interface Given {
  readonly node: GraphNode;
  readonly item: number;
  readonly what: 'input' | 'output';
  readonly value: unknown;
  readonly schema: Schema | undefined;
}

/**
 * The value as it is stored, once the task's schema has passed it. An input is transformed when the body takes it, an output is stored as
 * the schema leaves it. For a map as a whole it is a list: of what its items are made of, or of outputs of its body.
 */
export async function checkedValue(given: Given, maxBytes: number): Promise<string | null> {
  const { node, item, what, value } = given;
  if (node.task.kind !== 'map' || item >= 0) return stored(await passed(given, value, what), what, maxBytes);
  if (!Array.isArray(value)) throw misfit(given, [{ path: '', message: 'must be a list' }], what);
  if (what === 'input') return stored(value, what, maxBytes);
  const list = await Promise.all(value.map((one: unknown, i) => passed(given, one, `output[${i}]`)));
  return stored(list, what, maxBytes);
}

const stored = (value: unknown, root: string, maxBytes: number): string | null => encode(value, { maxBytes, root }) ?? null;

async function passed(given: Given, value: unknown, name: string): Promise<unknown> {
  const checked = given.schema === undefined ? { ok: true as const, value } : await validate(given.schema, value);
  if (!checked.ok) throw misfit(given, checked.issues, name);
  return given.what === 'output' ? checked.value : value;
}

function misfit({ node, what }: Given, issues: readonly { readonly path: string; readonly message: string }[], name: string): PawlError {
  const text = issues.map(({ path, message }) => `${name}${path === '' ? '' : `.${path}`}: ${message}`).join('; ');
  const code = what === 'input' ? 'TASK_INPUT_INVALID' : 'TASK_OUTPUT_INVALID';
  return new PawlError(code, `The ${what} for "${node.id}" does not fit: ${text}`, { details: { task: node.id, issues } });
}
