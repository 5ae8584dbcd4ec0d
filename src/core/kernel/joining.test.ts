/**
 * Joins together with reads, over real edges: after every single end, in every order, a task decides what an independent reading of
 * semantics.md, section 4, decides, and at the same moment.
 */
import { describe, expect, test } from 'vitest';
import { contract } from '../../../test/semantics/graphs.ts';
import { factsOf } from '../../../test/semantics/world.ts';
import { compileGraph } from './compile.ts';
import { PLAIN_JOINS, type BodyTask, type Expr, type Graph, type Join } from '../graph/graph.ts';
import { decideNode, tally } from './joining.ts';
import { emptyRunState, type EndedTask } from './run-state.ts';
import { endTask, freshTask } from './turn.ts';

/** S success, F failed, A failed and allowed, X upstream_failed, K skipped, C cancelled. */
type Letter = 'S' | 'F' | 'A' | 'X' | 'K' | 'C';
const LETTERS: readonly Letter[] = ['S', 'F', 'A', 'X', 'K', 'C'];

/** How the task hangs on an upstream. */
type Kind = 'after' | 'required' | 'optional' | 'settle' | 'settle and after' | 'required and after';
const KINDS: readonly Kind[] = ['after', 'required', 'optional', 'settle', 'settle and after', 'required and after'];

type Written = Join | 'default';
const JOINS: readonly Written[] = ['default', ...PLAIN_JOINS, 'at_least(1)', 'at_least(2)', 'at_least(3)', 'at_least(4)'];

// ---- the reference ------------------------------------------------------------------------------------------------------------------

/** One upstream as the rules see it; `null` while it is open. */
interface Up {
  readonly kind: Kind;
  readonly end: Letter | null;
}

type Said = 'wait' | 'run' | 'upstream_failed' | 'cancelled' | 'skipped';
const ORDER: readonly Said[] = ['skipped', 'cancelled', 'upstream_failed'];
const worst = (labels: readonly Said[]): Said | undefined => ORDER.toReversed().find((label) => labels.includes(label));

const isRead = ({ kind }: Up): boolean => kind !== 'after';
const mustSucceed = ({ kind }: Up): boolean => kind.startsWith('required') || kind === 'optional';

/** The letter that goes into the sums of the table. */
function sum({ kind, end }: Up): Letter | null {
  if (end === 'K' && kind === 'optional') return 'S';
  if (end === 'A') return kind === 'after' || kind === 'settle and after' ? 'S' : 'F';
  return end;
}

function labelOfRead({ kind, end }: Up): Said | null {
  if (end === 'K') return kind === 'optional' ? null : 'skipped';
  if (end === 'C') return 'cancelled';
  return end === 'S' || end === null ? null : 'upstream_failed';
}

function reference(join: Written, ups: readonly Up[]): Said {
  const forced = ups.filter(mustSucceed).flatMap((up) => labelOfRead(up) ?? []);
  const said = table(join, ups.filter(({ kind }) => join !== 'default' || kind !== 'settle').map(sum));
  const strongest = worst([...forced, said]);
  if (strongest === 'upstream_failed') return strongest;
  if (said === 'wait' || ups.some((up) => isRead(up) && up.end === null)) return 'wait';
  return strongest ?? 'run';
}

/** One row each: when it runs, when it never will. */
function table(join: Written, ends: readonly (Letter | null)[]): Said {
  const n = ends.length;
  const of = (letters: string): number => ends.filter((end) => end !== null && letters.includes(end)).length;
  const all = of('SFXKC') === n;
  const label: Said = of('FX') > 0 ? 'upstream_failed' : of('C') > 0 ? 'cancelled' : 'skipped';
  const k = Number(/\d+/.exec(join)?.[0] ?? 1);
  const rule = join.startsWith('at_least') ? 'one_success' : join;
  switch (rule) {
    case 'default':
    case 'all_success':
      return of('S') === n ? 'run' : of('FX') > 0 || all ? label : 'wait';
    case 'none_failed':
    case 'none_failed_min_one_success':
      if (of('FX') > 0 || (all && of('C') > 0)) return label;
      return !all ? 'wait' : rule === 'none_failed' || of('S') > 0 ? 'run' : 'skipped';
    case 'one_success':
      if (of('S') >= k) return 'run';
      return all || (of('FX') > 0 && n - of('FXKC') < k) ? label : 'wait';
    case 'all_done':
      return all ? 'run' : 'wait';
    case 'all_done_min_one_success':
      return !all ? 'wait' : of('S') > 0 ? 'run' : label;
    case 'one_done':
      return of('SF') > 0 ? 'run' : all ? 'skipped' : 'wait';
    case 'one_failed':
      return of('FX') > 0 ? 'run' : all ? 'skipped' : 'wait';
    case 'all_failed':
      return of('FX') === n ? 'run' : of('SKC') > 0 ? 'skipped' : 'wait';
    case 'all_skipped':
      return of('K') === n ? 'run' : all ? 'skipped' : 'wait';
    case 'none_skipped':
      return !all ? 'wait' : of('K') === 0 ? 'run' : 'skipped';
    case 'always':
      return 'run';
    default:
      throw new Error(`no row for ${rule}`);
  }
}

// ---- the kernel ---------------------------------------------------------------------------------------------------------------------

