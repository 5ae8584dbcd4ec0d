/** At least once, never two holders; what is acknowledged does not run again. */
import type { History, Life, Violation } from './history.ts';
import { taskKey, type BodyRecord } from './records.ts';

interface Attempt {
  readonly life: Life;
  readonly number: number;
  readonly begunAt: number;
  end: { readonly type: 'ok' | 'fail'; readonly at: number } | null;
}

export function checkAttempts(history: History): Violation[] {
  return [...checkSuccession(history.lives), ...checkAcknowledged(history), ...checkEvidence(history), ...checkSteps(history.lives)];
}

/** The attempts of each task, in the order of their begin. */
function attemptsByTask(lives: readonly Life[]): Map<string, Attempt[]> {
  const byTask = new Map<string, Attempt[]>();
  for (const life of lives) {
    const own = new Map<string, Attempt>();
    for (const record of life.bodies) {
      const task = taskKey(record);
      const id = `${task} ${record.attempt}`;
      if (record.type === 'begin') {
        const attempt: Attempt = { life, number: record.attempt, begunAt: record.at, end: null };
        own.set(id, attempt);
        const others = byTask.get(task);
        if (others === undefined) byTask.set(task, [attempt]);
        else others.push(attempt);
      } else if (record.type === 'ok' || record.type === 'fail') {
        const attempt = own.get(id);
        if (attempt !== undefined) attempt.end = { type: record.type, at: record.at };
      }
    }
  }
  for (const attempts of byTask.values()) attempts.sort((a, b) => a.begunAt - b.begunAt);
  return byTask;
}

/** Each attempt with the one before it. */
function* successions(lives: readonly Life[]): Generator<{ task: string; before: Attempt; next: Attempt }> {
  for (const [task, attempts] of attemptsByTask(lives)) {
    for (const [i, next] of attempts.entries()) {
      const before = attempts[i - 1];
      if (before !== undefined) yield { task, before, next };
    }
  }
}

/** A body whose failure led to a retry did not run again for nothing. */
const isRetry = (before: Attempt, next: Attempt): boolean => before.end?.type === 'fail' && before.end.at <= next.begunAt;

/** Bodies that ran again although the attempt before them had not failed. */
export function countRepeated(lives: readonly Life[]): number {
  let repeated = 0;
  for (const { before, next } of successions(lives)) if (!isRetry(before, next)) repeated++;
  return repeated;
}

/** No attempt starts until the one before it has ended, or its process is dead. */
function checkSuccession(lives: readonly Life[]): Violation[] {
  const violations: Violation[] = [];
  for (const { task, before, next } of successions(lives)) {
    const both = `${task}: attempt ${before.number} in ${before.life.name}, attempt ${next.number} in ${next.life.name}`;
    if (next.number <= before.number) violations.push({ rule: 'attempt-number', text: both });
    if (isRetry(before, next) || before.life.aliveUntil < next.begunAt) continue;
    const ended = before.end !== null && before.end.at <= next.begunAt;
    if (ended) violations.push({ rule: 'repeated-without-cause', text: `${both}: the first had returned, and its process lived` });
    else violations.push({ rule: 'overlap', text: `${both}: the second began while the first was running` });
  }
  return violations;
}

/** An outcome is acknowledged when a snapshot has it, or a client has the result of its run: no begin of that task comes later. */
function checkAcknowledged({ lives, snapshots, client }: History): Violation[] {
  const tasks = new Map<string, number>();
  for (const { ended, at } of snapshots) for (const task of ended.keys()) if (!tasks.has(task)) tasks.set(task, at);
  const runs = new Map<string, number>();
  for (const record of client) if (record.type === 'result') runs.set(record.run, Math.min(record.at, runs.get(record.run) ?? Infinity));
  const violations: Violation[] = [];
  for (const { life, record } of beginsOf(lives)) {
    const task = taskKey(record);
    const begun = `${task}: attempt ${record.attempt} began in ${life.name}`;
    if (record.at > (tasks.get(task) ?? Infinity))
      violations.push({ rule: 'ran-again', text: `${begun}, after the store had its outcome` });
    if (record.at > (runs.get(record.run) ?? Infinity))
      violations.push({ rule: 'ran-again', text: `${begun}, after a client had the result of the run` });
  }
  return violations;
}

function* beginsOf(lives: readonly Life[]): Generator<{ life: Life; record: BodyRecord }> {
  for (const life of lives) for (const record of life.bodies) if (record.type === 'begin') yield { life, record };
}

/** A success is that of an attempt whose body returned. */
function checkEvidence({ lives, final }: History): Violation[] {
  const returned = new Set<string>();
  for (const { bodies } of lives) for (const body of bodies) if (body.type === 'ok') returned.add(`${taskKey(body)} ${body.attempt}`);
  const violations: Violation[] = [];
  for (const [task, { status, attempt }] of final.ended) {
    if (status !== 'success' || attempt === 0 || returned.has(`${task} ${attempt}`)) continue;
    violations.push({ rule: 'invented', text: `${task} is success by attempt ${attempt}, whose body never returned` });
  }
  return violations;
}

/** A finished step is not run again, and gives the same value ever after. */
function checkSteps(lives: readonly Life[]): Violation[] {
  const violations: Violation[] = [];
  const values = new Map<string, { value: string; at: number }>();
  const records = lives.flatMap((life) => life.bodies.filter((record) => record.type === 'step' || record.type === 'stepped'));
  for (const record of records.toSorted((a, b) => a.at - b.at)) {
    const step = `${taskKey(record)}, step ${record.step}`;
    const known = values.get(step);
    if (record.type === 'step') {
      if (known !== undefined)
        violations.push({ rule: 'step-again', text: `${step} ran in attempt ${record.attempt}, after it was recorded` });
    } else if (known === undefined) values.set(step, record);
    else if (known.value !== record.value)
      violations.push({ rule: 'step-changed', text: `${step}: ${known.value}, later ${record.value}` });
  }
  return violations;
}
