import type { ItemCounts, RunDetail, TaskDetail } from '../client/inspect.ts';
import type { WaitReason } from '../core/why/why-capacity.ts';
import { isTerminal, TASK_STATUSES, type TaskStatus } from '../core/kernel/states.ts';
import type { Output } from './output.ts';
import { plain } from './plain.ts';
import { STATUS, statusText } from './status.ts';
import { table, type Column } from './table.ts';
import { clip, safe } from './text.ts';
import { ageText, clockText, lengthText } from './time.ts';

/** In a pipe a payload is cut here; `--input` and `--output` print all of it. */
const PAYLOAD_COLUMNS = 200;

const TASKS: readonly Column[] = [
  { title: 'TASK', least: 12 },
  { title: 'STATUS' },
  { title: 'ATTEMPT', align: 'right' },
  { title: 'TOOK', align: 'right' },
  { title: '', least: 10 },
];

interface Screen {
  readonly now: number;
  /** So many lines at most, as far as tasks can be left out. */
  readonly room?: number;
}

/** A run on a screen: what it is, its payloads, its tasks. */
export function runLines(run: RunDetail, out: Output, { now, room = Infinity }: Screen): string[] {
  const { columns } = out;
  const head = [
    out.paint('bold', safe(run.workflow)),
    run.id,
    statusText(run.waiting === true ? 'waiting' : run.status, out),
    ...timing(run, now),
  ];
  const facts = [
    ...(run.key === undefined ? [] : [`key ${safe(run.key)}`]),
    ...(run.schedule === undefined ? [] : [`schedule ${safe(run.schedule)}, due ${run.dueAt?.toISOString() ?? ''}`]),
    ...(run.tags.length === 0 ? [] : [`tags ${run.tags.map(safe).join(', ')}`]),
    `version ${safe(run.version)}`,
    ...(run.reason === undefined ? [] : [`reason ${run.reason}`]),
    ...(run.deadlineAt === undefined ? [] : [`deadline ${run.deadlineAt.toISOString()}`]),
  ];
  const lines = [head.join('  '), facts.join(' · ')];
  if (run.quarantined !== undefined) lines.push(out.paint('red', `quarantined: ${safe(run.quarantined)}`));
  if ('input' in run) lines.push(payloadLine('input', run.input, columns));
  if ('output' in run) lines.push(payloadLine('output', run.output, columns));
  const { shown, others } = chosen(run.tasks, room - lines.length - 2);
  const rows = shown.map((task) => taskRow(task, out, now));
  return [...lines.map((line) => (columns === undefined ? line : clip(line, columns))), '', ...table(TASKS, rows, columns), ...others];
}

/** Where not all tasks have room: what one looks at first. */
const INTEREST: readonly (readonly TaskStatus[])[] = [
  ['running', 'retrying', 'waiting'],
  ['failed'],
  ['queued'],
  ['pending'],
  ['upstream_failed', 'cancelled', 'success', 'skipped'],
];

/** As many as there is room for, in their order, and a line that counts the others. */
function chosen(tasks: readonly TaskDetail[], room: number): { readonly shown: readonly TaskDetail[]; readonly others: readonly string[] } {
  if (tasks.length <= room) return { shown: tasks, others: [] };
  const byInterest = INTEREST.flatMap((statuses) => tasks.filter((task) => statuses.includes(task.status)));
  const some = new Set(byInterest.slice(0, Math.max(0, room - 1)));
  const left = Map.groupBy(
    tasks.filter((task) => !some.has(task)),
    (task) => task.status,
  );
  const counts = TASK_STATUSES.flatMap((status) => (left.has(status) ? [`${left.get(status)?.length} ${STATUS[status].label}`] : []));
  return { shown: tasks.filter((task) => some.has(task)), others: [`… and ${counts.join(', ')}`] };
}

function timing(run: RunDetail, now: number): string[] {
  const took = (run.finishedAt?.getTime() ?? now) - (run.startAt ?? run.acceptedAt).getTime();
  if (run.status === 'scheduled') return [`starts ${ageText(run.startAt ?? run.acceptedAt, now)}`];
  return run.finishedAt === undefined ? [`for ${lengthText(took)}`] : [ageText(run.finishedAt, now), `took ${lengthText(took)}`];
}

