import type { Engine } from '../facade.ts';
import { shellWord } from './args.ts';
import type { Cli } from './cli.ts';
import { usage } from './errors.ts';
import { safe } from './text.ts';

export const PLACED_HELP = 'queue:<name> and workflow:<name> mean a queue, and all runs of a workflow.';

interface Placed {
  readonly what: 'queue' | 'workflow';
  readonly name: string;
}

/** `queue:media` and `workflow:order`; null for what means a run. */
export function placedOf(text: string): Placed | null {
  const match = /^(queue|workflow):(.*)$/s.exec(text);
  if (match?.[2] === '') throw usage(`${text} has no name.`);
  return match === null ? null : { what: match[1] as Placed['what'], name: match[2] ?? '' };
}

export async function movePlaced(cli: Cli, { what, name }: Placed, act: 'pause' | 'resume'): Promise<void> {
  const engine = await cli.existing();
  const of: Engine['queues'] = what === 'queue' ? engine.queues : engine.workflows;
  const isChanged = await of[act](name);
  const { out } = cli;
  if (out.format !== 'text') return out.json({ [what]: name, paused: act === 'pause', changed: isChanged });
  const done = act === 'pause' ? 'paused' : 'resumed';
  out.line(
    isChanged
      ? `${done} the ${what} ${safe(name)}`
      : `the ${what} ${safe(name)} ${act === 'pause' ? 'was paused already' : 'was not paused'}`,
  );
  out.next(act === 'pause' ? `pawl resume ${shellWord(`${what}:${name}`)}` : 'pawl ls');
}
