import { countRepeated } from './check-attempts.ts';
import { check } from './check.ts';
import type { History, Violation } from './history.ts';
import { OVER } from './kill-plan.ts';
import type { Trial } from './trial.ts';

export interface Report {
  readonly harness: 'kill' | 'multi';
  readonly seed: number;
  /** Acknowledged to the client. */
  readonly runs: number;
  readonly bodies: number;
  readonly killPoints: number;
  /** Kills while more than 50 bodies were running. */
  readonly killsOver50: number;
  readonly restarts: number;
  /** Bodies that ran again because of a kill. */
  readonly repeated: number;
  /** Attempts that the killed workers held. */
  readonly inFlight: number;
  readonly violations: readonly Violation[];
  /** Where store and records lie; kept where there are violations. */
  readonly folder: string;
}

/** Of the kills at write points, so many must have come while more than 50 bodies were running. */
const LEAST_OVER = 0.8;
/** Below so many kills a share says nothing. */
const KILLS_FOR_SHARE = 10;

export function reportOf(harness: Report['harness'], trial: Trial, { seed, mustShare }: { seed: number; mustShare: boolean }): Report {
  const history = trial.history(mustShare);
  const running = harness === 'kill' ? trial.kills.map((report) => report.running) : trial.snapshots.map((snapshot) => snapshot.inFlight);
  const killsOver50 = running.filter((bodies) => bodies > OVER).length;
  const violations = check(history);
  if (harness === 'kill' && running.length >= KILLS_FOR_SHARE && killsOver50 < LEAST_OVER * running.length) {
    violations.push({
      rule: 'idle-kills',
      text: `only ${killsOver50} of ${running.length} kills came while more than ${OVER} bodies were running`,
    });
  }
  return {
    harness,
    seed,
    runs: acknowledged(history),
    bodies: history.lives.reduce((sum, life) => sum + life.bodies.filter((record) => record.type === 'begin').length, 0),
    killPoints: running.length,
    killsOver50,
    restarts: trial.restarts,
    repeated: countRepeated(history.lives),
    inFlight: history.snapshots.reduce((sum, snapshot) => sum + snapshot.inFlight, 0),
    violations,
    folder: trial.folder,
  };
}

function acknowledged({ client }: History): number {
  return new Set(client.flatMap((record) => (record.type === 'ack' ? [record.run] : []))).size;
}

/** So many violations of one rule are shown. */
const SHOWN = 5;
const LONGEST = 300;

export function asText(report: Report): string {
  const { harness, seed, runs, bodies, killPoints, killsOver50, restarts, repeated, inFlight, violations, folder } = report;
  const lines = [
    `${harness}: seed ${seed}`,
    `  ${runs} runs acknowledged, ${bodies} bodies begun`,
    `  ${killPoints} kills, ${killsOver50} of them while more than ${OVER} bodies were running; ${restarts} restarts`,
    `  ${repeated} bodies ran again, ${inFlight} were in flight at the kills`,
    `  ${violations.length} violations${violations.length === 0 ? '' : `; store and records: ${folder}`}`,
  ];
  for (const [rule, found] of Map.groupBy(violations, (violation) => violation.rule)) {
    lines.push(`    ${rule}: ${found.length}`, ...found.slice(0, SHOWN).map(({ text }) => `      ${text.slice(0, LONGEST)}`));
  }
  return lines.join('\n');
}
