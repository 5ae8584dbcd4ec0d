/** What acts have in common: the run that they look at, its names, how a refusal and a report are put. */
import type { CompiledGraph, GraphNode } from '../core/kernel/compile.ts';
import { PawlError } from '../core/errors.ts';
import { runIdText } from '../core/ids.ts';
import type { ResetRefusal, ResetResult } from '../core/kernel/reset.ts';
import type { RunState } from '../core/kernel/run-state.ts';
import { itemNumber } from '../core/kernel/values.ts';
import type { RunRow } from '../store/store.ts';
import type { ItemName, ResetReport } from './acts.ts';

const MINUTE_MS = 60_000;

/** Back from the rank that it was given when the run was accepted, or for its start. */
export const priorityOf = ({ rank, startAt, acceptedAt }: RunState): number => Math.round(((startAt ?? acceptedAt) - rank) / MINUTE_MS);

export const changed = (id: string): PawlError =>
  new PawlError('RUN_CHANGED', `Run ${id} changed each time that the act was about to be done.`, { details: { run: id } });

export function setAside({ uid, quarantined }: RunRow): PawlError {
  const why = (quarantined ?? 'its state cannot be read').split('\n', 1)[0];
  return new PawlError('RUN_QUARANTINED', `Run ${runIdText(uid)} is quarantined: ${why}.`, { details: { run: runIdText(uid) } });
}

export interface Looked {
  readonly row: RunRow;
  readonly graph: CompiledGraph;
  readonly state: RunState;
}

const TEXT_KEPT = 2_000;

export function checkText(name: string, value: string | null): void {
  if (value === null) return;
  if (typeof value !== 'string' || value === '' || value.length > TEXT_KEPT || !value.isWellFormed() || value.includes('\0')) {
    throw new PawlError('CONFIG_OPTION', `${name}: give a string of 1 to ${TEXT_KEPT} characters.`);
  }
}

export function nodeOf(run: Pick<Looked, 'graph' | 'row'>, name: string): GraphNode {
  const node = run.graph.byId.get(name);
  if (node === undefined || node.cases !== null) {
    throw new PawlError('TASK_UNKNOWN', `The workflow "${run.row.workflow}" has no task ${JSON.stringify(String(name).slice(0, 100))}.`, {
      details: { tasks: run.graph.nodes.filter((one) => one.cases === null).map((one) => one.id) },
    });
  }
  return node;
}

export function itemOf(run: Looked, node: GraphNode, name: ItemName): number {
  const item = itemNumber(run.graph, run.state, node, name);
  if (item === null)
    throw new PawlError('TASK_UNKNOWN', `"${node.id}" of run ${runIdText(run.row.uid)} has no item ${JSON.stringify(name)}.`);
  return item;
}

export const nameOf = (node: GraphNode | undefined, item: number): string => `Task "${node?.id ?? '?'}${item < 0 ? '' : `[${item}]`}"`;

export function refusal(run: Looked, { code, node, item, message }: ResetRefusal): PawlError {
  const id = runIdText(run.row.uid);
  const at = run.graph.nodes[node];
  const who = at === undefined ? `Run ${id}` : `${nameOf(at, item)} of run ${id}`;
  return new PawlError(code, `${who}: ${message}.`, {
    details: { run: id, ...(at === undefined ? {} : { task: at.id }), ...(item < 0 ? {} : { item }) },
  });
}

export function report(graph: CompiledGraph, { generation, count, tasks, kept }: ResetResult, applied: boolean): ResetReport {
  const id = (node: number): string => graph.nodes[node]?.id ?? String(node);
  return {
    applied,
    generation,
    count,
    tasks: tasks.map(({ node, item, was, why }) => ({ task: id(node), ...(item < 0 ? {} : { item }), was, why })),
    kept: kept.map(({ node, why }) => ({ task: id(node), why })),
  };
}

/**
 * A run as it was looked at for an act before: what is asked for next is put together by it, and decided on the run as it is. Where that refuses,
 * the run is looked at again.
 */
export interface Seen {
  run: Looked | null;
}
