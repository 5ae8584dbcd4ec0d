/**
 * Random workflows whose every outcome is fixed, as graph data, and what semantics.md makes of them. `expected` is written from the text
 * of the semantics, over final states alone: nothing of the kernel but the form of a graph is used.
 */
import fc from 'fast-check';
import { membersOf } from '../../src/core/define/building.ts';
import type { ContractData, Expr, Graph, GraphTask, Join } from '../../src/core/graph/graph.ts';
import type { RunOutcome, TerminalStatus } from '../../src/core/kernel/states.ts';

export type ReadKind = 'required' | 'optional' | 'settle';

export interface Read {
  readonly of: number;
  readonly mode: ReadKind;
}

export interface MapSpec {
  /** A literal list of so many items, the list of a task read in this way, or no list at all. */
  readonly source:
    | { readonly count: number }
    | { readonly of: number; readonly mode: 'required' | 'optional'; readonly orEmpty: boolean }
    | 'none';
  readonly sameKeys: boolean;
  readonly concurrency: number | undefined;
  readonly maxItems: number;
  readonly onEmpty: 'success' | 'skip';
  readonly settle: boolean;
  readonly tolerate: { readonly count?: number; readonly ratio?: number } | undefined;
  /** How often each item's body fails, in turn. */
  readonly fails: readonly number[];
}

export type Failure = 'error' | 'timeout' | 'refused' | 'nonRetryable';

export interface Spec {
  readonly kind: 'task' | 'map' | 'when' | 'branch';
  readonly after: readonly number[];
  readonly reads: readonly Read[];
  readonly join: Join | undefined;
  readonly gate: { readonly when: number; readonly is: boolean } | undefined;
  /** It has a predicate of its own, which says `holds`. */
  readonly predicate: boolean;
  readonly holds: boolean;
  readonly allow: boolean;
  readonly unsafe: boolean;
  /** Attempts that fail before one succeeds. */
  readonly fails: number;
  readonly failure: Failure;
  /** Length of the list in its output. */
  readonly length: number;
  readonly map: MapSpec | undefined;
  readonly branch: { readonly when: number; readonly then: readonly Read[]; readonly otherwise: readonly Read[] | null } | undefined;
}

export interface Case {
  readonly specs: readonly Spec[];
  readonly output: readonly Read[];
}

export const MAX_ATTEMPTS = 3;

const nat = fc.nat(1_000_000);
const rawNode = fc.record({
  kind: fc.constantFrom<Spec['kind']>('task', 'task', 'task', 'map', 'map', 'when', 'branch', 'branch'),
  ups: fc.array(fc.record({ pick: nat, mode: fc.constantFrom('order', 'order', 'required', 'optional', 'settle') }), {
    maxLength: 4,
    size: 'max',
  }),
  join: fc.constantFrom<Join | 'at_least' | undefined>(
    undefined,
    undefined,
    undefined,
    'all_success',
    'none_failed',
    'none_failed_min_one_success',
    'one_success',
    'all_done',
    'all_done_min_one_success',
    'one_done',
    'one_failed',
    'all_failed',
    'all_skipped',
    'none_skipped',
    'always',
    'at_least',
  ),
  gated: fc.boolean(),
  is: fc.boolean(),
  predicate: fc.boolean(),
  holds: fc.boolean(),
  allow: fc.boolean(),
  unsafe: fc.boolean(),
  fails: fc.constantFrom(0, 0, 0, 1, 2, 3),
  failure: fc.constantFrom<Failure>('error', 'error', 'timeout', 'refused', 'nonRetryable'),
  length: fc.nat(3),
  hasOtherwise: fc.boolean(),
  picks: fc.array(nat, { minLength: 6, maxLength: 6 }),
  source: fc.constantFrom('literal', 'literal', 'ref', 'ref', 'optional', 'none'),
  sameKeys: fc.boolean(),
  concurrency: fc.constantFrom(undefined, undefined, 1, 2),
  maxItems: fc.constantFrom(2, 10, 10, 10),
  onEmpty: fc.constantFrom<'success' | 'skip'>('success', 'skip'),
  settle: fc.boolean(),
  tolerate: fc.constantFrom<MapSpec['tolerate']>(undefined, undefined, { count: 1 }, { ratio: 0.5 }, { count: 2, ratio: 0.34 }),
  itemFails: fc.array(fc.constantFrom(0, 0, 1, 3), { minLength: 3, maxLength: 3 }),
});
type Raw = typeof rawNode extends fc.Arbitrary<infer T> ? T : never;

