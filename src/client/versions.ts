import { canonical } from '../core/values/codec.ts';
import { compileGraph, type CompiledGraph } from '../core/kernel/compile.ts';
import { namedVersion } from './named-version.ts';
import { isPawlError, PawlError } from '../core/errors.ts';
import type { Graph } from '../core/graph/graph.ts';
import { runIdText } from '../core/ids.ts';
import { isHeld, planMove, type Obstacle } from '../core/kernel/moving.ts';
import { shown } from '../core/graph/problems.ts';
import { isRunOver, RUN_STATUSES } from '../core/kernel/states.ts';
import { checkArgument } from '../core/options.ts';
import { ARGUMENT } from './options.ts';
import type { RunRow, Store, VersionRow, WorkerRow } from '../store/store.ts';
import { checkAside, type ActMaker, type ActOptions } from './acts.ts';
import type { Client, ClientWriter, RunQuery } from './client.ts';

export type { Obstacle, ObstacleWhy } from '../core/kernel/moving.ts';

export interface MoveOptions extends ActOptions {
  /** A version of the run's workflow that is in the store. */
  readonly to: string;
  /** Only says what would come of it. */
  readonly dryRun?: boolean;
}

/** What a move came to, or would. */
export interface MoveReport {
  /** False of a preview. */
  readonly applied: boolean;
  readonly from: string;
  readonly to: string;
  /** Tasks that have begun and are not the same in the other version; none where the run may move. */
  readonly obstacles: readonly Obstacle[];
  /** A worker holds some of it: it can move when that has ended or was handed back. */
  readonly held: boolean;
}

export interface RunMoved extends MoveReport {
  readonly id: string;
}

/** What a deploy does to open runs of other versions of one workflow. */
export interface VersionCheck {
  readonly workflow: string;
  readonly version: string;
  /** A newer version that is in the store: open runs move to that one, not to this. */
  readonly newer?: string;
  /** The version is stored with another graph: a worker that registers it is refused with `CONFIG_VERSION_CHANGED`. */
  readonly changed: boolean;
  readonly groups: readonly RunGroup[];
}

/**
 * `moves`: to this version, when nothing of the run is running; `waits`: for a worker of its own version, since it may not move; `pinned`: its
 * version says so; `chosen`: a person moved it, and no newer version than that person knew of takes it; `passed`: a newer version is stored.
 */
export type RunVerdict = 'moves' | 'waits' | 'pinned' | 'chosen' | 'passed';

/** Open runs of one version with one fate. */
export interface RunGroup {
  readonly version: string;
  readonly verdict: RunVerdict;
  readonly obstacles: readonly Obstacle[];
  readonly runs: number;
  /** Ids of the first of them. */
  readonly examples: readonly string[];
  /** Live workers that have the code of that version now. */
  readonly workers: number;
}

const PAGE = 500;
const EXAMPLES = 3;

/** Moves of runs between versions of their workflow (semantics, section 10): a person's, and what a deploy would do. */
export class Versions {
  private readonly store: Store;
  private readonly client: Client;
  private readonly writer: ClientWriter;
  private readonly acts: ActMaker;

  constructor(store: Store, { client, writer, acts }: { readonly client: Client; readonly writer: ClientWriter; readonly acts: ActMaker }) {
    this.store = store;
    this.client = client;
    this.writer = writer;
    this.acts = acts;
  }

  async move(id: string, options: MoveOptions): Promise<MoveReport> {
    checkArgument(options.to, 'to', ARGUMENT.aString);
    const row = await this.client.find(id);
    const versions = await this.store.versions([row.workflow]);
    const to = namedVersion(row.workflow, options.to, versions);
    const preview = { from: row.version, to: to.version, obstacles: [], held: false } as const;
    if (options.dryRun === true) return { ...preview, ...(await this.look(row, to)), applied: false };
    this.writer.writable();
    const newest = versions.at(-1)?.id ?? to.id;
    const act = this.acts.actOf(row, 'move', options, { to: to.version });
    const moved = await this.writer.move(row.run, to.id, { staysUntil: to.id < newest ? newest : null, act });
    switch (moved.kind) {
      case 'moved':
      case 'there':
        return { ...preview, applied: true };
      case 'held':
        throw cannotMove(row, to, 'a worker holds some of it', { held: true, obstacles: [] });
      case 'stays':
        throw cannotMove(row, to, obstaclesText(moved.obstacles), { held: false, obstacles: moved.obstacles });
      case 'closed':
        throw await this.closed(id);
    }
  }

