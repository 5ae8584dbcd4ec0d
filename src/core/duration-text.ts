type Unit = 'ms' | 's' | 'm' | 'h' | 'd' | 'w';

/** A length of time: milliseconds as a number, or a string such as `'90s'`, `'1.5h'`, `'14d'`. */
export type Duration = number | `${number}${Unit}`;

const MS: Record<Unit, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

/** The last instant that a `Date` can hold: later ones count as this one. */
export const LAST_INSTANT = 8_640_000_000_000_000;

/** Longer than any instant a `Date` can hold would be: no timer can be due then. */
const MAX_MS = 8_640_000_000_000_000;

/** The duration in whole milliseconds, or null where it is none (semantics, section 6: 0, negative, NaN and infinite are none). */
export function tryDurationMs(value: unknown): number | null {
  const ms = typeof value === 'number' ? value : parse(value);
  return Number.isFinite(ms) && ms > 0 && ms <= MAX_MS ? Math.max(1, Math.round(ms)) : null;
}

function parse(value: unknown): number {
  const match = typeof value === 'string' && value.length < 40 ? /^(\d+(?:\.\d+)?)(ms|s|m|h|d|w)$/.exec(value) : null;
  return match ? Number(match[1]) * MS[match[2] as Unit] : Number.NaN;
}

/** A day of the calendar: what `Date` makes of 30 February is one of March. */
export function isDay(text: string): boolean {
  const at = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(at.getTime()) && at.toISOString().startsWith(text);
}
