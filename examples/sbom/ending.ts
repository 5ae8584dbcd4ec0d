/** What the demo says when the run is over: what was made, what was checked, what is wrong. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TaskView } from '../../src/index.ts';
import type { Comparison } from './check.ts';
import { paint, seconds, shown, type Snapshot } from './progress.ts';
import type { Made, Package } from './workflow.ts';

export interface Ending {
  readonly out: string;
  /** Packages by another way of counting than the scan's. */
  readonly counted: number;
  readonly last: Snapshot;
  readonly bodies: Comparison;
  readonly made: Made | undefined;
  readonly packageOf: (task: TaskView) => Package | undefined;
  /** The run was over before its worker was killed. */
  readonly wasOver: boolean;
}

/** Everything that must hold; each sentence that comes back is a reason to fail. */
export function problemsOf({ out, counted, last, bodies, made, wasOver }: Ending): string[] {
  const problems: string[] = [];
  const some = (units: readonly string[]): string =>
    `${units.slice(0, 3).join(', ')}${units.length > 3 ? ` and ${units.length - 3} more` : ''}`;
  if (wasOver) problems.push('The run was over before its worker could be killed. Give a larger folder, or --pace 500.');
  if (last.status !== 'success' && last.status !== 'partial') problems.push(`The run is ${last.status}.`);
  if (bodies.repeated.length > 0) problems.push(`Ran again though it was done: ${some(bodies.repeated)}.`);
  if (bodies.unheard.length > 0) problems.push(`Done, says the store, but no body of it ended: ${some(bodies.unheard)}.`);
  if (made === undefined) return [...problems, 'There is no document.'];
  const text = readFileSync(join(out, made.file), 'utf8');
  const { components = [] } = JSON.parse(text) as { components?: unknown[] };
  if (components.length !== counted) {
    problems.push(`The document has ${components.length} packages, another way of counting gives ${counted}.`);
  }
  if (createHash('sha256').update(text).digest('hex') !== made.sha256) problems.push('The document is not the one that the run recorded.');
  return problems;
}

export function summaryOf({ out, counted, last, bodies, made, packageOf }: Ending, sinceMs: number): string {
  const bold = (text: string): string => paint('bold', text);
  const failed = last.tasks.filter((each) => each.item !== undefined && each.status === 'failed');
  const because = failed
    .slice(0, 6)
    .map((each) => `    ${fit(packageOf(each)?.name ?? '', 42)}  ${paint('yellow', each.error?.code ?? each.reason ?? '')}`);
  const file = (name: string, what: string): string => `    ${fit(shown(join(out, name)), 30)}  ${what}`;
  return [
    '',
    failed.length === 0
      ? `  ${bold('Every package has a known licence')}`
      : `  ${bold(`${failed.length} of ${last.packages ?? 0} packages without a known licence:`)} they failed, the run went on`,
    ...because,
    ...(failed.length > because.length ? [`    and ${failed.length - because.length} more, on top of the report`] : []),
    '',
    `  ${bold('Made')} in ${seconds(sinceMs)}`,
    file('bom.json', `CycloneDX 1.6, valid, ${made?.components ?? 0} packages, ${Math.ceil((made?.bytes ?? 0) / 1_000)} kB`),
    file('report.html', 'the same for people'),
    file('demo.db', `the run: ${last.status}, every task and attempt`),
    '',
    `  ${bold('Checked')}`,
    `    ${bodies.began} bodies began, ${bodies.twice.length} of them for the second time;`,
    `    ${bodies.inFlight.length} were in flight at the kill, and only those may run again`,
    `    ${counted} packages by another way of counting`,
  ].join('\n');
}

function fit(text: string, width: number): string {
  return (text.length > width ? `${text.slice(0, width - 1)}…` : text).padEnd(width);
}
