/** Handlers and brackets: what they may serve, and who may name them. */
import { exprRefs } from './expr.ts';
import type { GraphTask, HandlerTask } from './graph.ts';
import type { ShapedGraph } from './graph-shape.ts';
import { shown, type Report } from './problems.ts';
import { taskExprs } from './task-exprs.ts';

export function roleProblems({ tasks, output }: ShapedGraph, report: Report): void {
  const byId = new Map(tasks.map(({ task }) => [task.id, task]));
  const isHandler = (id: string): boolean => byId.get(id)?.kind === 'handler';
  const serving = new Set<string>();
  for (const { task, index } of tasks) {
    const wrong = (key: string, message: string): void =>
      report('bad_handler', ['tasks', index, key], `task ${shown(task.id)}: ${message}`);
    for (const { key, id } of named(task)) {
      if (isHandler(id)) wrong(key, `${key} names ${shown(id)}, a handler, which no task can wait for or read`);
    }
    if (task.using !== undefined && byId.has(task.using) && !tasks.some(({ task: one }) => isTeardownOf(one, task.using))) {
      wrong('using', `using names ${shown(task.using)}, which has no teardown`);
    }
    if (task.kind === 'handler') handlerProblems(task, byId.get(task.of), serving, wrong);
  }
  for (const { id } of output === undefined ? [] : exprRefs(output)) {
    if (isHandler(id)) report('bad_handler', ['output'], `the output reads ${shown(id)}, a handler`);
  }
}

const isTeardownOf = (task: GraphTask, setup: string | undefined): boolean =>
  task.kind === 'handler' && task.role === 'teardown' && task.of === setup;

function named(task: GraphTask): { readonly key: string; readonly id: string }[] {
  const reads = taskExprs(task).flatMap(({ key, reads: all }) => all.map(({ id }) => ({ key, id })));
  return [...(task.after ?? []).map((id) => ({ key: 'after', id })), ...reads];
}

function handlerProblems(
  task: HandlerTask,
  of: GraphTask | undefined,
  serving: Set<string>,
  wrong: (key: string, message: string) => void,
): void {
  const place = `${task.role} ${task.of}`;
  if (serving.has(place)) wrong('of', `${shown(task.of)} has another ${task.role} already`);
  serving.add(place);
  const fits =
    of === undefined ||
    of.kind === 'task' ||
    (of.kind === 'child' && task.role !== 'teardown') ||
    (of.kind === 'map' && task.role === 'compensation');
  if (!fits) wrong('of', `a ${task.role} cannot serve ${shown(task.of)}, a ${of.kind}`);
  if (task.failRun && task.role !== 'teardown') wrong('failRun', `only a teardown has failRun, not a ${task.role}`);
}
