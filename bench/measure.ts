import { medians } from './medians.ts';
import type { Beside } from './peers/beside.ts';
import type { Result } from './report.ts';
import { inFolder, round } from './rounds.ts';
import type { Asked, Metrics, Part, Workload } from './workload.ts';

export interface Extent {
  readonly repetitions: number;
  /** Default: those of the workload. */
  readonly sizes?: readonly number[] | undefined;
  /** The peers, which do each repetition too. */
  readonly beside?: Beside | undefined;
  /** Of the store. */
  readonly asked?: Asked | undefined;
}

/** Every size of every variant of a workload: a result each. */
export async function measure(
  name: string,
  workload: Workload,
  { repetitions, sizes = workload.sizes, beside, asked = {} }: Extent,
): Promise<Result[]> {
  const measured: (readonly Metrics[])[] = [];
  for (let i = 1; i <= repetitions; i++) {
    process.stderr.write(`${name}: repetition ${i} of ${repetitions}\n`);
    measured.push(await repetition(name, workload, { sizes, asked }));
    await beside?.repetition(name, sizes);
  }
  const own = variantsOf(workload).flatMap((variant, v) =>
    sizes.map((_, s) => {
      const all = measured.map((metrics) => metrics[v * sizes.length + s] ?? {});
      return { workload: name, engine: 'pawl', store: storeName(asked), variant, metrics: medians(all), repetitions: all };
    }),
  );
  const smallest = own[sizes.indexOf(Math.min(...sizes))]?.metrics ?? {};
  return [...own, ...(beside?.results(name, smallest) ?? [])];
}

function storeName({ writer, flushMs }: Asked): string {
  return [
    'sqlite',
    ...(writer === undefined ? [] : [`writer ${writer}`]),
    ...(flushMs === undefined ? [] : [`flush ${flushMs} ms slower`]),
  ].join(', ');
}

const variantsOf = ({ variants }: Workload): readonly string[] => variants?.values ?? [''];

/** By variant, and of each by size. */
async function repetition(
  name: string,
  workload: Workload,
  { sizes, asked }: { readonly sizes: readonly number[]; readonly asked: Asked },
): Promise<readonly Metrics[]> {
  const rounds = (parts: Readonly<Record<string, Part>>, size: number, variant: string): Promise<Metrics> =>
    inFolder('round', async (folder) => {
      let metrics: Metrics = {};
      for (const part of Object.keys(parts))
        metrics = {
          ...metrics,
          ...(await round([name, part, String(size), folder, variant, JSON.stringify(asked)], workload.nodeOptions)),
        };
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
