import type { DeadLetterDetail, DeadQuery } from '../client/dead.ts';
import type { Engine } from '../facade.ts';
import { milliseconds } from './args.ts';
import { findRun } from './find.ts';

/** Which dead letters. */
export interface DeadFlags {
  readonly workflow?: string;
  readonly task?: string;
  readonly code?: string;
  readonly run?: string;
  readonly since?: string;
}

export async function deadQuery(engine: Engine, { workflow, task, code, run, since }: DeadFlags): Promise<DeadQuery> {
  return {
    ...(workflow === undefined ? {} : { workflow }),
    ...(task === undefined ? {} : { task }),
    ...(code === undefined ? {} : { code }),
    ...(run === undefined ? {} : { run: (await findRun(engine, run, {})).id }),
    ...(since === undefined ? {} : { since: milliseconds(since, '--since') }),
  };
}

/** A dead letter by its id; its run may be named as anywhere else, since lists show the start of an id only. */
export async function findLetter(engine: Engine, id: string): Promise<DeadLetterDetail> {
  const at = id.indexOf('/');
  if (at < 1) return engine.dead.get(id);
  return engine.dead.get(`${(await findRun(engine, id.slice(0, at), {})).id}${id.slice(at)}`);
}
