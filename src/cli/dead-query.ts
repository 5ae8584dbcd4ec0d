import type { DeadQuery } from '../client/dead.ts';
import { milliseconds } from './args.ts';

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
