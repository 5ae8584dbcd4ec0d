import type { Graph, GraphTask, FailurePolicy, Role, RunRetryData } from '../graph/graph.ts';

/** Which tasks serve which, by node; made once per definition. */
export interface NodeRoles {
  /** Of a handler: what it does, and for which task. */
  readonly serves: { readonly role: Role; readonly of: number; readonly failRun: boolean } | null;
  /** The handlers of this task; -1: none. */
  readonly teardown: number;
  readonly catcher: number;
  readonly compensation: number;
  /** The setup inside whose bracket this task was made; -1: none. */
  readonly bracket: number;
  /** Of a setup: every task inside its bracket, at any depth; its teardown waits for them. */
  readonly inside: readonly number[];
}

/** What a workflow asks for beyond its joins; null in a graph for one that asks for nothing of it. */
export interface Upkeep {
  readonly policy: FailurePolicy;
  readonly compensateOn: readonly ('failed' | 'cancelled')[];
  readonly retry: RunRetryData | null;
  readonly teardowns: readonly number[];
  readonly compensations: readonly number[];
  readonly catchers: readonly number[];
}

const NOTHING: readonly number[] = [];
const NO_ROLES: NodeRoles = { serves: null, teardown: -1, catcher: -1, compensation: -1, bracket: -1, inside: NOTHING };

/** The outcomes after which a run is undone, where its workflow does not say. */
export const COMPENSATE_ON: readonly ('failed' | 'cancelled')[] = ['failed', 'cancelled'];

/** The roles of every node, and what they come to; `null` where no task has any. */
export function rolesOf(
  graph: Graph,
  at: (id: string) => number,
): { readonly of: (node: number) => NodeRoles; readonly upkeep: Upkeep | null } {
  const { tasks, failurePolicy = 'continue', retry = null, compensateOn = COMPENSATE_ON } = graph;
  const handlers = tasks.flatMap((task, i) => (task.kind === 'handler' ? [{ i, role: task.role, of: at(task.of) }] : []));
  const hasBrackets = tasks.some((task) => task.using !== undefined);
  const isPlain = failurePolicy === 'continue' && retry === null && compensateOn === COMPENSATE_ON;
  if (handlers.length === 0 && !hasBrackets && isPlain) return { of: () => NO_ROLES, upkeep: null };
  const indices = (role: Role): number[] => handlers.filter((one) => one.role === role).map((one) => one.i);
  const serving = (role: Role): Map<number, number> => new Map(handlers.filter((one) => one.role === role).map((one) => [one.of, one.i]));
  const [teardown, catcher, compensation] = [serving('teardown'), serving('catch'), serving('compensation')];
  const inside = insides(tasks, at, teardown);
  return {
    of: (node) => {
      const task = tasks[node];
      return {
        serves: task?.kind === 'handler' ? { role: task.role, of: at(task.of), failRun: task.failRun === true } : null,
        teardown: teardown.get(node) ?? -1,
        catcher: catcher.get(node) ?? -1,
        compensation: compensation.get(node) ?? -1,
        bracket: task?.using === undefined ? -1 : at(task.using),
        inside: inside.get(node) ?? NOTHING,
      };
    },
    upkeep: {
      policy: failurePolicy,
      compensateOn,
      retry,
      teardowns: indices('teardown'),
      compensations: indices('compensation'),
      catchers: indices('catch'),
    },
  };
}

/** Through all brackets around it a task holds their teardowns back; so does a bracket inside, until its own teardown has ended. */
function insides(
  tasks: readonly GraphTask[],
  at: (id: string) => number,
  teardown: ReadonlyMap<number, number>,
): ReadonlyMap<number, readonly number[]> {
  const inside = new Map<number, number[]>();
  tasks.forEach((task, i) => {
    if (task.kind === 'branch') return;
    const seen = new Set<number>();
    for (let using = task.using; using !== undefined && !seen.has(at(using)); using = tasks[at(using)]?.using) {
      const setup = at(using);
      seen.add(setup);
      const list = inside.get(setup) ?? [];
      inside.set(setup, list);
      list.push(i);
      const own = teardown.get(i);
      if (own !== undefined) list.push(own);
    }
  });
  return inside;
}
