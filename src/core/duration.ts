import { tryDurationMs, type Duration } from './duration-text.ts';
import { PawlError } from './errors.ts';
import { shown } from './graph/problems.ts';

export { tryDurationMs };
export type { Duration };

/** Like {@link tryDurationMs}; throws `CONFIG_DURATION`, naming the option, where the value is no duration. */
export function durationMs(value: Duration, option: string): number {
  const ms = tryDurationMs(value);
  if (ms === null) throw new PawlError('CONFIG_DURATION', `${option}: ${shown(value)} is not a duration.`, { details: { option } });
  return ms;
}