const body = (id: string, more: Partial<BodyTask> = {}): BodyTask => ({ id, kind: 'task', input: {}, contract: contract(), ...more });

function graphOf(join: Written, kinds: readonly Kind[]): Graph {
  const reads = kinds.flatMap((kind, i): [string, Expr][] => {
    const ref = { $ref: `u${i}` };
    if (kind === 'after') return [];
    return [[`r${i}`, kind.startsWith('required') ? ref : kind === 'optional' ? { $optional: ref } : { $settle: ref }]];
  });
  const after = kinds.flatMap((kind, i) => (kind.includes('after') ? [`u${i}`] : []));
  const upstreams = kinds.map((_, i) => body(`u${i}`));
  const own = { input: Object.fromEntries(reads), after, ...(join === 'default' ? {} : { join }) };
  return { format: 1, workflow: 'joins', tasks: [...upstreams, body('J', own)], output: {} };
}

const STATUS = { S: 'success', F: 'failed', A: 'failed', X: 'upstream_failed', K: 'skipped', C: 'cancelled' } as const;

/** What the task says after each end, until it has decided. */
function said(compiled: ReturnType<typeof compileGraph>, ends: readonly Letter[], order: readonly number[]): Said[] {
  const state = emptyRunState(compiled, factsOf());
  const task = compiled.nodes[ends.length];
  if (task === undefined) throw new Error('no task');
  const ask = (): Said => {
    const decision = decideNode(compiled, state, task);
    return decision.kind === 'start' ? 'run' : decision.kind === 'end' ? (decision.as as Said) : 'wait';
  };
  const all = [ask()];
  for (const at of order) {
    const node = compiled.nodes[at];
    const letter = ends[at];
    if (node === undefined || letter === undefined) throw new Error('no upstream');
    const ended: EndedTask = endTask(freshTask(state, node, 1), { status: STATUS[letter], allowed: letter === 'A' }, 1);
    state.tasks[at] = ended;
    for (const edge of node.out) tally(compiled, state, edge, ended);
    all.push(ask());
  }
  return untilDecided(all);
}

function untilDecided(all: readonly Said[]): Said[] {
  const at = all.findIndex((one) => one !== 'wait');
  return at === -1 ? [...all] : all.slice(0, at + 1);
}

// ---- all of them --------------------------------------------------------------------------------------------------------------------

function sequences<T>(of: readonly T[], length: number): T[][] {
  return length === 0 ? [[]] : sequences(of, length - 1).flatMap((rest) => of.map((one) => [...rest, one]));
}

function orders(n: number): number[][] {
  const all = Array.from({ length: n }, (_, i) => i);
  return all.length < 2 ? [all] : sequences(all, n).filter((one) => new Set(one).size === n);
}

const reachable = (join: Written, n: number): boolean => Number(/^at_least\((\d+)\)$/.exec(join)?.[1] ?? 0) <= n;

/** Every combination in which kernel and reference differ, or the final word depends on the order. */
function wrong(join: Written, kinds: readonly Kind[]): string[] {
  const found: string[] = [];
  const compiled = compileGraph(graphOf(join, kinds));
  for (const ends of sequences(LETTERS, kinds.length)) {
    const finals = new Set<Said | undefined>();
    for (const order of orders(kinds.length)) {
      const mine = said(compiled, ends, order);
      const steps = Array.from({ length: order.length + 1 }, (_, i) => order.slice(0, i));
      const theirs = untilDecided(
        steps.map((done) =>
          reference(
            join,
            kinds.map((kind, at) => ({ kind, end: done.includes(at) ? (ends[at] ?? null) : null })),
          ),
        ),
      );
      finals.add(mine.at(-1));
      if (mine.join() !== theirs.join())
        found.push(`${kinds.join(', ')}: ${ends.join('')} as ${order.join('')}: ${mine.join()}, not ${theirs.join()}`);
    }
    if (finals.size > 1 || finals.has('wait')) found.push(`${kinds.join(', ')}: ${ends.join('')} comes to ${[...finals].join(' or ')}`);
  }
  return found;
}

describe.each(JOINS)('the join %s', (join) => {
  const isRefused = (kinds: readonly Kind[]): boolean => join === 'always' && kinds.some((kind) => kind !== 'after');

  test.each([1, 2, 3, 4])('over every combination of %i ends that are waited for, in every order', (n) => {
    if (!reachable(join, n)) return;
    expect(
      wrong(
        join,
        Array.from({ length: n }, () => 'after'),
      ),
    ).toEqual([]);
  });

  test.each([1, 2])('over every combination of %i ends that are read in any way, in every order', (n) => {
    if (!reachable(join, n)) return;
    const all = sequences(KINDS, n).filter((kinds) => !isRefused(kinds));
    expect(all.flatMap((kinds) => wrong(join, kinds))).toEqual([]);
  });

  test('over three ends, of which each is read in another way', () => {
    if (!reachable(join, 3)) return;
    const triples: (readonly Kind[])[] = [
      ['after', 'required', 'optional'],
      ['after', 'required', 'settle'],
      ['after', 'optional', 'settle'],
      ['required', 'optional', 'settle'],
      ['required', 'required', 'settle and after'],
      ['after', 'after', 'required and after'],
    ];
    expect(triples.filter((kinds) => !isRefused(kinds)).flatMap((kinds) => wrong(join, kinds))).toEqual([]);
  });
});
