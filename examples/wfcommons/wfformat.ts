/** Reads an instance of WfFormat 1.5: which tasks there are, and which of them wait for which. */
import { z } from 'zod';

const Instance = z.object({
  name: z.string(),
  schemaVersion: z.literal('1.5'),
  workflow: z.object({
    specification: z.object({
      tasks: z.array(z.object({ id: z.string(), parents: z.array(z.string()), children: z.array(z.string()) })),
    }),
  }),
});

export interface InstanceTask {
  readonly id: string;
  readonly parents: readonly string[];
  readonly children: readonly string[];
}

export interface Instance {
  readonly name: string;
  readonly tasks: readonly InstanceTask[];
}

/** Throws where the text is no such document, or where its two accounts of the edges differ. */
export function parseInstance(text: string): Instance {
  const { name, workflow } = Instance.parse(JSON.parse(text));
  const { tasks } = workflow.specification;
  const edge = (from: string, to: string): string => JSON.stringify([from, to]);
  const byParents = new Set(tasks.flatMap((task) => task.parents.map((parent) => edge(parent, task.id))));
  const byChildren = new Set(tasks.flatMap((task) => task.children.map((child) => edge(task.id, child))));
  const odd = [...[...byParents].filter((one) => !byChildren.has(one)), ...[...byChildren].filter((one) => !byParents.has(one))];
  if (odd.length > 0) throw new Error(`${name}: parents and children tell different edges: ${odd.slice(0, 5).join(', ')}`);
  return { name, tasks };
}
