import type { Command } from 'commander';
import type { ActOptions } from '../../client/acts.ts';
import { isRunOver, RUN_STATUSES } from '../../core/kernel/states.ts';
import type { Engine } from '../../facade.ts';
import { acting, actOptions, type ActFlags } from '../acts.ts';
import type { Cli } from '../cli.ts';
import type { Act } from '../commands.ts';
import { confirm, UNASKED } from '../confirm.ts';
import { findRun, ID_HELP, WORKFLOW_OPTION, type Narrowed } from '../find.ts';
import { isQuery, parseQuery, QUERY_HELP } from '../query.ts';
import { count } from '../text.ts';
import { pages } from './ls.ts';

const AT_ONCE = 500;
const OPEN = RUN_STATUSES.filter((status) => !isRunOver[status]);

export function define(command: Command, act: Act): void {
  actOptions(command.argument('<id|query...>', 'which runs').option(...WORKFLOW_OPTION))
    .addHelpText('after', `\n${ID_HELP}\n\n${QUERY_HELP}\n\nMore than ${UNASKED} matches need --yes.`)
    .action(act((cli, words: string[], options: Narrowed & ActFlags) => cancel(cli, words, options)));
}

async function cancel(cli: Cli, words: readonly string[], options: Narrowed & ActFlags): Promise<void> {
  const engine = await cli.existing();
  const ids = isQuery(words) ? await matches(engine, words) : [(await findRun(engine, words.join(' '), options)).id];
  confirm({ matched: ids.length, query: words, command: 'pawl cancel', list: 'pawl ls', yes: cli.options.yes === true });
  const { requestId, ...by } = acting(options);
  // One request id for many runs is one for each.
  const actingOn = (id: string): ActOptions => ({ ...by, ...(requestId === undefined ? {} : { requestId: `${requestId}:${id}` }) });
  const cancelled: string[] = [];
  const over: string[] = [];
  for (let at = 0; at < ids.length; at += AT_ONCE) {
    const some = ids.slice(at, at + AT_ONCE);
    const done = await Promise.all(some.map(async (id) => (await engine.get(id)).cancel(actingOn(id))));
    some.forEach((id, i) => (done[i] === true ? cancelled : over).push(id));
  }
  tell(cli, cancelled, over);
}

/** Open runs; where the query names statuses, those of them that are open. */
async function matches(engine: Engine, words: readonly string[]): Promise<string[]> {
  const filter = parseQuery(words);
  const status = (filter.status ?? OPEN).filter((one) => !isRunOver[one]);
  const ids: string[] = [];
  if (status.length === 0) return ids;
  for await (const run of pages(engine, { ...filter, status }, Infinity)) ids.push(run.id);
  return ids;
}

function tell({ out }: Cli, cancelled: readonly string[], over: readonly string[]): void {
  if (out.format === 'json') return out.json({ cancelled, over });
  if (out.format === 'jsonl') {
    for (const id of cancelled) out.json({ cancelled: id });
    for (const id of over) out.json({ over: id });
    return;
  }
  if (out.isTerminal && cancelled.length > 1) out.line(`${count(cancelled.length, 'run')} cancelled`);
  else for (const id of cancelled) out.line(`cancelled ${id}`);
  for (const id of over) out.note(`${id} was over already, or is cleaning up.`);
  if (cancelled.length + over.length === 0) out.note('No open run fits the query.');
  out.next(cancelled.length === 1 ? `pawl show ${cancelled[0] ?? ''}` : 'pawl ls status:cancelled');
}
