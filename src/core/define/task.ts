import { checkKeys, contractOf, isBag, mergeOpts, TASK_OPTIONS } from './contract.ts';
import type { ContractData } from '../graph/graph.ts';
import { invalid, nameProblem, reporter, shown, type Problem, type Report } from '../graph/problems.ts';
import { isSchema, jsonSchemaOf, type Schema, type SIn, type SOut } from '../values/schema.ts';
import type { AnyTask, Body, StorableRun, Task, TaskImpl, TaskOpts } from '../types/types.ts';

/**
 * A task: a contract (name, schemas, retry, timeouts, effects) with or without its body. A contract alone may be imported anywhere; the
 * worker gives the body with `implement`. Throws `BUILD_INVALID` with every problem of the options.
 */
export function task<IS extends Schema, OS extends Schema>(
  def: TaskOpts & { readonly name: string; readonly input: IS; readonly output: OS; readonly run?: undefined },
): Task<SIn<IS>, SOut<OS>, SOut<IS>, SIn<OS>>;
export function task<IS extends Schema, O>(
  def: TaskOpts & {
    readonly name: string;
    readonly input: IS;
    readonly output?: undefined;
    readonly run: Body<SOut<IS>, O>;
  } & StorableRun<O>,
): TaskImpl<SIn<IS>, O, SOut<IS>>;
export function task<IS extends Schema, OS extends Schema>(
  def: TaskOpts & { readonly name: string; readonly input: IS; readonly output: OS; readonly run: Body<SOut<IS>, SIn<OS>> },
): TaskImpl<SIn<IS>, SOut<OS>, SOut<IS>, SIn<OS>>;
export function task<I, OS extends Schema>(
  def: TaskOpts & { readonly name: string; readonly input?: undefined; readonly output: OS; readonly run: Body<I, SIn<OS>> },
): TaskImpl<I, SOut<OS>, I, SIn<OS>>;
export function task<I, O>(
  def: TaskOpts & {
    readonly name: string;
    readonly input?: undefined;
    readonly output?: undefined;
    readonly run: Body<I, O>;
  } & StorableRun<O>,
): TaskImpl<I, O>;
export function task(def: unknown): AnyTask {
  const problems: Problem[] = [];
  const report = reporter(problems);
  if (!isBag(def)) throw invalid('A task', [{ code: 'bad_type', at: [], message: `must be given as an object, not ${shown(def)}` }]);
  const made = taskOf(def, report);
  if (problems.length > 0)
    throw invalid(typeof def['name'] === 'string' && def['name'] ? `Task ${shown(def['name'])}` : 'A task', problems);
  return made;
}

function taskOf(def: Readonly<Record<string, unknown>>, report: Report): AnyTask {
  checkKeys(def, ['name', 'input', 'output', 'run', ...TASK_OPTIONS], '', report);
  const wrong = nameProblem(def['name']);
  if (wrong !== null) report('bad_name', ['name'], `name: ${wrong}`);
  const { input, output, run } = def;
  for (const [key, schema] of [
    ['input', input],
    ['output', output],
  ] as const) {
    if (schema !== undefined && !isSchema(schema))
      report('bad_type', [key], `${key}: must be a Standard Schema (zod, valibot, arktype), not ${shown(schema)}`);
  }
  if (run !== undefined && typeof run !== 'function') report('bad_type', ['run'], `run: must be a function, not ${shown(run)}`);
  const options = mergeOpts(def, {});
  const { contract, rules } = contractOf(options, report);
  const schemas = { ...(isSchema(input) ? { input } : {}), ...(isSchema(output) ? { output } : {}) };
  const contractOnly = {
    kind: 'task' as const,
    name: String(def['name']),
    contract: withSchemas(contract, schemas),
    rules,
    options,
    ...schemas,
    implement: (body: Body<unknown, unknown>) => implement(contractOnly, body),
  };
  return typeof run === 'function' ? { ...contractOnly, run: run as Body<unknown, unknown> } : contractOnly;
}

function implement(contract: Omit<AnyTask, 'run'>, run: Body<unknown, unknown>): AnyTask & { readonly run: Body<unknown, unknown> } {
  if (typeof run === 'function') return { ...contract, run };
  throw invalid(`Task ${shown(contract.name)}`, [
    { code: 'bad_type', at: ['run'], message: `implement takes the body, a function, not ${shown(run)}` },
  ]);
}

/** The contract with the JSON Schemas of what callers give and of what readers get. */
export function withSchemas(
  contract: ContractData,
  { input, output }: { readonly input?: Schema; readonly output?: Schema },
): ContractData {
  const inputSchema = input && jsonSchemaOf(input, 'input');
  const outputSchema = output && jsonSchemaOf(output, 'output');
  return { ...contract, ...(inputSchema === undefined ? {} : { inputSchema }), ...(outputSchema === undefined ? {} : { outputSchema }) };
}

export function isTask(value: unknown): value is AnyTask {
  return (
    isBag(value) &&
    value['kind'] === 'task' &&
    typeof value['name'] === 'string' &&
    isBag(value['contract']) &&
    Array.isArray(value['rules'])
  );
}
