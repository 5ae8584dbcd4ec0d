import type { RunningTask } from '../core/kernel/run-state.ts';
import type { ClaimRequest, CommitResult } from '../store/store.ts';
import type { Chain } from './attempt.ts';
import type { CachedRun } from './cache.ts';
import type { Capacity } from './planner.ts';

/** What the dispatcher is to the committer: who has slots, and who takes what was claimed. */
export interface Claims {
  capacity(now: number): Capacity;
  /** What to ask the queue for; null where nothing can be taken. */
  request(free: number, firstToken: number): ClaimRequest | null;
  /** Whether the last look at the queue is too long ago to go on by. */
  lookIsOld(now: number): boolean;
  looked(result: CommitResult, asked: number, now: number): void;
  launch(entry: CachedRun, task: RunningTask, chain: Chain): void;
  /** Begins the bodies of what was launched. */
  begin(): void;
  /** Something of this rank was put into the queue. */
  queued(rank: number): void;
  /** A claim that is no longer this process's: its body gets the abort signal. */
  revoke(token: number, why: string): void;
}
