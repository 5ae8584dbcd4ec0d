import { exprRefs, type ExprRead } from './expr.ts';
import type { CaseKey, ContractData, Expr, GraphTask } from './graph.ts';
import { caseName } from '../kernel/verdict.ts';

interface TaskExpr {
  /** As messages call it. */
  readonly key: string;
  readonly at: readonly (string | number)[];
  readonly reads: readonly ExprRead[];
  /** The case whose value it is. */
  readonly is?: CaseKey;
}

/** The expressions of a task with the key under which each stands, and what they read. */
export function taskExprs(task: GraphTask): TaskExpr[] {
  const expr = (key: string, value: Expr | undefined): TaskExpr[] =>
    value === undefined ? [] : [{ key, at: [key], reads: exprRefs(value) }];
  switch (task.kind) {
    case 'map':
      return [...expr('items', task.items), ...expr('each', task.each), ...expr('key', task.key), ...limitExprs(task)];
    case 'branch':
      return task.cases.map(({ is, value }, i) => ({ key: caseName(is), at: ['cases', i, 'value'], reads: exprRefs(value), is }));
    case 'wait':
      return expr('key', task.key);
    case 'approve':
      return expr('show', task.show);
    case 'task':
      return [...expr('input', task.input), ...limitExprs(task)];
    case 'child':
    case 'when':
    case 'switch':
      return expr('input', task.input);
    case 'first':
      return task.parts.map(({ name, value }, i) => ({ key: `part ${name}`, at: ['parts', i, 'value'], reads: exprRefs(value) }));
    case 'guard':
    case 'handler':
      return [];
    case 'sleep':
      return expr('until', task.until);
  }

  function limitExprs({ contract }: { readonly contract?: ContractData }): TaskExpr[] {
    const key = contract?.concurrency?.key;
    return key === undefined ? [] : [{ key: 'concurrency.key', at: ['contract', 'concurrency', 'key'], reads: exprRefs(key) }];
  }
}

const GUARD_INPUT: Expr = { $input: [] };

/** What a task reads before it begins; of a map the list, of a branch nothing. */
export function inputExpr(task: GraphTask): Expr {
  switch (task.kind) {
    case 'map':
      return task.items;
    case 'branch':
    case 'handler':
    case 'first':
      return null;
    case 'sleep':
      return task.until ?? null;
    case 'wait':
      return task.key ?? null;
    case 'approve':
      return task.show ?? null;
    case 'guard':
      return GUARD_INPUT;
    case 'task':
    case 'child':
    case 'when':
    case 'switch':
      return task.input;
  }
}
