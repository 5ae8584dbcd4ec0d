import { task, workflow, type Workflow } from '../src/index.ts';
import { CONCURRENCY, edges, mustBe, peakMb, workingEngine, type Metrics, type Round, type Workload } from './workload.ts';

/** Does an item cost more the more there are? 1 → map of n → 1; each item's body notes when it ran. */
const WARM_UP_ITEMS = 1_000;

/** How long the next list is. */
interface Plan {
  items: number;
  readonly ran: number[];
}

function fanOf(most: number, plan: Plan): Workflow<void, { n: number }> {
  const item = task({
    name: 'item',
    run: async (input: { readonly n: number }) => {
      plan.ran.push(performance.now());
      return { n: input.n };
    },
  });
  return workflow({ name: 'fan' }, (w) => {
    const list = w.run('list', {}, async () => Array.from({ length: plan.items }, (_, i) => i));
    const mapped = w.map(list, item, (n) => ({ n }), { maxItems: most });
    return w.run('count', { mapped }, async (input) => ({ n: input.mapped.length }));
  });
}

async function measure({ folder, size }: Round): Promise<Metrics> {
  const plan: Plan = { items: Math.min(size, WARM_UP_ITEMS), ran: [] };
  const fan = fanOf(size, plan);
  const engine = await workingEngine(folder, [fan]);
  await (await engine.start(fan)).result();
  plan.items = size;
  plan.ran.length = 0;
  const startMs = performance.now();
  const output = await (await engine.start(fan)).result();
  const totalMs = performance.now() - startMs;
  mustBe(output, { n: size }, 'the output of the map');
  await engine.close();
  return {
    items: size,
    concurrency: CONCURRENCY,
    totalMs,
    perItemUs: (totalMs / size) * 1_000,
    ...edges(plan.ran, Math.ceil(size / 10)),
    peakMb: peakMb(),
  };
}

/** An item's cost against the cheapest of a smaller size in the same repetition: the smallest carries the fixed cost of a run. */
function withGrowth(bySize: readonly Metrics[]): Metrics[] {
  const costs = bySize.map((m) => m['perItemUs'] ?? NaN);
  return bySize.map((m, at) => ({ ...m, growth: (costs[at] ?? NaN) / Math.min(...costs.slice(0, Math.max(1, at))) }));
}

export const w4: Workload = {
  title: (m) => `1 → map of ${m['items']?.toLocaleString('en-US')} → 1`,
  sizes: [1_000, 10_000, 100_000],
  parts: { engine: measure },
  derive: withGrowth,
  figures: [
    { metric: 'totalMs', label: 'total, ms', digits: 1 },
    { metric: 'perItemUs', label: 'per item, µs', digits: 1 },
    { metric: 'perTaskFirstUs', label: 'per item, first tenth, µs', digits: 1 },
    { metric: 'perTaskLastUs', label: 'per item, last tenth, µs', digits: 1 },
    { metric: 'growth', label: 'against linear from smaller sizes', digits: 2, target: { text: '≤ 1.3', holds: (value) => value <= 1.3 } },
    { metric: 'peakMb', label: 'peak memory of the process, MB', digits: 0, target: { text: '≤ 200', holds: (value) => value <= 200 } },
  ],
};
