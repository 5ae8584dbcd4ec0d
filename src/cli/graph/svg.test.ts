import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { anyGraph, chain, fan, graphOf, hostile, HOSTILE, large, order } from '../../../test/support/graphs.ts';
import { drawnGraph } from './model.ts';
import { drawSvg } from './svg.ts';

const ALLOWED = new Set(['svg', 'title', 'desc', 'style', 'defs', 'marker', 'rect', 'path', 'polygon', 'g', 'text']);

/** What is wrong with a text as XML, or with it as a drawing of ours: nesting, quoting, entities, elements, attributes. */
function faults(text: string): string[] {
  const found: string[] = [];
  const open: string[] = [];
  let end = 0;
  for (const match of text.matchAll(/<(\/?)([A-Za-z]+)((?: [A-Za-z:-]+="[^"<]*")*)(\/?)>/g)) {
    const [whole, closing, name = '', attributes = '', alone] = match;
    const between = text.slice(end, match.index);
    if (/[<>]/.test(between) && open.at(-1) !== 'style') found.push(`stray bracket in ${JSON.stringify(between.slice(0, 40))}`);
    if (/&(?!(amp|lt|gt|quot|#39);)/.test(between + attributes)) found.push(`bare & near ${whole}`);
    if (!ALLOWED.has(name)) found.push(`element ${name}`);
    if (/ (on\w+|href|xlink:href|src|style)=/.test(attributes)) found.push(`attribute in ${whole}`);
    if (/NaN|undefined|Infinity/.test(attributes)) found.push(`no number in ${whole}`);
    if (closing && open.pop() !== name) found.push(`${name} closes nothing`);
    if (!closing && !alone) open.push(name);
    end = match.index + whole.length;
  }
  if (open.length > 0) found.push(`open: ${open.join(' ')}`);
  if (text.slice(end).trim() !== '') found.push('text after the end');
  if (/[^\t\n\r\x20-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u.test(text)) found.push('a character that XML does not know');
  if (/@import|url\((?!#)/.test(text)) found.push('a reference outwards');
  return found;
}

const boxes = (svg: string): string[] => [...svg.matchAll(/<text class="label"[^>]*>([^<]*)/g)].map((match) => match[1] ?? '');
const edges = (svg: string): string[] => [...svg.matchAll(/<path class="edge [^>]*><title>([^<]*)/g)].map((match) => match[1] ?? '');

describe('an SVG drawing', () => {
  test('of an order workflow has its boxes, facts, edges and verdicts, and words for who cannot see it', () => {
    const svg = drawSvg(drawnGraph(order.graph));
    expect(faults(svg)).toEqual([]);
    expect(boxes(svg)).toEqual(['load-order', 'reserve', 'cents', 'when', 'ask-manager', 'when.result', 'charge', 'send-receipt']);
    expect(edges(svg)).toContain('when → ask-manager (yes)');
    expect(edges(svg)).toContain('charge → send-receipt (optional)');
    expect(edges(svg)).toContain('load-order → reserve');
    expect([...svg.matchAll(/class="verdict"[^>]*>(\w+)/g)].map((match) => match[1])).toEqual(['yes', 'no']);
    expect(svg).toContain('effects unsafe · retry 5');
    expect(svg).toMatch(/<svg [^>]*role="img" aria-labelledby="pawl-title pawl-desc"/);
    expect(svg).toContain('<title id="pawl-title">Workflow order</title>');
    expect(svg).toContain('8 nodes in 6 layers, 11 edges.');
    expect(svg).toContain('prefers-color-scheme:dark');
  });

  test('shows how tasks of a run stand by class, glyph and word, and the items of a map as a bar', () => {
    const states = new Map([
      ['charge', { status: 'upstream_failed' }],
      ['reserve', { status: 'running', items: { success: 118, failed: 2 } }],
    ] as const);
    const svg = drawSvg(drawnGraph(order.graph, states));
    expect(faults(svg)).toEqual([]);
    expect(svg).toContain('class="node task s-upstream_failed"');
    expect(svg).toContain('⊘ upstream_failed');
    expect(svg).toContain('● 118 success, 2 failed');
    const bars = [...svg.matchAll(/class="bar s-(\w+)"[^>]* width="([\d.]+)"/g)].map((match) => [match[1], Number(match[2])] as const);
    expect(bars.map(([status]) => status)).toEqual(['success', 'failed']);
    expect((bars[0]?.[1] ?? 0) / (bars[1]?.[1] ?? 1)).toBeCloseTo(59, -1);
  });

  test('is well-formed and holds every box and edge, whatever the ids', () => {
    const id = fc.oneof(fc.constantFrom(...HOSTILE), fc.string({ unit: 'binary', maxLength: 30 }));
    fc.assert(
      fc.property(anyGraph({ nodes: 12, id }), (model) => {
        const svg = drawSvg(model);
        expect(faults(svg)).toEqual([]);
        expect(new Set(boxes(svg)).size).toBe(model.nodes.length);
        expect(edges(svg)).toHaveLength(model.edges.length);
        expect(drawSvg(structuredClone(model))).toBe(svg);
      }),
    );
    expect(faults(drawSvg({ ...hostile, workflow: '</title><script>' }))).toEqual([]);
  });

  test('is checked by something that notices', () => {
    for (const bad of [
      '<svg><g></svg>',
      '<svg><script/></svg>',
      '<svg onload="x"/>',
      '<svg>&x;</svg>',
      '<svg>a<b</svg>',
      '<svg>\uffff</svg>',
    ]) {
      expect(faults(bad)).not.toEqual([]);
    }
  });

  test('leads every line downwards', () => {
    fc.assert(
      fc.property(anyGraph({ nodes: 20 }), (model) => {
        for (const [, d = ''] of drawSvg(model).matchAll(/<path class="edge [^"]*" d="([^"]*)"/g)) {
          const ys = [...d.matchAll(/([MVC])([^MVCH]*)/g)].map(([, verb, numbers = '']) =>
            Number(
              numbers
                .trim()
                .split(' ')
                .at(verb === 'V' ? 0 : -1),
            ),
          );
          expect(ys).toEqual(ys.toSorted((a, b) => a - b));
        }
      }),
    );
  });

  test.each([
    ['nothing', graphOf([], [])],
    ['one task', graphOf(['a'], [])],
    ['a fan of 300', fan(300)],
    ['a chain of 2,000', chain(2000)],
    ['5,000 tasks, with lines that go round', large(5000, 10_000)],
  ])('of %s is well-formed', (_, model) => {
    const svg = drawSvg(model);
    expect(faults(svg)).toEqual([]);
    expect(boxes(svg)).toHaveLength(model.nodes.length);
    expect(edges(svg)).toHaveLength(model.edges.length);
  });
});
