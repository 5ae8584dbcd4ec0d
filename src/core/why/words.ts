/** A span of time in words, of the two figures that matter: `850 ms`, `3.2 s`, `4 min`, `2 h 5 min`, `3 days`. */
export function spanText(ms: number): string {
  const s = Math.max(0, ms) / 1_000;
  if (s < 1) return `${Math.round(s * 1_000)} ms`;
  if (s < 10) return `${Math.floor(s * 10) / 10} s`;
  if (s < 60) return `${Math.floor(s)} s`;
  const min = Math.floor(s / 60);
  if (min < 60) return `${min} min`;
  const hours = Math.floor(min / 60);
  if (hours < 48) return min % 60 === 0 ? `${hours} h` : `${hours} h ${min % 60} min`;
  return `${Math.floor(hours / 24)} days`;
}

/** A list as a person says it, the first few of it. */
export function listText(names: readonly string[], most = 3): string {
  const shown = names.slice(0, most).map((name) => `"${name}"`);
  const more = names.length - shown.length;
  if (more > 0) return `${shown.join(', ')} and ${more} more`;
  const last = shown.pop() ?? '';
  return shown.length === 0 ? last : `${shown.join(', ')} and ${last}`;
}
