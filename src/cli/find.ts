import type { Run } from '../client/run.ts';
import type { Engine } from '../facade.ts';

export const ID_HELP = `<id> is a run's id, the start of one (at least 2 characters, among the newest 10,000 runs), a key, @last, or @last:<workflow>.`;

export const WORKFLOW_OPTION = ['--workflow <name>', 'look for the id or key among runs of this workflow'] as const;

export interface Narrowed {
  readonly workflow?: string;
}

export async function findRun(engine: Engine, text: string, { workflow }: Narrowed): Promise<Run<unknown>> {
  return engine.runs.find(text, workflow === undefined ? {} : { workflow });
}