/** Random workflows of at most `max` tasks. */
export const cases = (max: number): fc.Arbitrary<Case> =>
  fc
    .tuple(fc.array(rawNode, { minLength: 1, maxLength: max, size: 'max' }), fc.array(fc.tuple(nat, nat), { maxLength: 3 }))
    .map(([raws, reads]): Case => {
      const specs: Spec[] = [];
      for (const raw of raws) specs.push(specOf(raw, specs));
      const output = reads.map(([pick, mode]): Read => ({ of: pick % specs.length, mode: MODES[mode % 3] ?? 'settle' }));
      return { specs, output };
    });

const MODES: readonly ReadKind[] = ['required', 'optional', 'settle'];

function specOf(raw: Raw, before: readonly Spec[]): Spec {
  const at = before.length;
  const whens = before.flatMap((spec, i) => (spec.kind === 'when' ? [i] : []));
  const when = whens.length === 0 ? undefined : whens[(raw.picks[0] ?? 0) % whens.length];
  const kind = raw.kind === 'branch' && when === undefined ? 'task' : raw.kind;
  const ups = at === 0 ? [] : raw.ups.map(({ pick, mode }) => ({ of: pick % at, mode }));
  const isBranch = kind === 'branch';
  const after = isBranch ? [] : [...new Set(ups.filter(({ mode }) => mode === 'order').map(({ of }) => of))];
  const mayRead = raw.join !== 'always' && !isBranch;
  const reads = mayRead ? ups.flatMap(({ of, mode }) => (mode === 'order' ? [] : [{ of, mode }])) : [];
  const map = kind === 'map' ? mapOf(raw, before, mayRead) : undefined;
  const upstreams = new Set([
    ...after,
    ...reads.map(({ of }) => of),
    ...(typeof map?.source === 'object' && 'of' in map.source ? [map.source.of] : []),
  ]);
  return {
    kind,
    after,
    reads,
    join: isBranch ? undefined : joinOf(raw, upstreams.size),
    gate: raw.gated && when !== undefined && !isBranch ? { when, is: raw.is } : undefined,
    predicate: raw.predicate && (kind === 'task' || kind === 'map'),
    holds: raw.holds,
    allow: raw.allow && (kind === 'task' || kind === 'map'),
    unsafe: raw.unsafe && kind === 'task',
    fails: raw.fails,
    failure: raw.failure,
    length: raw.length,
    map,
    branch: isBranch && when !== undefined ? branchOf(raw, before, when) : undefined,
  };
}

function joinOf(raw: Raw, upstreams: number): Join | undefined {
  if (raw.join !== 'at_least') return raw.join;
  return upstreams === 0 ? undefined : `at_least(${((raw.picks[1] ?? 0) % upstreams) + 1})`;
}

function mapOf(raw: Raw, before: readonly Spec[], mayRead: boolean): MapSpec {
  const lists = before.flatMap((spec, i) => (spec.kind === 'task' ? [i] : []));
  const of = lists[(raw.picks[2] ?? 0) % Math.max(1, lists.length)];
  const reads = mayRead && of !== undefined && (raw.source === 'ref' || raw.source === 'optional');
  return {
    source: reads
      ? { of, mode: raw.source === 'ref' ? 'required' : 'optional', orEmpty: raw.is }
      : raw.source === 'none'
        ? 'none'
        : { count: raw.length },
    sameKeys: raw.sameKeys && raw.holds && raw.is,
    concurrency: raw.concurrency,
    maxItems: raw.maxItems,
    onEmpty: raw.onEmpty,
    settle: raw.settle,
    tolerate: raw.tolerate,
    fails: raw.itemFails,
  };
}

function branchOf(raw: Raw, before: readonly Spec[], when: number): Spec['branch'] {
  const side = (is: boolean, picks: readonly number[]): Read[] => {
    const mine = before.flatMap((spec, i) => (spec.gate?.when === when && spec.gate.is === is ? [i] : []));
    const outside = before.flatMap((spec, i) => (spec.gate?.when === when || i === when ? [] : [i]));
    const from = picks[0] !== undefined && picks[0] % 4 === 0 ? outside : mine;
    return picks.slice(0, from.length).map((pick) => ({ of: from[pick % from.length] ?? 0, mode: MODES[pick % 3] ?? 'settle' }));
  };
  // oxlint-disable-next-line unicorn/no-thenable -- a name of the graph's form
  return { when, then: side(true, raw.picks.slice(2, 4)), otherwise: raw.hasOtherwise ? side(false, raw.picks.slice(4, 6)) : null };
}

