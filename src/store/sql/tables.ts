/**
 * Tables whose rows belong to one run by their column `run`, with what tells a run's rows apart. Pruning goes through all of them: a new
 * table of this kind is a line here.
 */
export const RUN_TABLES = {
  tasks: 'node, item',
  maps: 'node',
  attempts: 'node, item, generation, attempt',
  steps: 'node, item, generation, name',
  logs: 'node, item, generation, attempt, chunk',
  generations: 'node, item, generation',
  run_generations: 'generation',
  parked: 'id',
  gates: 'name',
  open_waits: 'id',
  messages: 'id',
  refusals: 'node, item, message',
  moves: 'seq',
} as const;
export type RunTable = keyof typeof RUN_TABLES;

/** Tables that name a run's tasks by their numbers in its graph; of these some tell which body a row waits for. */
export const NODE_TABLES = ['tasks', 'maps', 'attempts', 'steps', 'logs', 'generations', 'parked', 'open_waits', 'refusals'] as const;
export type NodeTable = (typeof NODE_TABLES)[number];
export const BODY_TABLES = ['tasks', 'maps'] as const;
