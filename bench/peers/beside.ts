import { medians } from '../medians.ts';
import type { Result } from '../report.ts';
import type { Metrics } from '../workload.ts';
import { headlines, timesAsFast } from './headlines.ts';
import { wantedVersions } from './install.ts';
import { keyOf, peers as all, type Peer } from './peers.ts';
import { peerRound } from './rounds.ts';

/** A round that took longer is not repeated: it waited, and would wait as long again. */
const REPEATED_BELOW_MS = 20_000;

interface Measured {
  readonly repetitions: Metrics[];
  failed?: string;
  isEnough: boolean;
}

type MeasureRound = (key: string, workload: string, size: number) => Promise<Metrics>;

/** The peers that are measured beside Pawl, repetition by repetition. */
export class Beside {
  private readonly peers: readonly Peer[];
  private readonly round: MeasureRound;
  private readonly measured = new Map<string, Measured>();
  private readonly versions = wantedVersions();

  constructor(peers: readonly Peer[] = atHand(), round: MeasureRound = peerRound) {
    this.peers = peers;
    this.round = round;
  }

  /** One repetition of a workload by each peer that is measured on it. A peer that failed is not tried again. */
  async repetition(workload: string, sizes: readonly number[]): Promise<void> {
    for (const peer of this.on(workload)) {
      const measured = this.of(peer, workload);
      if (measured.failed !== undefined || measured.isEnough) continue;
      process.stderr.write(`${workload}: ${peer.name} on ${peer.store}\n`);
      const startMs = performance.now();
      try {
        measured.repetitions.push(await this.round(keyOf(peer), workload, Math.min(...sizes, peer.most[workload] ?? NaN)));
      } catch (error) {
        measured.failed = error instanceof Error ? error.message : String(error);
      }
      measured.isEnough = performance.now() - startMs > REPEATED_BELOW_MS;
    }
  }

  /** What the peers measured on a workload, against Pawl at its smallest size. */
  results(workload: string, own: Metrics): Result[] {
    const headline = headlines[workload];
    return this.on(workload).map((peer) => {
      const { repetitions, failed } = this.of(peer, workload);
      const metrics = failed === undefined ? medians(repetitions) : {};
      const version = this.versions[peer.packageName] ?? 'unknown';
      return {
        workload,
        engine: peer.name,
        store: peer.store,
        variant: '',
        metrics: failed === undefined && headline ? { ...metrics, timesAsFast: round(timesAsFast(headline, own, metrics)) } : metrics,
        repetitions,
        peer: { key: keyOf(peer), title: `${peer.title} ${version}`, version, ...(failed !== undefined && { failed }) },
      };
    });
  }

  private on(workload: string): readonly Peer[] {
    return this.peers.filter(({ most }) => Object.hasOwn(most, workload));
  }

  private of(peer: Peer, workload: string): Measured {
    const key = `${keyOf(peer)} ${workload}`;
    const known = this.measured.get(key) ?? { repetitions: [], isEnough: false };
    this.measured.set(key, known);
    return known;
  }
}

const round = (value: number): number => Number(value.toPrecision(5));

/** Those whose server is at hand; what is missing is said once. */
function atHand(): readonly Peer[] {
  const missing = all.filter(({ server }) => server !== undefined && !process.env[server]);
  for (const { name, store, server } of missing) process.stderr.write(`peers: ${name} on ${store} is not measured: ${server} is not set\n`);
  return all.filter((peer) => !missing.includes(peer));
}