// ---- as graph data ------------------------------------------------------------------------------------------------------------------

export const idOf = (index: number): string => `t${index}`;

function readExpr({ of, mode }: Read, path?: string): Expr {
  const ref = { $ref: idOf(of), ...(path === undefined ? {} : { path: [path] }) };
  if (mode === 'settle') return { $settle: ref };
  return mode === 'optional' ? { $optional: ref, default: 'none' } : ref;
}

const readsExpr = (reads: readonly Read[]): Expr => Object.fromEntries(reads.map((read, i) => [`r${i}`, readExpr(read)]));

export const contract = (unsafe = false): ContractData => ({
  effects: unsafe ? 'unsafe' : 'idempotent',
  retry: { maxAttempts: unsafe ? 1 : MAX_ATTEMPTS, capped: true, initialMs: 1_000, factor: 2, maxDelayMs: 60_000, jitter: 'full', on: [] },
  timeout: { attemptMs: 60_000 },
});

export function graphOf({ specs, output }: Case): Graph {
  const tasks: GraphTask[] = [];
  specs.forEach((spec, i) => tasks.push(taskOf(spec, i, specs, tasks)));
  return { format: 1, workflow: 'random', tasks, output: readsExpr(output) };
}

function taskOf(spec: Spec, index: number, specs: readonly Spec[], tasks: readonly GraphTask[]): GraphTask {
  const base = {
    id: idOf(index),
    ...(spec.after.length === 0 ? {} : { after: spec.after.map(idOf) }),
    ...(spec.join === undefined ? {} : { join: spec.join }),
    ...(spec.gate === undefined ? {} : { if: { when: idOf(spec.gate.when), is: spec.gate.is } }),
  };
  const own = { ...(spec.predicate ? { when: true as const } : {}), ...(spec.allow ? { allowFailure: true as const } : {}) };
  const input = readsExpr(spec.reads);
  if (spec.branch !== undefined) return branchTask(base, spec.branch, specs, tasks);
  if (spec.kind === 'when') return { ...base, kind: 'when', input };
  if (spec.map === undefined) return { ...base, ...own, kind: 'task', input, contract: contract(spec.unsafe) };
  const { source, concurrency, tolerate, maxItems, onEmpty } = spec.map;
  return {
    ...base,
    ...own,
    kind: 'map',
    task: 'item',
    items: itemsExpr(source),
    each: { item: { $item: [] }, input },
    ...(spec.map.sameKeys ? { key: 'same' } : {}),
    ...(concurrency === undefined ? {} : { concurrency }),
    ...(tolerate === undefined ? {} : { tolerate }),
    ...(spec.map.settle ? { settle: true as const } : {}),
    maxItems,
    onEmpty,
    contract: contract(),
  };
}

function itemsExpr(source: MapSpec['source']): Expr {
  if (source === 'none') return 7;
  if ('count' in source) return Array.from({ length: source.count }, (_, i) => i);
  const ref = { $ref: idOf(source.of), path: ['list'] };
  return source.mode === 'required' ? ref : { $optional: ref, ...(source.orEmpty ? { default: [] } : {}) };
}

function branchTask(
  base: { readonly id: string },
  branch: NonNullable<Spec['branch']>,
  specs: readonly Spec[],
  tasks: readonly GraphTask[],
): GraphTask {
  const side = (is: boolean, reads: readonly Read[]) => {
    const made = tasks.flatMap((task, i) => (specs[i]?.gate?.when === branch.when && specs[i].gate.is === is ? [task.id] : []));
    const value = readsExpr(reads);
    return { is, value, members: membersOf(made, value, tasks) };
  };
  return {
    ...base,
    kind: 'branch',
    when: idOf(branch.when),
    cases: [side(true, branch.then), ...(branch.otherwise === null ? [] : [side(false, branch.otherwise)])],
  };
}

/** What the body of a task gives. */
export const outputOf = (spec: Spec, index: number, item: number): string =>
  JSON.stringify(item < 0 ? { id: index, list: Array.from({ length: spec.length }, (_, i) => i) } : { id: index, item });

/** Whether the body succeeds in the end. */
export const succeeds = (spec: Spec, fails: number): boolean =>
  fails === 0 || (fails < (spec.unsafe ? 1 : MAX_ATTEMPTS) && (spec.failure === 'error' || spec.failure === 'timeout'));

