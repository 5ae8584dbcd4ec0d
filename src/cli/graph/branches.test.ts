import { describe, expect, test } from 'vitest';
import { HOSTILE } from '../../../test/support/graphs.ts';
import { workflow } from '../../index.ts';
import { drawMermaid } from './mermaid.ts';
import { drawnGraph } from './model.ts';
import { drawSvg } from './svg.ts';

describe('a workflow with a guard, a switch and a first', () => {
  const one = workflow({ name: 'one', guard: () => true }, (w) => {
    const o = w.run('load', {}, () => ({ total: 5 }));
    const lane = w.switch(
      o,
      {
        vip: [() => true, () => w.run('greet', {}, () => 1)],
        'a name that is far too long': [() => true, () => 2],
        gone: [() => true, () => 3],
      },
      { default: () => w.run('plain', {}, () => 4) },
    );
    return w.first({ lane, o: w.run('other', {}, () => 1) });
  });

  test('shows decisions with the names of their cases, and what races', () => {
    expect(drawMermaid(drawnGraph(one.graph))).toMatchInlineSnapshot(`
      "flowchart TD
        n0{{"guard"}}
        n1["load"]
        n2{{"switch"}}
        n3["greet"]
        n4["plain"]
        n5(["switch.result"])
        n6["other"]
        n7(["first"])
        n0 -->|yes| n1
        n1 --> n2
        n2 -->|"vip"| n3
        n2 -->|"default"| n4
        n3 --> n5
        n4 --> n5
        n2 -->|"a name ..oo long, gone"| n5
        n0 -->|yes| n6
        n5 --> n7
        n6 --> n7
      "
    `);
  });

  test('is drawn whatever its cases are called, and nothing of a name is ever syntax', () => {
    const names = HOSTILE.filter((name) => workflowOf(name) !== null);
    expect(names.length).toBeGreaterThan(8);
    for (const name of names) {
      const graph = workflowOf(name);
      if (graph === null) continue;
      const labels = [...drawMermaid(drawnGraph(graph)).matchAll(/\|(.*)\|/g)].map((match) => match[1] ?? '');
      expect(labels).not.toEqual([]);
      for (const label of labels) expect(label).toMatch(/^(yes|no|"[^"<>|]*")$/);
      expect(drawSvg(drawnGraph(graph))).not.toMatch(/<script|<svg onload/);
    }
  });
});

/** Null where a case may not be called so. */
function workflowOf(name: string): Parameters<typeof drawnGraph>[0] | null {
  try {
    return workflow({ name: 'hostile' }, (w) => {
      w.switch(1, { [name]: [() => true, () => w.run('a', {}, () => 1)], other: [() => true, () => 1] });
    }).graph;
  } catch {
    return null;
  }
}
