import { realPorts, type Ports } from '../engine/ports.ts';

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly fn: () => void;
}

/** Midnight, 1 January 2030, UTC: far from any real now, so that a wall clock that slips in shows. */
const EPOCH = Date.UTC(2030, 0, 1);

/** A clock that moves only when told to, and the timers that depend on it. */
export class VirtualTime {
  private at = EPOCH;
  private order = 0;
  private timers: Timer[] = [];

  now(): number {
    return this.at;
  }

  /** The ports of an engine that lives in this time. Turns of the event loop stay real. */
  ports(): Ports {
    return {
      ...realPorts,
      now: () => this.at,
      monotonic: () => this.at,
      random: () => 0.5,
      timer: (ms, fn) => {
        const timer: Timer = { at: this.at + Math.max(0, Math.ceil(ms)), order: this.order++, fn };
        this.timers.push(timer);
        return () => {
          this.timers = this.timers.filter((one) => one !== timer);
        };
      },
    };
  }

  /** Moves on to the next timer that is due by `limit` and fires it; false where there is none: then it is `limit`. */
  step(limit: number): boolean {
    let next: Timer | null = null;
    for (const timer of this.timers) {
      if (timer.at <= limit && (next === null || timer.at < next.at || (timer.at === next.at && timer.order < next.order))) next = timer;
    }
    if (next === null) {
      this.at = Math.max(this.at, limit);
      return false;
    }
    const due = next;
    this.timers = this.timers.filter((one) => one !== due);
    this.at = Math.max(this.at, due.at);
    due.fn();
    return true;
  }

  /** Drops every timer: the process that set them died. */
  clear(): void {
    this.timers = [];
  }
}
