/** How the demo shows what happens: a small tree that is redrawn in a terminal, plain lines in a pipe. */
import { relative } from 'node:path';
import { styleText } from 'node:util';
import type { RunStatus, TaskView } from '../../src/index.ts';

export interface Snapshot {
  readonly status: RunStatus;
  readonly tasks: readonly TaskView[];
  /** Items of the map; null before the scan has told. */
  readonly packages: number | null;
  /** What is said of the worker. */
  readonly worker: string;
}

export interface Counts {
  readonly ok: number;
  readonly failed: number;
  readonly running: number;
  readonly done: number;
}

export interface View {
  show(snapshot: Snapshot): void;
  /** A line that stays. */
  say(line: string): void;
  /** The last picture stays; the cursor is back. */
  end(): void;
}

type Colour = Parameters<typeof styleText>[0];

/** Colour where the terminal has it and NO_COLOR does not forbid it. */
export function paint(colour: Colour, text: string): string {
  return styleText(colour, text, { stream: process.stdout });
}

export function countItems(tasks: readonly TaskView[]): Counts {
  const count = (...statuses: TaskView['status'][]): number =>
    tasks.filter((each) => each.item !== undefined && statuses.includes(each.status)).length;
  const [ok, failed] = [count('success'), count('failed', 'cancelled')];
  return { ok, failed, running: count('running'), done: ok + failed };
}

/** As a person in this folder would type it. */
export function shown(path: string): string {
  return relative(process.cwd(), path) || '.';
}

export function seconds(sinceMs: number): string {
  return `${((performance.now() - sinceMs) / 1_000).toFixed(1)} s`;
}

export function createView(sinceMs: number): View {
  // A terminal too narrow for the tree would break its lines, and the next picture would not lie on the last one.
  const canRedraw = process.stdout.isTTY && process.stdout.columns >= 78 && process.env['TERM'] !== 'dumb';
  return canRedraw ? terminalView(sinceMs) : plainView(sinceMs);
}

// --- a terminal -----------------------------------------------------------------------------------------------------------------------

/** Goes up and writes over the old lines, all in one write: nothing is ever blank in between, so nothing flickers. */
function terminalView(sinceMs: number): View {
  let drawn = 0;
  let last: Snapshot | null = null;
  const draw = (before: readonly string[]): void => {
    const lines = [...before, ...(last === null ? [] : tree(last, sinceMs))];
    const up = drawn === 0 ? '' : `\x1b[${drawn}A`;
    process.stdout.write(`\x1b[?25l${up}\r${lines.map((line) => `${line}\x1b[K\n`).join('')}\x1b[J`);
    drawn = lines.length - before.length;
  };
  return {
    show: (snapshot) => {
      last = snapshot;
      draw([]);
    },
    say: (line) => draw([line]),
    end: () => void process.stdout.write('\x1b[?25h'),
  };
}

function tree({ status, tasks, packages, worker }: Snapshot, sinceMs: number): string[] {
  const columns = Math.min(process.stdout.columns, 80);
  const { ok, failed, running, done } = countItems(tasks);
  const stateOf = (id: string): string => stateText(tasks.find((each) => each.task === id && each.item === undefined)?.status ?? 'pending');
  const total = packages ?? 0;
  const facts = [
    paint('green', `${ok} with a licence`),
    failed === 0 ? '0 without' : paint('yellow', `${failed} without`),
    `${running} running`,
    `${total - done - running} waiting`,
  ];
  const counted = packages === null ? '' : `${done} of ${total}`;
  const width = columns - 17 - counted.length - 3;
  const grey = (text: string): string => paint('dim', text);
  return [
    '',
    `  ${paint('bold', 'sbom')}  ${status.padEnd(columns - 20)}${seconds(sinceMs).padStart(10)}`,
    `  ${grey('├─')} scan      ${stateOf('scan')}`,
    `  ${grey('├─')} inspect   ${packages === null ? stateOf('inspect') : `${bar(done, failed, total, width)}  ${counted}`}`,
    `  ${grey('│')}            ${packages === null ? '' : facts.join(grey(' · '))}`,
    `  ${grey('├─')} document  ${stateOf('document')}`,
    `  ${grey('└─')} report    ${stateOf('report')}`,
    '',
    `  ${worker}`,
  ];
}

function bar(done: number, failed: number, total: number, width: number): string {
  const cells = (count: number): number => (total === 0 ? 0 : Math.floor((count / total) * width));
  const bad = failed === 0 ? 0 : Math.max(1, cells(failed));
  const good = Math.max(0, cells(done) - bad);
  return paint('green', '━'.repeat(good)) + paint('yellow', '━'.repeat(bad)) + paint('dim', '╌'.repeat(Math.max(0, width - good - bad)));
}

function stateText(status: TaskView['status']): string {
  if (status === 'success') return paint('green', '✓ done');
  if (status === 'running') return paint('cyan', '● running');
  if (status === 'pending' || status === 'queued') return paint('dim', '· waiting');
  return paint('red', `✗ ${status}`);
}

// --- a pipe ---------------------------------------------------------------------------------------------------------------------------

const PLAIN_EVERY_MS = 1_000;

/** A line when a task moves, and one a second while the map goes on. */
function plainView(sinceMs: number): View {
  const said = new Set<string>();
  let countedAt = -Infinity;
  let counted = '';
  const line = (text: string): void => console.log(`${seconds(sinceMs).padStart(7)}  ${text}`);
  const count = (tasks: readonly TaskView[], packages: number): void => {
    const { ok, failed, running, done } = countItems(tasks);
    const text = `inspect   ${done} of ${packages}: ${ok} with a licence, ${failed} without, ${running} running`;
    const isDue = performance.now() - countedAt >= PLAIN_EVERY_MS || done === packages;
    if (text === counted || !isDue || done + running === 0) return;
    [countedAt, counted] = [performance.now(), text];
    line(text);
  };
  return {
    show: ({ tasks, packages }) => {
      if (packages !== null) count(tasks, packages);
      for (const { task, item, status } of tasks) {
        if (item !== undefined || status === 'pending' || status === 'queued' || said.has(`${task} ${status}`)) continue;
        said.add(`${task} ${status}`);
        line(`${task.padEnd(9)} ${status}`);
      }
    },
    say: (text) => line(text.trim()),
    end: () => undefined,
  };
}
