import type { Result } from './report.ts';
import { inFolder, round } from './rounds.ts';
import { median, type Metrics, type Part, type Workload } from './workload.ts';

export interface Extent {
  readonly repetitions: number;
  /** Default: those of the workload. */
  readonly sizes?: readonly number[] | undefined;
}

/** Every size of every variant of a workload: a result each. */
export async function measure(name: string, workload: Workload, { repetitions, sizes = workload.sizes }: Extent): Promise<Result[]> {
  const measured: (readonly Metrics[])[] = [];
  for (let i = 1; i <= repetitions; i++) {
    process.stderr.write(`${name}: repetition ${i} of ${repetitions}\n`);
    measured.push(await repetition(name, workload, sizes));
  }
  return variantsOf(workload).flatMap((variant, v) =>
    sizes.map((_, s) => {
      const all = measured.map((metrics) => metrics[v * sizes.length + s] ?? {});
      return { workload: name, engine: 'pawl', store: 'sqlite', variant, metrics: medians(all), repetitions: all };
    }),
  );
}

const variantsOf = ({ variants }: Workload): readonly string[] => variants?.values ?? [''];

/** By variant, and of each by size. */
async function repetition(name: string, workload: Workload, sizes: readonly number[]): Promise<readonly Metrics[]> {
  const rounds = (parts: Readonly<Record<string, Part>>, size: number, variant: string): Promise<Metrics> =>
    inFolder('round', async (folder) => {
      let metrics: Metrics = {};
      for (const part of Object.keys(parts))
        metrics = { ...metrics, ...(await round([name, part, String(size), folder, variant], workload.nodeOptions)) };
      return metrics;
    });
  const before = await rounds(workload.before ?? {}, sizes[0] ?? NaN, '');
  const all: Metrics[] = [];
  for (const variant of variantsOf(workload)) {
    const bySize: Metrics[] = [];
    for (const size of sizes) bySize.push({ ...before, ...(await rounds(workload.parts, size, variant)) });
    all.push(...(workload.derive?.(bySize, variant) ?? bySize));
  }
  return all;
}

function medians(repetitions: readonly Metrics[]): Metrics {
  const names = Object.keys(repetitions[0] ?? {});
  return Object.fromEntries(names.map((name) => [name, rounded(median(repetitions.map((one) => one[name] ?? NaN)))]));
}

/** Five digits are more than the noise leaves meaning to; counts keep all of theirs. */
const rounded = (value: number): number => (Number.isInteger(value) ? value : Number(value.toPrecision(5)));
