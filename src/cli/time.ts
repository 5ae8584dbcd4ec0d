const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1_000],
] as const;

/** `850 ms`, `14.2 s`, `3 min 20 s`, `2 h 5 min`, `4 d 1 h`: at most two units. */
export function lengthText(ms: number): string {
  const length = Math.max(0, Math.round(ms));
  if (length < 1_000) return `${length} ms`;
  if (length < 59_950) return `${(length / 1_000).toFixed(1).replace(/\.0$/, '')} s`;
  // In whole units of the smaller one, so that 59.9 s become no 60 s.
  const [big, small] = pairOf(length);
  const smalls = Math.round(length / small[1]);
  const perBig = big[1] / small[1];
  const rest = smalls % perBig;
  return `${Math.floor(smalls / perBig)} ${big[0]}${rest === 0 ? '' : ` ${rest} ${small[0]}`}`;
}

function pairOf(length: number): readonly [readonly [string, number], readonly [string, number]] {
  if (length >= 86_400_000 - 30_000) return [UNITS[0], UNITS[1]];
  if (length >= 3_600_000 - 500) return [UNITS[1], UNITS[2]];
  return [UNITS[2], UNITS[3]];
}

/** `4 min ago`, `in 2 h`, `just now`. */
export function ageText(at: Date, now: number): string {
  const ms = now - at.getTime();
  const length = Math.abs(ms);
  if (length < 1_000) return 'just now';
  const [unit, size] = UNITS.find(([, one]) => length >= one) ?? UNITS[3];
  const words = `${Math.floor(length / size)} ${unit}`;
  return ms < 0 ? `in ${words}` : `${words} ago`;
}

/** `12:03:04`, in the time zone of the terminal. */
export function clockText(at: Date): string {
  return [at.getHours(), at.getMinutes(), at.getSeconds()].map((part) => String(part).padStart(2, '0')).join(':');
}
