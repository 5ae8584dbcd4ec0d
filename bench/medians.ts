import { median, type Metrics } from './workload.ts';

/** The median of each metric over the repetitions. */
export function medians(repetitions: readonly Metrics[]): Metrics {
  const names = Object.keys(repetitions[0] ?? {});
  return Object.fromEntries(names.map((name) => [name, rounded(median(repetitions.map((one) => one[name] ?? NaN)))]));
}

/** Five digits are more than the noise leaves meaning to; counts keep all of theirs. */
const rounded = (value: number): number => (Number.isInteger(value) ? value : Number(value.toPrecision(5)));
