import type { Command } from 'commander';
import type { AnswerReport } from '../client/approvals.ts';
import { isPawlError } from '../core/errors.ts';
import type { Engine } from '../facade.ts';
import { acting } from './acts.ts';
import { payload } from './args.ts';
import type { Cli } from './cli.ts';
import { findRun, WORKFLOW_OPTION, type Narrowed } from './find.ts';
import { safe } from './text.ts';

export interface AnswerFlags extends Narrowed {
  readonly task?: string;
  readonly comment?: string;
  readonly form?: string;
  readonly requestId?: string;
}

/** The options of `pawl approve` and `pawl reject`. */
export function answerOptions(command: Command): Command {
  return command
    .argument('<id>', 'which run')
    .option('--task <task>', 'the approval, where the run waits for several')
    .option('--comment <text>', 'kept with the answer')
    .option('--form <json>', 'what the form asks for: JSON, @file, or - for stdin')
    .option('--request-id <id>', 'the same id within 7 days: the same answer, given once')
    .option(...WORKFLOW_OPTION);
}

export async function answer(cli: Cli, id: string, decision: 'approved' | 'rejected', options: AnswerFlags): Promise<void> {
  const { task, comment, form, requestId } = options;
  cli.requireStore();
  const engine = form === undefined ? await cli.existing() : await cli.engine({ use: (await cli.entry()).use });
  const run = await findRun(engine, id, options);
  const { actor } = acting({});
  const given = {
    ...(actor === undefined ? {} : { actor }),
    ...(task === undefined ? {} : { task }),
    ...(comment === undefined ? {} : { comment }),
    ...(requestId === undefined ? {} : { requestId }),
    ...(form === undefined ? {} : { form: await payload(form, cli.io, 'form') }),
  };
  const say = async ({ approvals }: Engine): Promise<AnswerReport> =>
    decision === 'approved' ? approvals.approve(run.id, given) : approvals.reject(run.id, given);
  const report = await say(engine).catch(async (error: unknown) => {
    if (!isPawlError(error, 'TASK_NO_CODE') || form !== undefined) throw error;
    // It has a form, and none was given: the entry's schema says what is missing.
    const entry = await cli.entry().catch(() => {
      throw error;
    });
    return say(await cli.engine({ use: entry.use }));
  });
  const { out } = cli;
  if (out.format !== 'text') return out.json({ ...report });
  out.line(`${decision} ${safe(report.task)} of ${run.id}`);
  out.next(`pawl show ${run.id}`);
}
