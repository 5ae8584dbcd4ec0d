import { existsSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { Option, type Command } from 'commander';
import type { RunView } from '../../client/views.ts';
import { PawlError, isPawlError } from '../../core/errors.ts';
import { RUN_ID_LENGTH } from '../../core/ids.ts';
import type { Engine } from '../../facade.ts';
import { shellWord } from '../args.ts';
import type { Cli } from '../cli.ts';
import type { Act } from '../commands.ts';
import { hasEntry, storeFile } from '../config.ts';
import { drawingLines, PLAIN, runDrawing } from '../drawing.ts';
import { isPawlLike, type Entry } from '../entry.ts';
import { cannotWrite, usage } from '../errors.ts';
import { findRun, ID_HELP } from '../find.ts';
import { drawMermaid } from '../graph/mermaid.ts';
import { drawnGraph, type DrawnGraph } from '../graph/model.ts';
import { drawSvg } from '../graph/svg.ts';

const FORMATS = ['term', 'mermaid', 'svg', 'json'] as const;
type Format = (typeof FORMATS)[number];

interface Options {
  readonly term?: boolean;
  readonly mermaid?: boolean;
  readonly svg?: boolean;
  readonly ascii?: boolean;
  readonly output?: string;
}

/** What is drawn, and what one would do with it next. */
interface Found {
  readonly drawn: DrawnGraph;
  readonly run?: Pick<RunView, 'id' | 'status'>;
  readonly next: string;
}

export function define(command: Command, act: Act): void {
  command
    .argument('<workflow|id>', 'a workflow of the entry or of the store, or a run')
    .addOption(new Option('--term', 'boxes and lines for a terminal (default)').conflicts(['mermaid', 'svg']))
    .addOption(new Option('--mermaid', 'a Mermaid flowchart, for Markdown').conflicts(['svg']))
    .option('--svg', 'an SVG document that needs nothing else')
    .option('--ascii', 'with --term: no other characters than ASCII')
    .option('-o, --output <file>', 'write it there; .svg, .mmd and .json say what to write')
    .addHelpText(
      'after',
      `\nOf a run every task shows how it stands. Of a workflow that the entry does not have, the graph of its newest run is drawn.\n${ID_HELP}`,
    )
    .action(act((cli, text: string, options: Options) => graph(cli, text, options)));
}

async function graph(cli: Cli, text: string, options: Options): Promise<void> {
  const format = formatOf(cli, options);
  if (options.ascii === true && format !== 'term') throw usage('--ascii goes with --term.');
  const found = await lookUp(cli, text);
  const written = { term: termText, mermaid: drawMermaid, svg: drawSvg, json: jsonText }[format];
  const drawing = written(found.drawn, { cli, found, options });
  if (options.output !== undefined) return write(cli, options.output, drawing);
  cli.out.stdout.write(drawing);
  if (format === 'term') cli.out.next(found.next);
}

const BY_NAME: readonly (readonly [RegExp, Format])[] = [
  [/\.svg$/i, 'svg'],
  [/\.(mmd|mermaid)$/i, 'mermaid'],
  [/\.jsonl?$/i, 'json'],
];

function formatOf({ out }: Cli, options: Options): Format {
  const given = FORMATS.find((one) => one !== 'json' && options[one] === true);
  if (out.format !== 'text') {
    if (given !== undefined) throw usage(`--${given} and --json: give one of them.`);
    return 'json';
  }
  return given ?? BY_NAME.find(([name]) => name.test(options.output ?? ''))?.[1] ?? 'term';
}

interface Context {
  readonly cli: Cli;
  readonly found: Found;
  readonly options: Options;
}

function termText(drawn: DrawnGraph, { cli, options: { ascii, output } }: Context): string {
  const lines = drawingLines(drawn, output === undefined ? cli.out : PLAIN, { ascii: ascii === true });
  return lines.map((line) => `${line}\n`).join('');
}

function jsonText({ workflow, nodes, edges }: DrawnGraph, { cli, found }: Context): string {
  const nameOf = (index: number): string | undefined => nodes[index]?.id;
  const document = {
    workflow,
    ...(found.run === undefined ? {} : { run: { id: found.run.id, status: found.run.status } }),
    nodes: nodes.map(({ id, kind, facts, state }) => ({ id, kind, facts, ...state })),
    edges: edges.map(({ from, to, kind, label }) => ({ from: nameOf(from), to: nameOf(to), kind, ...(label === '' ? {} : { label }) })),
  };
  return cli.out.jsonText(document);
}

function write({ io, out }: Cli, file: string, text: string): void {
  try {
    writeFileSync(resolve(io.cwd, file), text);
  } catch (error) {
    throw cannotWrite(file, error);
  }
  out.note(`wrote ${file}`);
}

/** A workflow's name goes before a run's key and the start of an id: those can be told apart in other ways. */
async function lookUp(cli: Cli, text: string): Promise<Found> {
  const isRun = text.startsWith('@') || (text.length === RUN_ID_LENGTH && /^[0-9a-z]+$/.test(text));
  const { entry, failure }: Loaded = isRun ? { entry: null, failure: null } : await entryOf(cli);
  const workflow = entry?.workflows.find((one) => one.name === text);
  if (workflow !== undefined) return { drawn: drawnGraph(workflow.graph), next: `pawl start ${shellWord(text)} --dry-run` };
  const file = storeFile(cli.store);
  if (isRun || (file !== null && existsSync(file))) {
    const found = await inStore(cli, await cli.reader(), text);
    if (found !== null) return found;
  }
  if (failure !== null) throw failure;
  const known = entry?.workflows.map((one) => one.name) ?? [];
  throw new PawlError('RUN_UNKNOWN_WORKFLOW', `There is no workflow and no run ${JSON.stringify(text.slice(0, 60))}.`, {
    fix: known.length === 0 ? 'Name a workflow of your entry (--entry), or a run.' : `The entry has these workflows: ${known.join(', ')}.`,
    details: { known },
  });
}

interface Loaded {
  readonly entry: Entry | null;
  readonly failure: PawlError | null;
}

/** A run's graph can be drawn without an entry, also while that is broken. */
async function entryOf(cli: Cli): Promise<Loaded> {
  if (!hasEntry(cli.options.entry, cli.io)) return { entry: null, failure: null };
  try {
    return { entry: await cli.entry(), failure: null };
  } catch (error) {
    if (!isPawlLike(error)) throw error;
    return { entry: null, failure: error };
  }
}

async function inStore(cli: Cli, engine: Engine, text: string): Promise<Found | null> {
  const [newest] = text.startsWith('@') ? [] : (await engine.runs.list({ workflow: text, limit: 1 })).runs;
  if (newest !== undefined) {
    const drawn = drawnGraph(await (await engine.get(newest.id)).graph());
    return { drawn, next: `pawl ls ${shellWord(`wf:${text}`)}` };
  }
  try {
    const run = await findRun(engine, text, {});
    const detail = await run.inspect({ items: true });
    return { drawn: runDrawing(await run.graph(), detail), run: detail, next: `pawl show ${detail.id}` };
  } catch (error) {
    if (isPawlError(error, 'RUN_NOT_FOUND') && !text.startsWith('@') && text.length !== RUN_ID_LENGTH) return null;
    throw error;
  }
}
