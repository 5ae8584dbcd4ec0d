import { contractOf } from '../../core/kernel/turn.ts';
import type { HeldTask, TaskKey } from '../../store/store.ts';
import type { SweepContext } from './sweep.ts';

const AT_ONCE = 500;
/** So long after timeout and grace the holder has had its chance to say so itself. */
const MARGIN_MS = 1_000;

/** Ends attempts of other processes that are past their timeout and grace, whatever their lease says. */
export async function endOverdue(context: SweepContext, now: number): Promise<number> {
  const { store, committer, worker } = context;
  let ended = 0;
  let after: TaskKey | null = null;
  for (;;) {
    const page: HeldTask[] = await store.running(after, AT_ONCE);
    for (const task of page) {
      if (task.worker === worker || !(await isOverdue(context, task, now))) continue;
      const error = JSON.stringify({
        name: 'TimeoutError',
        code: 'timeout',
        message: 'The attempt took longer than its timeout, and its process did not end it.',
      });
      if (await committer.outcome(task.run, task, { kind: 'timeout', reason: 'timeout', error })) ended++;
    }
    after = page.at(-1) ?? null;
    if (page.length < AT_ONCE) return ended;
  }
}

async function isOverdue({ store, registry, graceMs }: SweepContext, task: HeldTask, now: number): Promise<boolean> {
  const known = await registry.learn(store, task.definition);
  const node = known?.compiled.nodes[task.node];
  const contract = node === undefined ? null : contractOf(node);
  return contract !== null && now > task.startedAt - task.ranMs + contract.timeout.attemptMs + graceMs + MARGIN_MS;
}
