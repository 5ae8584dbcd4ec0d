/** A stretch of time in which a zone's clocks differ from UTC by the same `offsetMs`. */
export interface Stretch {
  /** First instant; -Infinity for what lies before the years that were looked at. */
  readonly from: number;
  readonly offsetMs: number;
}

const DAY_MS = 86_400_000;
/** No zone changes its clocks twice within a day. */
const STEP_MS = DAY_MS;

const zones = new Map<string, Zone | null>();

/** A zone of the IANA database by its name; null where there is none. */
export function zoneNamed(name: string): Zone | null {
  let zone = zones.get(name);
  if (zone === undefined) {
    zone = makeZone(name);
    if (zones.size < 1_000) zones.set(name, zone);
  }
  return zone;
}

function makeZone(name: string): Zone | null {
  // why: offsets such as +01:00 are taken by Intl too, and are no zones
  if (!/^[A-Za-z]/.test(name)) return null;
  try {
    return new Zone(name);
  } catch {
    return null;
  }
}

/** When the clocks of a zone are changed, found by asking Intl once a day and then halving; years are looked at when they are needed. */
export class Zone {
  private readonly format: Intl.DateTimeFormat;
  private readonly years = new Map<number, readonly Stretch[]>();

  constructor(name: string) {
    this.format = new Intl.DateTimeFormat('en-US', {
      timeZone: name,
      calendar: 'gregory',
      numberingSystem: 'latn',
      hourCycle: 'h23',
      era: 'short',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
  }

  /** How far local time is ahead of UTC. */
  offsetAt(at: number): number {
    let [year, month, day, hour, minute, second] = [0, 1, 1, 0, 0, 0];
    for (const { type, value } of this.format.formatToParts(at)) {
      if (type === 'year') year = Number(value);
      else if (type === 'month') month = Number(value);
      else if (type === 'day') day = Number(value);
      else if (type === 'hour') hour = Number(value);
      else if (type === 'minute') minute = Number(value);
      else if (type === 'second') second = Number(value);
    }
    return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(at / 1_000) * 1_000;
  }

  /** The stretch that holds an instant, the one before it, and the first instant after it; where it does not end within two years, that time. */
  around(at: number): { readonly before: Stretch; readonly here: Stretch; readonly until: number } {
    const year = new Date(at).getUTCFullYear();
    const changes = [year - 1, year, year + 1].flatMap((one) => this.changesIn(one));
    const after = changes.findIndex((change) => change.from > at);
    const index = (after === -1 ? changes.length : after) - 1;
    const first: Stretch = { from: -Infinity, offsetMs: this.offsetAt(Date.UTC(year - 1, 0, 1)) };
    const here = changes[index] ?? first;
    return {
      before: index < 0 ? here : (changes[index - 1] ?? first),
      here,
      until: changes[index + 1]?.from ?? Date.UTC(year + 2, 0, 1),
    };
  }

  /** Changes of the clocks in a year of UTC. */
  private changesIn(year: number): readonly Stretch[] {
    let changes = this.years.get(year);
    if (changes === undefined) {
      changes = this.look(Date.UTC(year, 0, 1), Date.UTC(year + 1, 0, 1));
      if (this.years.size > 400) this.years.clear();
      this.years.set(year, changes);
    }
    return changes;
  }

  private look(from: number, to: number): Stretch[] {
    const changes: Stretch[] = [];
    let before = this.offsetAt(from - 1);
    for (let at = from - 1; at < to - 1; at = Math.min(at + STEP_MS, to - 1)) {
      const end = Math.min(at + STEP_MS, to - 1);
      const offsetMs = this.offsetAt(end);
      if (offsetMs === before) continue;
      changes.push({ from: this.changeBetween(at, end, before), offsetMs });
      before = offsetMs;
    }
    return changes;
  }

  /** The first instant in (low, high] at which the offset is no longer what it is at `low`. */
  private changeBetween(low: number, high: number, offset: number): number {
    let [same, other] = [low, high];
    while (other - same > 1) {
      const middle = Math.floor((same + other) / 2);
      if (this.offsetAt(middle) === offset) same = middle;
      else other = middle;
    }
    return other;
  }
}
