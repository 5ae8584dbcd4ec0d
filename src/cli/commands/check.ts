import type { Command } from 'commander';
import { obstaclesText, type RunVerdict, type VersionCheck } from '../../client/versions.ts';
import { collectInvalid } from '../../core/define/collecting.ts';
import { graphWarnings } from '../../core/graph/graph-exclusive.ts';
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
    .addHelpText(
      'after',
      `
Nothing is run but the module itself and the builders in it. With --store, the open runs in it are looked at too: which would move to the
versions of the module, which would wait for a worker of their own version, and why. Nothing is written. Exits with 6 where a definition
cannot be built or stored, or where runs would wait.`,
    )
    .action(act((cli, entry: string | undefined) => check(cli, entry)));
}

async function check(cli: Cli, given: string | undefined): Promise<number> {
  const problems: Found[] = [];
  const note = ({ code, message }: PawlError): void => void problems.push({ code, message });
  const entry = await collectInvalid(() => cli.entry(given), note);
  const workflows = await registered(entry, problems);
  const versions = cli.options.store === undefined || problems.length > 0 ? [] : await checkVersions(cli, entry, problems);
  const waiting = versions.flatMap(({ groups }) => groups.filter(({ verdict }) => verdict === 'waits'));
  const warnings = workflows.flatMap(({ name, graph }) =>
    graphWarnings(graph).map(({ code, message }) => ({ code, workflow: name, message })),
  );
  const { out } = cli;
  const file = shownPath(entry.file, cli.io.cwd);
  const shown = workflows.map(({ name, version, tasks, withoutBody }) => ({ name, version, tasks, withoutBody }));
  const ok = problems.length === 0 && waiting.length === 0;
  if (out.format !== 'text')
    out.json({ entry: file, ok, workflows: shown, problems, warnings, ...(cli.options.store === undefined ? {} : { versions }) });
  else tell(cli, { workflows: shown, problems, warnings });
  if (out.format === 'text') tellVersions(cli, versions);
  if (problems.length > 0) {
    if (out.format === 'text')
      out.note(
        `${safe(file)}: ${count(problems.length, 'definition')} cannot be ${cli.options.store === undefined ? 'built' : 'built or stored'}.`,
      );
    return 6;
  }
  if (waiting.length > 0) {
    const runs = waiting.reduce((sum, group) => sum + group.runs, 0);
    if (out.format === 'text') out.note(`${count(runs, 'run')} would wait for a worker of ${runs === 1 ? 'its' : 'their'} own version.`);
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

/** What the deploy of the entry would do to the open runs of the store. */
async function checkVersions(cli: Cli, entry: Entry, problems: Found[]): Promise<readonly VersionCheck[]> {
  cli.requireStore();
  const engine = await cli.engine({ use: entry.use, access: 'read' });
  const versions = await engine.checkVersions();
  for (const { workflow, version, changed } of versions) {
    if (!changed) continue;
    const message = `Workflow "${workflow}" version "${version}" is in the store with another graph.`;
    problems.push({ code: 'CONFIG_VERSION_CHANGED', message });
  }
  return versions;
}

const VERDICTS: Readonly<Record<RunVerdict, string>> = {
  moves: 'move to it',
  waits: 'wait',
  pinned: 'stay: their version is pinned',
  chosen: 'stay: a person moved them there',
  passed: 'move to the newest version in the store',
};

function tellVersions({ out }: Cli, versions: readonly VersionCheck[]): void {
  for (const { workflow, version, newer, groups } of versions) {
    const rest = newer === undefined ? '' : `; version ${safe(newer)} in the store is newer`;
    const none = groups.length === 0 ? ': no open run of another version' : '';
    out.line(`${safe(workflow)}  version ${safe(version)}${rest}${none}`);
    for (const group of groups) {
      const why = group.verdict === 'waits' ? `: ${safe(obstaclesText(group.obstacles))}` : '';
      const workers = group.verdict === 'moves' ? '' : ` (${count(group.workers, 'live worker')} of that version now)`;
      out.line(`    ${count(group.runs, 'run')} of ${safe(group.version)} ${VERDICTS[group.verdict]}${why}${workers}`);
      out.line(`        ${group.examples.join(', ')}${group.runs > group.examples.length ? ', …' : ''}`);
    }
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
