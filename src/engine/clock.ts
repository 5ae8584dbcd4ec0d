import type { Ports } from './ports.ts';

/** Beyond this the wall clock and the monotonic clock disagree. */
const JUMP_MS = 1_000;

/**
 * Store time (semantics, section 7): this machine's clock, never less than the highest that a commit has stored. Notices when the wall
 * clock jumps against the monotonic one, or when the process stood still: then nothing is reclaimed for one lease.
 */
export class StoreClock {
  private readonly ports: Ports;
  private readonly leaseMs: number;
  private floor = 0;
  private lastWall: number;
  private lastMonotonic: number;
  private distrustUntil = 0;

  constructor(ports: Ports, leaseMs: number) {
    this.ports = ports;
    this.leaseMs = leaseMs;
    this.lastWall = ports.now();
    this.lastMonotonic = ports.monotonic();
  }

  now(): number {
    this.floor = Math.max(this.floor, this.ports.now());
    return this.floor;
  }

  raise(floor: number): void {
    this.floor = Math.max(this.floor, floor);
  }

  /** To be called at least every half lease; a longer silence counts as having been stopped. */
  watch(): void {
    const wall = this.ports.now();
    const monotonic = this.ports.monotonic();
    const jumped = Math.abs(wall - this.lastWall - (monotonic - this.lastMonotonic)) > JUMP_MS;
    const stopped = monotonic - this.lastMonotonic > this.leaseMs / 2;
    if (jumped || stopped) this.distrustUntil = monotonic + this.leaseMs;
    this.lastWall = wall;
    this.lastMonotonic = monotonic;
  }

  /** Whether other workers' leases may be judged now. */
  get isTrusted(): boolean {
    return this.ports.monotonic() >= this.distrustUntil;
  }
}