function payloadLine(name: string, value: unknown, columns: number | undefined): string {
  return clip(`${name.padEnd(6)} ${safe(JSON.stringify(plain(value)) ?? 'null')}`, columns ?? PAYLOAD_COLUMNS);
}

function taskRow(task: TaskDetail, out: Output, now: number): string[] {
  const name = task.item === undefined ? safe(task.task) : `  ${safe(task.task)} #${task.item}`;
  const ended = task.finishedAt?.getTime() ?? (isTerminal[task.status] || task.status === 'retrying' ? undefined : now);
  const took = task.startedAt === undefined || ended === undefined ? '' : lengthText(ended - task.startedAt.getTime());
  return [name, statusText(task.status, out), task.attempt === 0 ? '' : String(task.attempt), took, noteOf(task, now)];
}

const WAITS: Readonly<Record<WaitReason, string>> = {
  worker: 'waits for a worker',
  pool: 'waits for a pool',
  key: 'waits for its key',
  rate: 'waits for its rate',
  paused: 'paused',
  version: 'waits for a worker of its version',
};

function noteOf(task: TaskDetail, now: number): string {
  const notes = [
    ...(task.items === undefined ? [] : [itemsText(task.items)]),
    ...(task.waitReason === undefined ? [] : [WAITS[task.waitReason]]),
    ...(task.dueAt === undefined ? [] : [`next attempt ${ageText(task.dueAt, now)}`]),
    ...(task.error === undefined
      ? task.reason === undefined
        ? []
        : [task.reason]
      : [`${safe(task.error.code)}: ${safe(task.error.message)}`]),
  ];
  return notes.join('; ');
}

/** `12/40 ok, 1 failed`. */
export function itemsText({ total, ok, failed, cancelled, skipped }: ItemCounts): string {
  const others = Object.entries({ failed, cancelled, skipped }).filter(([, n]) => n > 0);
  return [`${ok}/${total} ok`, ...others.map(([word, n]) => `${n} ${word}`)].join(', ');
}

const ATTEMPTS: readonly Column[] = [
  { title: 'TASK', least: 12 },
  { title: 'ATTEMPT', align: 'right' },
  { title: 'OUTCOME' },
  { title: 'AT' },
  { title: 'TOOK', align: 'right' },
  { title: 'ERROR', least: 10 },
];

/** The failed attempts of all tasks; none where none failed. */
export function attemptLines(run: RunDetail, out: Output): string[] {
  const rows = run.tasks.flatMap((task) =>
    task.attempts.map((one) => [
      `${safe(task.task)}${task.item === undefined ? '' : ` #${task.item}`}`,
      String(one.attempt),
      one.outcome,
      out.isTerminal ? clockText(one.startedAt) : one.startedAt.toISOString(),
      lengthText(one.endedAt.getTime() - one.startedAt.getTime()),
      one.error === undefined ? one.reason : `${safe(one.error.code)}: ${safe(one.error.message)}`,
    ]),
  );
  return rows.length === 0 ? [] : ['', ...table(ATTEMPTS, rows, out.columns)];
}

const KIN_SHOWN = 20;

/** The run that a run is a part of, and the runs that are parts of it. */
export function kinLines({ parent, children = [] }: RunDetail): string[] {
  const lines = children.slice(0, KIN_SHOWN).map(({ id, workflow, status, task, item, call }) => {
    const place = `${safe(task)}${item === undefined ? '' : ` #${item}`}${call === undefined ? '' : ` ${safe(call)}`}`;
    return `  ${place}  ${id}  ${safe(workflow)}  ${status}`;
  });
  const more = children.length > KIN_SHOWN ? [`  … ${children.length - KIN_SHOWN} more`] : [];
  return [
    ...(parent === undefined ? [] : ['', `part of ${parent.id} (${safe(parent.workflow)})`]),
    ...(lines.length === 0 ? [] : ['', 'runs inside:', ...lines, ...more]),
  ];
}
