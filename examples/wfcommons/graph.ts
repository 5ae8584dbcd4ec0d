/** An instance as a workflow: its tasks as graph data, all with the same body. */
import { workflow, type Workflow } from '../../src/index.ts';
import type { Instance } from './wfformat.ts';

/** What a task does; `id` is its id in the instance. */
export type Work = (id: string) => Promise<void> | void;

/** Edges order and carry no data: an instance names files, not values. Throws `BUILD_INVALID` for cycles, unknown and duplicate ids. */
export function workflowOf(name: string, { tasks }: Instance, work: Work): Workflow<void, unknown> {
  return workflow.fromGraph({
    name,
    tasks: tasks.map(({ id, parents }) => ({ id, after: parents, run: async () => work(id) })),
  });
}
