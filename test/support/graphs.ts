/** Graphs to draw: one that a user would write, random ones, hostile ones. */
import fc from 'fast-check';
import type { DrawnEdge, DrawnGraph } from '../../src/cli/graph/model.ts';
import { task, workflow } from '../../src/index.ts';

const loadOrder = task({ name: 'load-order', run: async (i: { id: string }) => ({ id: i.id, total: 5, lines: [{ sku: 'a' }] }) });
const reserve = task({ name: 'reserve', effects: 'none', run: async (i: { orderId: string; sku: string }) => i.sku });
const ask = task({ name: 'ask-manager', run: async (i: { id: string }) => i.id });
const charge = task({
  name: 'charge',
  effects: 'unsafe',
  retry: { maxAttempts: 5 },
  run: async (i: { cents: number }) => ({ paymentId: String(i.cents) }),
});
const receipt = task({ name: 'send-receipt', run: async (i: { payment: string | null }) => i.payment });

export const order = workflow({ name: 'order' }, (w) => {
  const o = w.run(loadOrder, { id: 'o-81' });
  const holds = w.map(o.lines, reserve, (line) => ({ orderId: o.id, sku: line.sku }), { concurrency: 20, settle: true });
  const cents = w.run('cents', { o }, (i) => i.o.total * 100);
  const boss = w.when(
    o,
    (v) => v.total > 100,
    () => w.run(ask, { id: o.id }),
  );
  const pay = w.run(charge, { cents }, { after: [holds, boss], join: 'none_failed' });
  w.run(receipt, { payment: w.optional(pay.paymentId, null) }, { allowFailure: true });
  return { payment: pay.paymentId };
});

export function graphOf(ids: readonly string[], edges: readonly (readonly [number, number])[]): DrawnGraph {
  return {
    workflow: 'w',
    nodes: ids.map((id) => ({ id, kind: 'task', label: id, facts: [] })),
    edges: edges.map(([from, to]) => ({ from, to, kind: 'data', label: '' })),
  };
}

const numbered = (count: number): string[] => Array.from({ length: count }, (_, i) => `t${i}`);

/** One, many, one. */
export const fan = (count: number): DrawnGraph =>
  graphOf(
    numbered(count + 2),
    Array.from({ length: count }, (_, i): [number, number][] => [
      [0, i + 1],
      [i + 1, count + 1],
    ]).flat(),
  );

export const chain = (count: number): DrawnGraph =>
  graphOf(
    numbered(count),
    Array.from({ length: count - 1 }, (_, i): [number, number] => [i, i + 1]),
  );

const KINDS: readonly Pick<DrawnEdge, 'kind' | 'label'>[] = [
  { kind: 'data', label: '' },
  { kind: 'order', label: '' },
  { kind: 'optional', label: '' },
  { kind: 'settled', label: '' },
  { kind: 'branch', label: 'yes' },
  { kind: 'branch', label: 'no' },
];

/** Any graph without circles: edges lead to later nodes. */
export const anyGraph = ({
  nodes,
  id = fc.constant(null),
}: {
  nodes: number;
  id?: fc.Arbitrary<string | null>;
}): fc.Arbitrary<DrawnGraph> =>
  fc
    .record({
      ids: fc.array(id, { minLength: 1, maxLength: nodes }),
      pairs: fc.uniqueArray(fc.tuple(fc.nat(nodes - 1), fc.nat(nodes - 1), fc.constantFrom(...KINDS)), {
        maxLength: 2 * nodes,
        selector: ([a, b]) => `${Math.min(a, b)} ${Math.max(a, b)}`,
      }),
    })
    .map(({ ids, pairs }) => ({
      ...graphOf(
        ids.map((each, i) => each ?? `t${i}`),
        [],
      ),
      edges: pairs
        .filter(([a, b]) => a !== b && Math.max(a, b) < ids.length)
        .map(([a, b, kind]): DrawnEdge => ({ from: Math.min(a, b), to: Math.max(a, b), ...kind })),
    }));

export const HOSTILE: readonly string[] = [
  '"quoted" \'too\'',
  '<script>alert(1)</script>',
  '</text></svg><svg onload="x">',
  '\u001b[31mred\u001b]0;title\u0007',
  '\u202egnp.exe',
  'x'.repeat(10_000),
  `${'x'.repeat(10_000)}y`,
  'line\nbreak\r\n\ttab\0',
  'end',
  '%%{init: {}}%%',
  ']]>-->&amp;&#60;#quot;',
  '`markdown` **bold** 1. one',
  '- item',
  '1. one',
  'half \ud83d',
  'not a character \uffff',
  '日本語のとても長い名前のタスク',
  '👩‍🚀 e\u0301',
  '__proto__',
  '',
];

export const hostile: DrawnGraph = graphOf(
  HOSTILE,
  HOSTILE.slice(1).map((_, i): [number, number] => [i, i + 1]),
);

/** Like the layers of large scientific workflows: nodes read from a few of those shortly before. */
export function large(nodes: number, edges: number): DrawnGraph {
  const pairs = new Map<string, [number, number]>();
  for (let i = 0; pairs.size < edges; i++) {
    const from = (i * 7919) % (nodes - 1);
    const to = Math.min(nodes - 1, from + 1 + ((i * 104_729 + Math.floor(i / nodes) * 31) % 90));
    pairs.set(`${from} ${to}`, [from, to]);
  }
  return graphOf(numbered(nodes), [...pairs.values()]);
}
