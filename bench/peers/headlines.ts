import type { Metrics } from '../workload.ts';

/** The one figure of a workload by which engines are compared, and the factor that is wanted against a peer. */
export interface Headline {
  readonly label: string;
  readonly digits: number;
  readonly value: (metrics: Metrics) => number;
  readonly isRate: boolean;
  readonly targets?: Readonly<Record<string, number>>;
}

const of = (metrics: Metrics, name: string): number => metrics[name] ?? NaN;

export const headlines: Readonly<Record<string, Headline>> = {
  w1: { label: 'runs/s', digits: 0, value: (m) => of(m, 'runsPerSecond'), isRate: true, targets: { 'openworkflow-sqlite': 40 } },
  w2: { label: 'ms, p50', digits: 2, value: (m) => of(m, 'p50Ms'), isRate: false },
  w3: { label: 'µs per task', digits: 0, value: (m) => (of(m, 'totalMs') / of(m, 'tasks')) * 1_000, isRate: false },
  w4: { label: 'µs per item', digits: 0, value: (m) => of(m, 'perItemUs'), isRate: false },
  w5: { label: 'ms to all done', digits: 0, value: (m) => of(m, 'recoveryMs'), isRate: false },
};

/** How many times as fast as the peer: above 1 the peer is slower. */
export function timesAsFast({ value, isRate }: Headline, own: Metrics, peer: Metrics): number {
  return isRate ? value(own) / value(peer) : value(peer) / value(own);
}
