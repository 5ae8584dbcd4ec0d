/** What a claim makes of a queued task. */
import { setTask, type TaskChange } from './changes.ts';
import { type Lease, type QueuedTask, type RunningTask, type RunState } from './run-state.ts';

/** A queued task taken by a worker: a start begins an attempt, a return or an evaluation does not. */
export function claimTask(task: QueuedTask, lease: Lease, now: number): RunningTask {
  const begins = task.phase === 'body' && task.next === 'start' ? 1 : 0;
  // Field by field: a rest pattern builds its object property by property, which costs three times the memory.
  return {
    node: task.node,
    item: task.item,
    generation: task.generation,
    attempt: task.attempt + begins,
    begun: task.begun + begins,
    losses: task.losses,
    crashes: task.crashes,
    handBacks: task.handBacks,
    draws: task.draws,
    ranMs: begins === 1 ? 0 : task.ranMs,
    rank: task.rank,
    firstQueuedAt: task.firstQueuedAt,
    effect: task.effect,
    edited: task.edited,
    status: 'running',
    phase: task.phase,
    lease,
    startedAt: now,
    ...(task.next === 'resume' ? { resumed: true } : {}),
  };
}

/** Claims a task in the commit that queues it (semantics, section 8: local continuation). */
export function claimInPlace(state: RunState, change: TaskChange, lease: Lease, now: number): RunningTask {
  if (change.to.status !== 'queued') throw new RangeError(`a ${change.to.status} task cannot be claimed`);
  const running = claimTask(change.to, lease, now);
  change.to = running;
  setTask(state, running);
  return running;
}
