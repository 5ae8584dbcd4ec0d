import type { OpenRun, TaskKey, VersionRow } from '../../store/store.ts';
import type { Known } from '../registry.ts';
import type { SweepContext } from './sweep.ts';

const AT_ONCE = 100;
const PAGE = 500;
/** Rows that one sweep looks at: some tenths of a second, after which the other sweeps have their turn. */
const LOOKED_AT = 1_000;
const REMEMBERED = 100_000;

/**
 * Lets open runs go on as runs of the newest version of their workflow, in a process that has the code of that version. A run moves only while
 * no worker holds anything of it, so that no attempt ever reports to another graph than it began in: what runs ends first, or is handed back
 * by a process that drains, and the next sweep finds it. One that may not move is left alone until a person resets something of it.
 */
export class Mover {
  /** Runs that may not move, with the generation in which that was so. */
  private readonly refused = new Map<number, number>();
  private after = { definition: -1, run: -1 };

  /** The last look did not come to the end of the open runs. */
  get isBehind(): boolean {
    return this.after.definition >= 0;
  }

  /** The number of runs that were moved. Without the definitions that have open runs it reads them. */
  async runOnce(context: SweepContext, all?: readonly number[]): Promise<number> {
    const open = (all ?? (await context.store.openDefinitions())).filter((id) => !context.registry.isCurrent(id));
    if (open.length === 0) return 0;
    const targets = await newestHere(context, open);
    let moved = 0;
    let looked = 0;
    const held = targets.length === 0 ? new Set<number>() : await heldRuns(context);
    // From where the last sweep stopped, and round.
    const at = this.after;
    const ordered = [...targets.filter(({ from }) => from >= at.definition), ...targets.filter(({ from }) => from < at.definition)];
    for (const { from, to } of ordered) {
      for (let after = from === at.definition ? at.run : -1; ;) {
        const page = await context.store.openRuns(from, after, PAGE);
        moved += await this.movePage(
          context,
          page.filter(({ run }) => !held.has(run)),
          to,
        );
        looked += page.length;
        after = page.at(-1)?.run ?? after;
        if (page.length < PAGE) break;
        if (looked >= LOOKED_AT) {
          this.after = { definition: from, run: after };
          return moved;
        }
      }
    }
    this.after = { definition: -1, run: -1 };
    return moved;
  }

  private async movePage(context: SweepContext, page: readonly OpenRun[], to: Known): Promise<number> {
    const mayMove = page.filter(
      ({ run, generation, staysUntil }) => this.refused.get(run) !== generation && (staysUntil === null || staysUntil < to.stored.id),
    );
    let moved = 0;
    for (let i = 0; i < mayMove.length; i += AT_ONCE) {
      const done = await Promise.all(mayMove.slice(i, i + AT_ONCE).map((run) => this.move(context, run, to)));
      moved += done.filter(Boolean).length;
    }
    if (moved > 0) {
      const { workflow, version } = to.stored;
      context.logger.info('runs go on as runs of a newer version', { workflow, version, runs: moved });
    }
    return moved;
  }

  private async move({ committer, logger }: SweepContext, { run, generation }: OpenRun, to: Known): Promise<boolean> {
    try {
      const moved = await committer.move({ run, to, staysUntil: null, act: null });
      if (moved.kind === 'stays') this.refuse(run, generation);
      return moved.kind === 'moved';
    } catch (error) {
      // It stays what it is, and its tasks are there for a worker of its own version.
      this.refuse(run, generation);
      logger.error('a run could not be moved to a newer version', {
        runNumber: run,
        error: error instanceof Error ? (error.stack ?? error.message) : String(error),
      });
      return false;
    }
  }

  private refuse(run: number, generation: number): void {
    if (this.refused.size >= REMEMBERED) this.refused.clear();
    this.refused.set(run, generation);
  }
}

interface Target {
  readonly from: number;
  readonly to: Known;
}

/** Of the definitions that have open runs those whose runs may move, and where to: the newest stored version, if it is registered here. */
async function newestHere({ store, registry }: SweepContext, open: readonly number[]): Promise<Target[]> {
  const here = registry.definitions();
  const versions = await store.versions(here.map(({ stored }) => stored.workflow));
  const byId = new Map(versions.map((row): [number, VersionRow] => [row.id, row]));
  const newest = new Map(versions.map((row): [string, number] => [row.workflow, row.id]));
  const targets: Target[] = [];
  for (const from of open) {
    const workflow = byId.get(from)?.workflow;
    const to = here.find(({ stored }) => stored.workflow === workflow);
    if (to === undefined || to.stored.id !== newest.get(to.stored.workflow) || to.stored.id <= from) continue;
    const known = await registry.learn(store, from);
    if (known !== null && known.compiled.graph.onDeploy !== 'pin') targets.push({ from, to });
  }
  return targets;
}

/** Runs of which a worker holds something: to ask them one by one would take them away from the process that alone holds their state. */
async function heldRuns({ store }: SweepContext): Promise<Set<number>> {
  const held = new Set<number>();
  for (let after: TaskKey | null = null; ;) {
    const page: readonly TaskKey[] = await store.running(after, PAGE);
    for (const { run } of page) held.add(run);
    after = page.at(-1) ?? null;
    if (page.length < PAGE) return held;
  }
}
