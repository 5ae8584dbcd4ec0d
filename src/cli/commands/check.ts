import type { Command } from 'commander';
import { collectInvalid } from '../../core/collecting.ts';
import { graphWarnings } from '../../core/graph-exclusive.ts';
import { isPawlError, type PawlError } from '../../core/errors.ts';
import type { RegisteredWorkflow } from '../../facade.ts';
import { shellWord } from '../args.ts';
import type { Cli } from '../cli.ts';
import type { Act } from '../commands.ts';
import { shownPath } from '../config.ts';
import type { Entry } from '../entry.ts';
import { count, safe, safeLines } from '../text.ts';

interface Found {
  readonly code: string;
  readonly message: string;
}

export function define(command: Command, act: Act): void {
  command
    .argument('[entry]', 'the module that exports your workflows and tasks')
    .addHelpText('after', '\nNo store is opened and nothing is run but the module itself and the builders in it.')
    .action(act((cli, entry: string | undefined) => check(cli, entry)));
}

async function check(cli: Cli, given: string | undefined): Promise<number> {
  const problems: Found[] = [];
  const note = ({ code, message }: PawlError): void => void problems.push({ code, message });
  const entry = await collectInvalid(() => cli.entry(given), note);
  const workflows = await registered(entry, problems);
  const warnings = workflows.flatMap(({ name, graph }) =>
    graphWarnings(graph).map(({ code, message }) => ({ code, workflow: name, message })),
  );
  const { out } = cli;
  const file = shownPath(entry.file, cli.io.cwd);
  const shown = workflows.map(({ name, version, tasks, withoutBody }) => ({ name, version, tasks, withoutBody }));
  if (out.format !== 'text') out.json({ entry: file, ok: problems.length === 0, workflows: shown, problems, warnings });
  else tell(cli, { workflows: shown, problems, warnings });
  if (problems.length > 0) {
    if (out.format === 'text') out.note(`${safe(file)}: ${count(problems.length, 'definition')} cannot be built.`);
    return 6;
  }
  out.next(shown[0] === undefined ? 'pawl dev' : `pawl start ${shellWord(shown[0].name)} --dry-run`);
  return 0;
}

/** What is registered by name, once all of it could be built. */
async function registered(entry: Entry, problems: Found[]): Promise<readonly RegisteredWorkflow[]> {
  if (problems.length > 0) return [];
  const { createEngine } = await import('../../compose.ts');
  try {
    return createEngine({ store: 'sqlite::memory:', use: entry.use }).registered.workflows;
  } catch (error) {
    if (!isPawlError(error)) throw error;
    problems.push({ code: error.code, message: error.message });
    return [];
  }
}

type Shown = Pick<RegisteredWorkflow, 'name' | 'version' | 'tasks' | 'withoutBody'>;

interface Told {
  readonly workflows: readonly Shown[];
  readonly problems: readonly Found[];
  readonly warnings: readonly (Found & { readonly workflow: string })[];
}

function tell({ out }: Cli, { workflows, problems, warnings }: Told): void {
  for (const { name, version, tasks, withoutBody } of workflows) {
    out.line(`${out.paint('green', 'ok')}  ${safe(name)}  version ${safe(version)}, ${count(tasks, 'task')}`);
    if (withoutBody.length > 0) out.line(`    no body here for ${withoutBody.map(safe).join(', ')}`);
  }
  for (const { workflow, message } of warnings) out.line(`${out.paint('yellow', 'warning')}  ${safe(workflow)}: ${safeLines(message)}`);
  for (const { code, message } of problems) out.line(`${out.paint('red', code)}  ${safeLines(message)}`);
}
