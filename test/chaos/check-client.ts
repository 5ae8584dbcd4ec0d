/** What clients were told must be true, and stay true. */
import type { History, StoredRun, Violation } from './history.ts';
import type { ClientRecord } from './records.ts';

type Records<T extends ClientRecord['type']> = Extract<ClientRecord, { type: T }>[];

const of = <T extends ClientRecord['type']>(records: readonly ClientRecord[], type: T): Records<T> =>
  records.filter((record) => record.type === type) as Records<T>;

export function checkClient({ client, final }: History): Violation[] {
  return [...checkAccepted(client, final.runs), ...checkResults(client), ...checkKeys(client, final.runs)];
}

/** Accepted means kept: what `start` has acknowledged is there, and ends as success. */
function checkAccepted(client: readonly ClientRecord[], runs: readonly StoredRun[]): Violation[] {
  const stored = new Set(runs.map(({ run }) => run));
  const acknowledged = new Set(of(client, 'ack').map(({ run }) => run));
  const lost = [...acknowledged].filter((run) => !stored.has(run));
  const others = runs.filter(({ status }) => status !== 'success');
  return [
    ...lost.map((run) => ({ rule: 'accepted-lost', text: `run ${run} was acknowledged and does not exist` })),
    ...others.map(({ run, workflow, status }) => ({ rule: 'not-success', text: `run ${run} of ${workflow} is ${status}` })),
  ];
}

function checkResults(client: readonly ClientRecord[]): Violation[] {
  const results = of(client, 'result');
  const given = new Set(results.map(({ run }) => run));
  const waiting = new Set(of(client, 'ack').flatMap(({ run }) => (given.has(run) ? [] : [run])));
  return [
    ...results.flatMap(({ run, problem }) =>
      problem === undefined ? [] : [{ rule: 'wrong-result', text: `the result of run ${run}: ${problem}` }],
    ),
    ...[...waiting].map((run) => ({ rule: 'no-result', text: `run ${run} was acknowledged, and its result never came` })),
  ];
}

/** The same key gives the same run, and one `start` at most is told that it created it. */
function checkKeys(client: readonly ClientRecord[], runs: readonly StoredRun[]): Violation[] {
  const violations: Violation[] = [];
  const runsOf = new Map<string, Set<string>>();
  const created = new Map<string, number>();
  const add = (key: string, run: string): void => {
    const known = runsOf.get(key);
    if (known === undefined) runsOf.set(key, new Set([run]));
    else known.add(run);
  };
  for (const ack of of(client, 'ack')) {
    add(ack.key, ack.run);
    if (ack.created) created.set(ack.key, (created.get(ack.key) ?? 0) + 1);
  }
  // Keys name their workflow, so that one map serves all.
  for (const { key, run } of runs) if (key !== null) add(key, run);
  for (const [key, known] of runsOf) {
    if (known.size > 1) violations.push({ rule: 'key-split', text: `the key ${key} stands for the runs ${[...known].join(', ')}` });
  }
  for (const [key, times] of created) {
    if (times > 1)
      violations.push({ rule: 'created-twice', text: `${times} starts with the key ${key} were told that they had created the run` });
  }
  return violations;
}
