import { setTimeout as sleep } from 'node:timers/promises';
import type { Run, TaskView } from '../../src/index.ts';
import { unitOf } from './check.ts';
import { countItems, shown, type Snapshot, type View } from './progress.ts';
import type { WorkerProcess } from './worker-process.ts';
import { inspect, scan, type Package } from './workflow.ts';

/** Without any news for so long, something is wrong. */
const PATIENCE_MS = 60_000;

/** Looks at the run, politely, and shows what it sees. */
export class Watcher {
  /** Every task and item (see {@link unitOf}) that the store ever said had ended. */
  readonly ended = new Set<string>();
  /** Must live as long as it is here. */
  worker: WorkerProcess | null = null;
  private says = '';
  private packages: readonly Package[] | null = null;
  private readonly run: Run<unknown>;
  private readonly view: View;

  constructor(run: Run<unknown>, view: View) {
    this.run = run;
    this.view = view;
  }

  employ(worker: WorkerProcess, name: string): WorkerProcess {
    this.worker = worker;
    this.says = `${name}, pid ${worker.pid}`;
    return worker;
  }

  /** From here on the worker may end without that being a surprise. */
  dismiss(says: string): void {
    this.worker = null;
    this.says = says;
  }

  /** Goes on until the run is over or it is enough. */
  async until(isEnough: (snapshot: Snapshot) => boolean): Promise<Snapshot> {
    let newsAt = performance.now();
    for (let known = -1; ;) {
      const askedAt = performance.now();
      const snapshot = await this.look();
      if (isOver(snapshot) || isEnough(snapshot)) return snapshot;
      const seen = this.ended.size + countItems(snapshot.tasks).running;
      if (seen !== known) [known, newsAt] = [seen, askedAt];
      const log = this.worker === null ? '' : ` ${shown(this.worker.log)} may say why.`;
      if (this.worker?.hasExited === true) throw new Error(`The worker ended by itself.${log}`);
      if (askedAt - newsAt > PATIENCE_MS) throw new Error(`Nothing has happened for ${PATIENCE_MS / 1_000} s.${log}`);
      // Four fifths of the time are the worker's, however long the list is.
      await sleep(Math.max(80, 4 * (performance.now() - askedAt)));
    }
  }

  async look(): Promise<Snapshot> {
    // In this order: a run that is over has all its tasks over.
    const { status } = await this.run.status();
    const tasks = await this.run.tasks({ items: true });
    this.packages ??= (await this.run.output(scan))?.packages ?? null;
    for (const each of tasks) {
      // The map itself has no body; its items have.
      const hasBody = each.task !== inspect.name || each.item !== undefined;
      if (hasBody && hasEnded(each)) this.ended.add(unitOf({ task: each.task, item: this.pathOf(each) }));
    }
    const snapshot = { status, tasks, packages: this.packages?.length ?? null, worker: this.says };
    this.view.show(snapshot);
    return snapshot;
  }

  packageOf({ item }: TaskView): Package | undefined {
    return item === undefined ? undefined : this.packages?.[item];
  }

  private pathOf(task: TaskView): string | null {
    return task.item === undefined ? null : (this.packageOf(task)?.path ?? `#${task.item}`);
  }
}

export function isOver({ status }: Snapshot): boolean {
  return ['success', 'partial', 'failed', 'cancelled', 'skipped'].includes(status);
}

function hasEnded({ status }: TaskView): boolean {
  return ['success', 'failed', 'skipped', 'upstream_failed', 'cancelled'].includes(status);
}
