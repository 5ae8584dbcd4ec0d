import { isBag } from './contract.ts';
import { invalid, nameProblem, reporter, shown, type Problem } from '../graph/problems.ts';
import { isSchema, type Schema, type SIn, type SOut } from '../values/schema.ts';
import type { Signal } from '../types/types.ts';

/** A named message and the schema of its data. Throws `BUILD_INVALID`. */
export function signal<S extends Schema>(name: string, schema: S): Signal<SIn<S>, SOut<S>> {
  const problems: Problem[] = [];
  const report = reporter(problems);
  const wrong = nameProblem(name);
  if (wrong !== null) report('bad_name', ['name'], `name: ${wrong}`);
  if (!isSchema(schema)) report('bad_type', ['schema'], `schema: must be a Standard Schema (zod, valibot, arktype), not ${shown(schema)}`);
  if (problems.length > 0) throw invalid(wrong === null ? `Signal ${shown(name)}` : 'A signal', problems);
  return { kind: 'signal', name, schema };
}

export function isSignal(value: unknown): value is Signal<unknown, unknown> {
  return isBag(value) && value['kind'] === 'signal' && typeof value['name'] === 'string' && isSchema(value['schema']);
}
