import { exprRefs, type ExprRead } from './expr.ts';
import type { ContractData, Expr, GraphTask } from './graph.ts';

/** The expressions of a task with the key under which each stands, and what they read. */
export function taskExprs(task: GraphTask): { readonly key: string; readonly reads: readonly ExprRead[] }[] {
  const expr = (key: string, value: Expr | undefined): { key: string; reads: ExprRead[] }[] =>
    value === undefined ? [] : [{ key, reads: exprRefs(value) }];
  switch (task.kind) {
    case 'map':
      return [...expr('items', task.items), ...expr('each', task.each), ...expr('key', task.key), ...limitExprs(task.contract)];
    case 'branch':
      return [...expr('then', task.then.value), ...expr('otherwise', task.otherwise?.value)];
    case 'task':
      return [...expr('input', task.input), ...limitExprs(task.contract)];
    case 'when':
      return expr('input', task.input);
  }

  function limitExprs({ concurrency }: ContractData): { key: string; reads: ExprRead[] }[] {
    return expr('concurrency.key', concurrency?.key);
  }
}
