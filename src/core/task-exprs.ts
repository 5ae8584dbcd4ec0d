import { exprRefs, type ExprRead } from './expr.ts';
import type { Expr, GraphTask } from './graph.ts';

/** The expressions of a task with the key under which each stands, and what they read. */
export function taskExprs(task: GraphTask): { readonly key: string; readonly reads: readonly ExprRead[] }[] {
  const expr = (key: string, value: Expr | undefined): { key: string; reads: ExprRead[] }[] =>
    value === undefined ? [] : [{ key, reads: exprRefs(value) }];
  switch (task.kind) {
    case 'map':
      return [...expr('items', task.items), ...expr('each', task.each), ...expr('key', task.key)];
    case 'branch':
      return [...expr('then', task.then.value), ...expr('otherwise', task.otherwise?.value)];
    case 'sleep':
      return expr('until', task.until);
    case 'task':
    case 'child':
    case 'when':
      return expr('input', task.input);
  }
}

/** What a task reads before it begins; of a map the list, of a branch nothing. */
export function inputExpr(task: GraphTask): Expr {
  switch (task.kind) {
    case 'map':
      return task.items;
    case 'branch':
      return null;
    case 'sleep':
      return task.until ?? null;
    case 'task':
    case 'child':
    case 'when':
      return task.input;
  }
}
