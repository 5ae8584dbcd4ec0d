/** What the verbs of a builder share. */
import type { Building, Call } from './building.ts';
import { inParens } from './call-site.ts';
import { checkKeys, isBag } from './contract.ts';
import type { GraphTask, Join } from '../graph/graph.ts';
import { addOwnHandlers } from './handlers.ts';
import { shown } from '../graph/problems.ts';
import { refInfo } from './refs.ts';
import type { NodeCode, RefBase } from '../types/types.ts';

export type Bag = Readonly<Record<string, unknown>>;
export type Ref = RefBase<unknown>;

/** A ref is a function too, by nature of its proxy. */
export function isFunction(value: unknown): value is (...args: unknown[]) => unknown {
  return typeof value === 'function' && refInfo(value) === undefined;
}

export function place(building: Building, call: Call, task: GraphTask, code?: NodeCode, opts: Bag = {}): Ref {
  building.add(task, code, call.site);
  addOwnHandlers(building, call, opts, code?.output);
  return building.ref({ kind: 'task', id: task.id });
}

export function common(building: Building, opts: Bag, call: Call): { id: string; after?: readonly string[]; join?: Join } {
  const after = building.after(opts['after'], call);
  return { id: call.id, ...(after.length === 0 ? {} : { after }), ...(opts['join'] === undefined ? {} : { join: opts['join'] as Join }) };
}

export function reporting(building: Building, verb: string): Call['report'] {
  const site = building.enter(verb);
  return (code, message) => void building.problems.push({ code, at: [], message: `w.${verb}${inParens(site)}: ${message}` });
}

export function checkOptions(options: unknown, known: readonly string[], call: Call): void {
  if (options !== undefined && !isBag(options)) call.report('bad_type', `options must be an object, not ${naming(options)}`);
  checkKeys(bagOf(options), known, '', (code, _at, message) => call.report(code, message));
}

export function bagOf(value: unknown): Bag {
  return isBag(value) ? value : {};
}

export function naming(value: unknown): string {
  if (refInfo(value) !== undefined) return 'a ref';
  if (isBag(value) && value['kind'] === 'workflow') return 'a workflow that workflow() did not make';
  return shown(value);
}