  /** Every open run that matches, page by page. */
  async *moveAll(query: RunQuery, options: MoveOptions): AsyncGenerator<RunMoved> {
    checkArgument(options.to, 'to', ARGUMENT.aString);
    const status = (query.status ?? RUN_STATUSES).filter((one) => !isRunOver[one]);
    let cursor = query.cursor;
    if (status.length === 0) return;
    do {
      const page = await this.client.list({ ...query, status, limit: PAGE, ...(cursor === undefined ? {} : { cursor }) });
      for (const { id } of page.runs) {
        const moved = await this.tried(id, options);
        if (moved !== null) yield { id, ...moved };
      }
      cursor = page.next;
    } while (cursor !== undefined);
  }

  /** Null where the run has ended meanwhile. */
  private async tried(id: string, { requestId, ...options }: MoveOptions): Promise<MoveReport | null> {
    try {
      // One request id for many runs is one for each.
      return await this.move(id, { ...options, ...(requestId === undefined ? {} : { requestId: `${requestId}:${id}` }) });
    } catch (error) {
      if (isPawlError(error, 'RUN_NOT_OPEN', 'RUN_QUARANTINED')) return null;
      if (!isPawlError(error, 'RUN_CANNOT_MOVE')) throw error;
      const { from, to, obstacles, held } = error.details as unknown as Omit<MoveReport, 'applied'>;
      return { applied: false, from, to, obstacles, held };
    }
  }

  private async closed(id: string): Promise<PawlError> {
    const row = await this.client.find(id);
    checkAside(row);
    return new PawlError('RUN_NOT_OPEN', `Run ${id} is ${row.status}.`, { details: { run: id, status: row.status } });
  }

  private async look(row: RunRow, to: VersionRow): Promise<Pick<MoveReport, 'obstacles' | 'held'>> {
    const looked = await this.writer.look(row.run, false);
    const graph = await this.writer.graph(to.id);
    if (looked?.graph == null || looked.state === null || graph === null) throw await this.closed(runIdText(row.uid));
    if (isRunOver[looked.state.status]) throw await this.closed(runIdText(row.uid));
    const plan = planMove(looked.graph, graph, looked.state);
    return { obstacles: plan.kind === 'stay' ? plan.obstacles : [], held: isHeld(looked.state) };
  }

  /** What open runs of other versions would do if these were registered now. */
  async check(registered: readonly { readonly name: string; readonly version: string; readonly graph: Graph }[]): Promise<VersionCheck[]> {
    const open = new Set(await this.store.openDefinitions());
    const now = this.writer.now();
    const live = (await this.store.workers()).filter((worker) => !worker.fenced && !worker.wedged && worker.leaseUntil >= now);
    const checks: VersionCheck[] = [];
    for (const one of registered) checks.push(await this.checkOne(one, open, live));
    return checks;
  }

  private async checkOne(
    { name, version, graph }: { readonly name: string; readonly version: string; readonly graph: Graph },
    open: ReadonlySet<number>,
    live: readonly WorkerRow[],
  ): Promise<VersionCheck> {
    const versions = await this.store.versions([name]);
    const stored = versions.find((one) => one.version === version);
    const newest = versions.at(-1);
    const newer = stored !== undefined && newest !== undefined && newest.id > stored.id ? newest : undefined;
    const target = compileGraph(graph);
    const groups = new Map<string, RunGroup>();
    for (const from of versions) {
      if (from.id === stored?.id || !open.has(from.id)) continue;
      await this.group(groups, from, { live, verdictOf: await this.judge(from, target, { stored, newer }) });
    }
    return {
      workflow: name,
      version,
      ...(newer === undefined ? {} : { newer: newer.version }),
      changed: stored !== undefined && (await this.differs(stored.id, graph)),
      groups: [...groups.values()],
    };
  }