// ---- what the semantics make of it --------------------------------------------------------------------------------------------------

export interface Expected {
  readonly status: TerminalStatus;
  readonly partial: boolean;
  /** Failed items. */
  readonly failedItems: number;
  readonly okItems: number;
}

type Label = 'upstream_failed' | 'cancelled' | 'skipped';
const RANK: Readonly<Record<Label, number>> = { skipped: 0, cancelled: 1, upstream_failed: 2 };
const strongest = (labels: readonly Label[]): Label | null => labels.toSorted((a, b) => RANK[b] - RANK[a])[0] ?? null;

const labelOf = (status: TerminalStatus): Label | null =>
  status === 'success' ? null : status === 'failed' ? 'upstream_failed' : (status satisfies Label);

const ended = (status: TerminalStatus): Expected => ({ status, partial: false, failedItems: 0, okItems: 0 });

export function expected({ specs }: Case): Expected[] {
  const done: Expected[] = [];
  for (const [i, spec] of specs.entries()) done.push(expectedOf(spec, i, specs, done));
  return done;
}

function expectedOf(spec: Spec, index: number, specs: readonly Spec[], done: readonly Expected[]): Expected {
  const statusOf = (of: number): TerminalStatus => done[of]?.status ?? 'success';
  if (spec.gate !== undefined) {
    const label = labelOf(statusOf(spec.gate.when));
    if (label !== null) return ended(label);
    if (specs[spec.gate.when]?.holds !== spec.gate.is) return ended('skipped');
  }
  if (spec.branch !== undefined) return branchEnd(spec.branch, index, specs, done);
  const never = held(spec, specs, statusOf);
  if (never !== null) return ended(never);
  if (spec.kind === 'when') return ended('success');
  if (spec.predicate && !spec.holds) return ended('skipped');
  if (spec.map !== undefined) return mapEnd(spec, spec.map, specs, statusOf);
  return ended(succeeds(spec, spec.fails) ? 'success' : 'failed');
}

/** Semantics, section 4: the label under which a task never runs; null: it runs. */
function held(spec: Spec, specs: readonly Spec[], statusOf: (of: number) => TerminalStatus): Label | null {
  const source = typeof spec.map?.source === 'object' && 'of' in spec.map.source ? [spec.map.source] : [];
  const reads: readonly Read[] = [...spec.reads, ...source];
  const upstreams = [...new Set([...spec.after, ...reads.map(({ of }) => of)])];
  if (upstreams.length === 0) return null;
  const kinds = (of: number): ReadKind[] => reads.filter((read) => read.of === of).map((read) => read.mode);
  const letters = upstreams.flatMap((of) => {
    const modes = kinds(of);
    const isOrder = spec.after.includes(of);
    if (spec.join === undefined && !isOrder && modes.every((mode) => mode === 'settle')) return [];
    const status = statusOf(of);
    const reading = modes.filter((mode) => mode !== 'settle');
    // An allowed failure counts as a success where it is only waited for, a skipped one where it is read optionally.
    if (status === 'failed' && specs[of]?.allow && isOrder && reading.length === 0) return ['S'];
    if (status === 'skipped' && reading.length > 0 && reading.every((mode) => mode === 'optional')) return ['S'];
    return [{ success: 'S', failed: 'F', upstream_failed: 'X', skipped: 'K', cancelled: 'C' }[status]];
  });
  const forced = upstreams.flatMap((of) => {
    const label = labelOf(statusOf(of));
    const modes = kinds(of);
    if (label === null || (!modes.includes('required') && !modes.includes('optional'))) return [];
    return label === 'skipped' && !modes.includes('required') ? [] : [label];
  });
  const joined = joinEnd(spec.join ?? 'all_success', letters.toSorted().join(''));
  return strongest([...forced, ...(joined === null ? [] : [joined])]);
}

function joinEnd(join: Join, states: string): Label | null {
  const label: Label = /[FX]/.test(states) ? 'upstream_failed' : states.includes('C') ? 'cancelled' : 'skipped';
  const successes = states.split('S').length - 1;
  const k = /^at_least\((\d+)\)$/.exec(join)?.[1];
  const runs: Readonly<Record<string, boolean>> = {
    all_success: /^S*$/.test(states),
    none_failed: /^[KS]*$/.test(states),
    none_failed_min_one_success: /^K*S+$/.test(states),
    one_success: successes > 0,
    all_done: true,
    all_done_min_one_success: successes > 0,
    one_done: /[FS]/.test(states),
    one_failed: /[FX]/.test(states),
    all_failed: /^[FX]*$/.test(states),
    all_skipped: /^K*$/.test(states),
    none_skipped: !states.includes('K'),
    always: true,
  };
  if (k === undefined ? runs[join] : successes >= Number(k)) return null;
  return ['one_done', 'one_failed', 'all_failed', 'all_skipped', 'none_skipped'].includes(join) ? 'skipped' : label;
}

