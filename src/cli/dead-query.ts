import type { DeadQuery } from '../client/dead.ts';
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

export function deadQuery({ workflow, task, code, run, since }: DeadFlags): DeadQuery {
  return {
    ...(workflow === undefined ? {} : { workflow }),
    ...(task === undefined ? {} : { task }),
    ...(code === undefined ? {} : { code }),
    ...(run === undefined ? {} : { run }),
    ...(since === undefined ? {} : { since: milliseconds(since, '--since') }),
  };
}

/** The id of a dead letter whose run is named as runs are: by the start of its id, its key, or @last. */
export async function letterId(engine: Engine, text: string): Promise<string> {
  const at = text.indexOf('/');
  if (at === -1) return text;
  return `${(await findRun(engine, text.slice(0, at), {})).id}${text.slice(at)}`;
}
