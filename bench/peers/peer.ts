/** What a peer has to be able to do, and the two flows that it runs. Nothing here knows any of them. */

/** One run. A chain has `size` tasks; a fan is 1 task, a map of `size` items, 1 task that reads all results. */
export interface Flow {
  readonly kind: 'chain' | 'fan';
  readonly size: number;
  /** Different for each run of a round. */
  readonly run: number;
}

export interface Output {
  readonly n: number;
}

/** Called by each body with what tells it from the others of its round. */
export type Ran = (key: string) => void;

/** Where a round keeps its data. All of it is removed afterwards. */
export interface Place {
  readonly folder: string;
  /** The server, where the peer needs one. */
  readonly url: string;
  /** A schema of Postgres, or a prefix of Redis' keys, of this round alone. */
  readonly space: string;
}

/** A peer that is open and works. */
export interface PeerEngine {
  /** Submits all at once; resolves with the outputs when the last run's end is in the store. */
  runAll(flows: readonly Flow[]): Promise<readonly Output[]>;
  /** From start to result, in the way that the peer's documentation gives for it. */
  runOne(flow: Flow): Promise<Output>;
  /** Resolves when `runs` runs have ended, counting those that a process before this one submitted to the same place. */
  ended(runs: readonly Flow[]): Promise<void>;
  close(): Promise<void>;
}

export type OpenPeer = (place: Place, ran: Ran) => Promise<PeerEngine>;

/** A durable step of a peer that has steps. */
export type Step = <T>(name: string, body: () => Promise<T>) => Promise<T>;

/** The flow for peers whose workflow is a function that is run again from the start. */
export async function flowInSteps({ kind, size, run }: Flow, step: Step, ran: Ran): Promise<Output> {
  if (kind === 'chain') {
    let last: Output = { n: 0 };
    for (let i = 0; i < size; i++) {
      const { n } = last;
      last = await step(`t${i}`, async () => {
        ran(`${run}.${i}`);
        return { n: n + 1 };
      });
    }
    return last;
  }
  const list = await step('list', async () => Array.from({ length: size }, (_, i) => i));
  const mapped = await Promise.all(
    list.map((n) =>
      step(`item${n}`, async () => {
        ran(`${run}.${n}`);
        return { n };
      }),
    ),
  );
  return step('count', async () => ({ n: mapped.length }));
}

/** Asks again until it holds. The pause is what a peer's store can be asked without slowing what is measured. */
export async function until(holds: () => Promise<boolean>, pauseMs: number): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, pauseMs));
}