function mapEnd(spec: Spec, map: MapSpec, specs: readonly Spec[], statusOf: (of: number) => TerminalStatus): Expected {
  const count = listLength(map.source, specs, statusOf);
  if (count === null || count > map.maxItems || (map.sameKeys && count > 1)) return ended('failed');
  if (count === 0) return ended(map.onEmpty === 'skip' ? 'skipped' : 'success');
  const fails = Array.from({ length: count }, (_, i) => map.fails[i] ?? 0);
  const failedItems = fails.filter((each) => !succeeds({ ...spec, unsafe: false }, each)).length;
  const items = { failedItems, okItems: count - failedItems };
  if (failedItems === 0 || map.settle) return { status: 'success', partial: false, ...items };
  const isBeyond = isBeyondTolerance(map, failedItems, count);
  return { status: isBeyond ? 'failed' : 'success', partial: !isBeyond, ...items };
}

/** Whether so many failed items fail this map: with nothing written down, one does. */
export function isBeyondTolerance({ settle, tolerate }: MapSpec, failed: number, count: number): boolean {
  const { count: most, ratio } = tolerate ?? { count: 0 };
  return !settle && ((most !== undefined && failed > most) || (ratio !== undefined && failed / count > ratio));
}

function listLength(source: MapSpec['source'], specs: readonly Spec[], statusOf: (of: number) => TerminalStatus): number | null {
  if (source === 'none') return null;
  if ('count' in source) return source.count;
  if (statusOf(source.of) === 'skipped') return source.orEmpty ? 0 : null;
  return specs[source.of]?.length ?? 0;
}

function branchEnd(branch: NonNullable<Spec['branch']>, index: number, specs: readonly Spec[], done: readonly Expected[]): Expected {
  const label = labelOf(done[branch.when]?.status ?? 'success');
  if (label !== null) return ended(label);
  const is = specs[branch.when]?.holds === true;
  const reads = is ? branch.then : branch.otherwise;
  if (reads === null) return ended('skipped');
  const labels = reads.flatMap(({ of, mode }): Label[] => {
    const one = labelOf(done[of]?.status ?? 'success');
    return one === null || mode === 'settle' || (one === 'skipped' && mode === 'optional') ? [] : [one];
  });
  const made = specs.slice(0, index).flatMap((spec, i) => (spec.gate?.when === branch.when && spec.gate.is === is ? [i] : []));
  const waitedFor = new Set(made.flatMap((i) => upstreamsOf(specs[i])));
  const loose = made.filter((i) => !waitedFor.has(i) && !reads.some(({ of }) => of === i));
  const failed = loose.flatMap((i): Label[] => {
    const one = labelOf(done[i]?.status ?? 'success');
    return one === null || one === 'skipped' || (done[i]?.status === 'failed' && specs[i]?.allow) ? [] : [one];
  });
  return ended(strongest([...labels, ...failed]) ?? 'success');
}

function upstreamsOf(spec: Spec | undefined): number[] {
  const source = typeof spec?.map?.source === 'object' && 'of' in spec.map.source ? [spec.map.source.of] : [];
  return spec === undefined ? [] : [...spec.after, ...spec.reads.map(({ of }) => of), ...source];
}

/** Semantics, section 3, rules 1, 3 and 4. */
export function expectedOutcome({ specs }: Case, done: readonly Expected[]): RunOutcome {
  const tasks = done
    .map((end, i) => ({ ...end, allow: specs[i]?.allow === true, isTask: specs[i]?.kind !== 'branch' }))
    .filter(({ isTask }) => isTask);
  if (tasks.some((end) => end.status === 'failed' && !end.allow)) return 'failed';
  const excused = tasks.some((end) => end.status === 'failed' || end.partial || end.failedItems > 0);
  const successes = tasks.filter((end) => end.status === 'success' || end.okItems > 0).length;
  return excused ? (successes > 0 ? 'partial' : 'failed') : 'success';
}