  private async differs(definition: number, graph: Graph): Promise<boolean> {
    const stored = await this.store.definition(definition);
    return stored !== null && canonical(stored.graph) !== canonical(graph);
  }

  private async judge(
    from: VersionRow,
    target: CompiledGraph,
    { stored, newer }: { readonly stored: VersionRow | undefined; readonly newer: VersionRow | undefined },
  ): Promise<Judge> {
    const graph = await this.writer.graph(from.id);
    const isPinned = graph?.graph.onDeploy === 'pin';
    return async (run, staysUntil) => {
      if (newer !== undefined) return { verdict: 'passed', obstacles: [] };
      if (isPinned) return { verdict: 'pinned', obstacles: [] };
      if (stored !== undefined && staysUntil !== null && staysUntil >= stored.id) return { verdict: 'chosen', obstacles: [] };
      const looked = await this.writer.look(run, false);
      if (looked?.graph == null || looked.state === null) return null;
      const plan = planMove(looked.graph, target, looked.state);
      return plan.kind === 'move' ? { verdict: 'moves', obstacles: [] } : { verdict: 'waits', obstacles: plan.obstacles };
    };
  }

  private async group(
    groups: Map<string, RunGroup>,
    from: VersionRow,
    { live, verdictOf }: { readonly live: readonly WorkerRow[]; readonly verdictOf: Judge },
  ): Promise<void> {
    const stored = await this.store.definition(from.id);
    const serves = live.filter((worker) => stored !== null && worker.serves.some((body) => inside(stored, body))).length;
    for (let after = -1; ;) {
      const page = await this.store.openRuns(from.id, after, PAGE);
      for (const { run, staysUntil } of page) {
        const judged = await verdictOf(run, staysUntil);
        if (judged === null) continue;
        const key = canonical([from.id, judged.verdict, judged.obstacles]);
        const group = groups.get(key) ?? { version: from.version, ...judged, runs: 0, examples: [], workers: serves };
        const examples = group.examples.length < EXAMPLES ? [...group.examples, await this.idOf(run)] : group.examples;
        groups.set(key, { ...group, runs: group.runs + 1, examples });
      }
      after = page.at(-1)?.run ?? after;
      if (page.length < PAGE) return;
    }
  }

  private async idOf(run: number): Promise<string> {
    const row = await this.store.runRow(run);
    return row === null ? String(run) : runIdText(row.uid);
  }
}

type Judge = (run: number, staysUntil: number | null) => Promise<Pick<RunGroup, 'verdict' | 'obstacles'> | null>;

const inside = ({ firstBody, graph }: { readonly firstBody: number; readonly graph: Graph }, body: number): boolean =>
  body >= firstBody && body < firstBody + graph.tasks.length;

const WHY: Readonly<Record<Obstacle['why'], string>> = {
  gone: 'is not in it',
  kind: 'is of another kind there',
  contract: 'has another contract there',
  upstreams: 'has other upstreams there',
  input: 'gets another input there',
};

/** `task "a" is not in it, task "b" has another contract there`. */
export function obstaclesText(obstacles: readonly Obstacle[]): string {
  const first = obstacles.slice(0, 3).map(({ task, why }) => `task ${shown(task)} ${WHY[why]}`);
  return `${first.join(', ')}${obstacles.length > 3 ? ` and ${obstacles.length - 3} more` : ''}`;
}

function cannotMove(row: RunRow, to: VersionRow, why: string, facts: Pick<MoveReport, 'obstacles' | 'held'>): PawlError {
  const run = runIdText(row.uid);
  return new PawlError('RUN_CANNOT_MOVE', `Run ${run} of version ${shown(row.version)} cannot move to ${shown(to.version)}: ${why}.`, {
    details: { run, from: row.version, to: to.version, ...facts },
  });
}
