/**
 * The demo: a bill of materials of the packages installed here, made by a worker that is killed halfway.
 *
 *   npm run demo                    this repository
 *   npm run demo -- ../my-project   another project's node_modules
 */
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createEngine } from '../../src/index.ts';
import { compareBodies, countPackages } from './check.ts';
import { problemsOf, summaryOf, type Ending } from './ending.ts';
import { readDiary } from './log.ts';
import { countItems, createView, paint, shown, type View } from './progress.ts';
import { isOver, Watcher } from './watcher.ts';
import { WorkerProcess } from './worker-process.ts';
import { document, sbom } from './workflow.ts';

const HELP = `Usage: npm run demo -- [folder] [--out <folder>] [--pace <ms>]

  folder   a project; its node_modules is scanned.
           Default: this repository, and a few packages made up for the demo
  --out    where database, documents and logs go: a folder that is empty or
           not there. Default: examples/sbom/out, which is emptied first
  --pace   the least time that one package takes. Default: as fast as it goes;
           200 for fewer than 100 packages, so that there is time for the kill`;

interface Job {
  readonly input: { readonly root: string; readonly folders: string[]; readonly out: string; readonly paceMs: number };
  /** Packages by another way of counting than the scan's. */
  readonly counted: number;
}

const here = fileURLToPath(new URL('.', import.meta.url));
const sinceMs = performance.now();

function readArguments(): Job {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { out: { type: 'string' }, pace: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
  });
  if (values.help === true) {
    console.log(HELP);
    process.exit(0);
  }
  const [folder] = positionals;
  if (positionals.length > 1) throw new Error('Give one folder at most.');
  const root = resolve(folder ?? join(here, '../..'));
  if (!existsSync(root)) throw new Error(`There is no folder ${folder}.`);
  const folders = folder === undefined ? ['node_modules', 'examples/sbom/fixtures'] : ['node_modules'];
  const counted = countPackages(root, folders);
  const paceMs = Number(values.pace ?? (counted < 100 ? 200 : 0));
  if (!Number.isInteger(paceMs) || paceMs < 0 || paceMs > 60_000) throw new Error('--pace: give whole milliseconds, at most 60000.');
  return { input: { root, folders, out: prepareOut(values.out), paceMs }, counted };
}

/** The demo's own folder is emptied; any other one must be empty, for what is in it is not ours. */
function prepareOut(given: string | undefined): string {
  const out = resolve(given ?? join(here, 'out'));
  if (given === undefined) rmSync(out, { recursive: true, force: true });
  else if (existsSync(out) && readdirSync(out).length > 0) throw new Error(`--out: ${given} is not empty.`);
  mkdirSync(out, { recursive: true });
  return out;
}

/** No worker stays behind and the cursor comes back, whichever way this process ends. */
function cleanUpAtTheEnd(out: string, watcher: Watcher, view: View): void {
  process.on('exit', () => {
    watcher.worker?.abandon();
    view.end();
  });
  const interrupted = (code: number) => (): void => {
    console.log(`\n  Interrupted. The run is kept in ${shown(join(out, 'demo.db'))}.`);
    process.exit(code);
  };
  process.on('SIGINT', interrupted(130));
  process.on('SIGTERM', interrupted(143));
  process.on('SIGHUP', interrupted(129));
  // Whoever reads the pipe has had enough.
  process.stdout.on('error', () => process.exit(1));
}

async function main({ input, counted }: Job): Promise<number> {
  const { root, out } = input;
  // Only a client: it knows the graph, has no bodies, and never calls work().
  const engine = createEngine({ store: `sqlite:${join(out, 'demo.db')}`, use: [sbom] });
  const run = await engine.start(sbom, input, { key: 'demo' });
  const view = createView(sinceMs);
  const watcher = new Watcher(run, view);
  cleanUpAtTheEnd(out, watcher, view);
  const where = shown(root) === '.' ? 'this repository' : shown(root);
  view.say(`  ${paint('bold', 'Pawl')}  bill of materials of ${where}; its worker will be killed halfway`);

  const first = watcher.employ(new WorkerProcess(out), 'worker 1');
  const half = await watcher.until(({ tasks, packages }) => packages !== null && countItems(tasks).done >= packages / 2);
  watcher.dismiss('nobody works');
  await first.kill();
  const dead = await watcher.look();
  const acknowledged = new Set(watcher.ended);
  const bodiesSince = () => compareBodies(readDiary(join(out, 'bodies.log')), { killedPid: first.pid, acknowledged, ended: watcher.ended });
  const { inFlight } = bodiesSince();
  const done = `${countItems(dead.tasks).done} of ${dead.packages ?? 0} done, ${inFlight.length} in flight`;
  view.say(`  ${paint('red', 'SIGKILL')} to worker 1, pid ${first.pid}: ${done}`);

  const second = watcher.employ(new WorkerProcess(out), 'worker 2');
  await watcher.until(() => false);
  watcher.dismiss('all done');
  await second.stop();
  const last = await watcher.look();
  view.end();

  const made = await run.output(document);
  await engine.close();
  const packageOf = watcher.packageOf.bind(watcher);
  const ending: Ending = { out, counted, last, bodies: bodiesSince(), made, packageOf, wasOver: isOver(half) };
  console.log(summaryOf(ending, sinceMs));
  const problems = problemsOf(ending);
  for (const problem of problems) console.log(`\n  ${paint('red', 'FAIL')}  ${problem}`);
  if (problems.length === 0) console.log('\n  Next: npm run demo -- ../another-project');
  return problems.length === 0 ? 0 : 1;
}

try {
  process.exitCode = await main(readArguments());
} catch (error) {
  console.error(`\n  ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
}
