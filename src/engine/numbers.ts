import type { Store } from '../store/store.ts';

const RUNS_AT_ONCE = 5_000;
const TOKENS_AT_ONCE = 1_000_000;

/** Run ids and lease tokens, reserved in blocks: a block that a crash leaves half used is never handed out again. */
export class Numbers {
  private readonly store: Store;
  private nextRun = 0;
  private runsLeft = 0;
  private nextToken = 0;
  private tokensLeft = 0;

  constructor(store: Store) {
    this.store = store;
  }

  /** Makes sure that so many can be taken. */
  async ensure(runs: number, tokens: number): Promise<void> {
    if (this.runsLeft >= runs && this.tokensLeft >= tokens) return;
    const reserved = await this.store.reserve(RUNS_AT_ONCE + runs, TOKENS_AT_ONCE + tokens);
    this.nextRun = reserved.firstRun;
    this.runsLeft = RUNS_AT_ONCE + runs;
    this.nextToken = reserved.firstToken;
    this.tokensLeft = TOKENS_AT_ONCE + tokens;
  }

  run(): number {
    this.runsLeft--;
    return this.nextRun++;
  }

  token(): number {
    this.tokensLeft--;
    return this.nextToken++;
  }

  /** The token that comes next, for a claim that takes a row of them. */
  get peekToken(): number {
    return this.nextToken;
  }

  skipTokens(count: number): void {
    this.nextToken += count;
    this.tokensLeft -= count;
  }
}
