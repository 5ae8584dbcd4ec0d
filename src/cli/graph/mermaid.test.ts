import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { anyGraph, graphOf, hostile, HOSTILE, order } from '../../../test/support/graphs.ts';
import { drawMermaid } from './mermaid.ts';
import { drawnGraph } from './model.ts';

/** Everything that a drawing may hold: a label is letters, digits, a little punctuation, and numbered characters. */
const LABEL = /"(?:[\p{L}\p{N}\p{M} .,:_×–-]|\u200c|\u200d|#\d+;|<br\/>)+"/u.source;
const LINE = new RegExp(
  [
    '^flowchart TD$',
    `^ {2}n\\d+(?:\\[${LABEL}\\]|\\[\\[${LABEL}\\]\\]|\\{\\{${LABEL}\\}\\}|\\(\\[${LABEL}\\]\\))$`,
    '^ {2}n\\d+ (?:-->|-\\.->|-->\\|(?:optional|settled|yes|no|yes, no)\\|) n\\d+$',
    '^ {2}classDef \\w+ fill:#\\w+,stroke:#\\w+,color:#\\w+$',
    '^ {2}class n\\d+ \\w+$',
    '^$',
  ].join('|'),
  'u',
);
const odd = (text: string): string[] => text.split('\n').filter((line) => !LINE.test(line));

describe('a Mermaid drawing', () => {
  test('of an order workflow', () => {
    expect(drawMermaid(drawnGraph(order.graph))).toMatchInlineSnapshot(`
      "flowchart TD
        n0["load-order"]
        n1[["reserve<br/>map ×20<br/>settle<br/>effects none"]]
        n2["cents"]
        n3{{"when"}}
        n4["ask-manager"]
        n5(["when.result"])
        n6["charge<br/>join none_failed<br/>effects unsafe<br/>retry 5"]
        n7["send-receipt<br/>may fail"]
        n0 --> n1
        n0 --> n2
        n0 --> n3
        n0 --> n4
        n3 -->|yes| n4
        n4 --> n5
        n3 -->|no| n5
        n1 -.-> n6
        n5 -.-> n6
        n2 --> n6
        n6 -->|optional| n7
      "
    `);
  });

  test('shows how tasks of a run stand', () => {
    const text = drawMermaid(drawnGraph(order.graph, new Map([['charge', { status: 'failed' }]])));
    expect(text).toMatch(/classDef failed fill:/);
    expect(text).toMatch(/class n\d failed/);
    expect(odd(text)).toEqual([]);
  });

  test('is only syntax of ours, whatever the ids, and holds every edge', () => {
    const id = fc.oneof(fc.constantFrom(...HOSTILE), fc.string({ unit: 'binary', maxLength: 30 }));
    fc.assert(
      fc.property(anyGraph({ nodes: 12, id }), (model) => {
        const text = drawMermaid(model);
        expect(odd(text)).toEqual([]);
        const edges = [...text.matchAll(/^ {2}n(\d+) \S+?>(?:\|[^|]*\|)? n(\d+)$/gm)].map(([, from, to]) => `${from} ${to}`);
        expect(edges).toEqual(model.edges.map(({ from, to }) => `${from} ${to}`));
      }),
    );
    expect(odd(drawMermaid(hostile))).toEqual([]);
    expect(odd('  n0["<script>"]')).not.toEqual([]);
  });

  test('escapes what Mermaid or Markdown would take for syntax', () => {
    const label = (id: string): string | undefined => /"(.*)"/.exec(drawMermaid(graphOf([id], [])))?.[1];
    expect(label('<script>')).toBe('#60;script#62;');
    expect(label('say "hi"')).toBe('say #34;hi#34;');
    expect(label('a#b;')).toBe('a#35;b#59;');
    expect(label('1. one')).toBe('1#46; one');
    expect(label('- item')).toBe('#45; item');
    expect(label('__proto__')).toBe('#95;#95;proto#95;#95;');
    expect(label('load_order')).toBe('load_order');
    expect(label('end')).toBe('end');
    expect(label('')).toBe('#40;empty#41;');
  });

  test('of nothing is a flowchart without nodes', () => expect(drawMermaid(graphOf([], []))).toBe('flowchart TD\n'));
});
