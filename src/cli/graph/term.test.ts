import fc from 'fast-check';
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, test } from 'vitest';
import { anyGraph, chain, fan, graphOf, hostile, HOSTILE, order } from '../../../test/support/graphs.ts';
import { width } from '../text.ts';
import { drawnGraph, type DrawnGraph } from './model.ts';
import { drawTerm } from './term.ts';

const draw = (model: DrawnGraph, columns: number, unicode = true): string[] => drawTerm(model, { columns, colour: false, unicode });
const isList = (lines: readonly string[]): boolean => lines.join('').startsWith('Too wide');
const pairs = ({ edges }: DrawnGraph): string[] => edges.map(({ from, to }) => `${from} ${to}`).toSorted();

/** The ends that each character of a line has: up, down, left, right. */
const ENDS: ReadonlyMap<string, string> = new Map(
  [
    ['│┊╎', 'ud'],
    ['─┈╌', 'lr'],
    ['╯', 'ul'],
    ['╮', 'dl'],
    ['╰', 'ur'],
    ['╭', 'dr'],
    ['┤', 'udl'],
    ['├', 'udr'],
    ['┴', 'ulr'],
    ['┬', 'dlr'],
    ['┼', 'udlr'],
  ].flatMap(([chars = '', ends = '']) => chars.split('').map((char): [string, string] => [char, ends])),
);
const STEPS: Readonly<Record<string, readonly [number, number]>> = { u: [0, -1], d: [0, 1], l: [-1, 0], r: [1, 0] };
const BACK: Readonly<Record<string, string>> = { u: 'd', d: 'u', l: 'r', r: 'l' };

interface Found {
  readonly id: number;
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

function boxesIn(lines: readonly string[]): Found[] {
  return lines.flatMap((line, y) =>
    [...line.matchAll(/│ +t(\d+) +(?=│)/g)].map((match): Found => {
      let bottom = y + 1;
      while (lines[bottom]?.[match.index] !== '╰') bottom++;
      return { id: Number(match[1]), left: match.index, right: match.index + match[0].length, top: y - 1, bottom };
    }),
  );
}

/** Follows every line from the box that it leaves, as a reader would, to the arrows that it ends in: the edges that are really drawn. */
function traced(lines: readonly string[]): string[] {
  const boxes = boxesIn(lines);
  const charAt = (x: number, y: number): string => lines[y]?.[x] ?? ' ';
  const found: string[] = [];
  for (const box of boxes) {
    const seen = new Set<string>();
    const walk = (x: number, y: number, way: string): void => {
      if (seen.has(`${x} ${y} ${way}`)) return;
      seen.add(`${x} ${y} ${way}`);
      const char = charAt(x, y);
      if (char === '▼') {
        const target = boxes.find((each) => each.top === y && each.left < x && x < each.right);
        found.push(`${box.id} ${target?.id}`);
        return;
      }
      const ends = ENDS.get(char) ?? '';
      // Another line that goes down is in front of this one.
      const passes = (way === 'l' || way === 'r') && ends === 'ud';
      if (!passes && !ends.includes(BACK[way] ?? '?')) throw new Error(`a line breaks off at ${x},${y}: ${JSON.stringify(char)}`);
      for (const next of passes ? way : ends.replace(BACK[way] ?? '', ''))
        walk(x + (STEPS[next]?.[0] ?? 0), y + (STEPS[next]?.[1] ?? 0), next);
    };
    for (let x = box.left + 1; x < box.right; x++) if (charAt(x, box.bottom) === '┬') walk(x, box.bottom + 1, 'd');
  }
  return found.toSorted();
}

/** The edges of a list, its lines that go on joined. */
function listed(lines: readonly string[]): string[] {
  const text = lines.join('\n').replace(/\n {6}/g, ' ');
  return [...text.matchAll(/^ {2}t(\d+)(?: ← (.*))?$/gm)]
    .flatMap(([, to, from]) =>
      (from ?? '').split(', ').flatMap((each) => (/^t(\d+)/.exec(each) ? [`${/^t(\d+)/.exec(each)?.[1]} ${to}`] : [])),
    )
    .toSorted();
}

describe('a drawing for a terminal', () => {
  test('of an order workflow', () => {
    expect(draw(drawnGraph(order.graph), 100).join('\n')).toMatchInlineSnapshot(`
      "                                  ╭────────────╮
                                        │ load-order │
                                        ╰─────┬──────╯
                       ╭────────────────────┬─┴─────┬───────────╮
      ╭────────────────▼────────────────╮   │   ╭───▼────╮  ╭───▼───╮
      │             reserve             │   │   │  when  │  │ cents │
      │ map ×20 · settle · effects none │   │   ╰┬────┬──╯  ╰───┬───╯
      ╰────────────────┬────────────────╯   │    │    │         │
                       ┊                    │    │yes │no       │
                       ╰┈┈┈┈┈┈╮             │ ╭──╯  ╭─╯       ╭─╯
                              ┊   ╭─────────▼─▼─╮   │         │
                              ┊   │ ask-manager │   │         │
                              ┊   ╰──────┬──────╯   │         │
                              ╰┈┈┈┈┈╮    │          │     ╭───╯
                                    ┊   ╭▼──────────▼─╮   │
                                    ┊   │ when.result │   │
                                    ┊   ╰──────┬──────╯   │
                                    ┊          ┊          │
                                  ╭─▼──────────▼──────────▼──╮
                                  │          charge          │
                                  │     join none_failed     │
                                  │ effects unsafe · retry 5 │
                                  ╰────────────┬─────────────╯
                                               ╎
                                        ╭──────▼───────╮
                                        │ send-receipt │
                                        │   may fail   │
                                        ╰──────────────╯

      ┊ order only   ╎ optional or settled read"
    `);
  });

  test('in ASCII, with the states of a run as words', () => {
    const states = new Map([
      ['load-order', { status: 'success' }],
      ['reserve', { status: 'running', items: { success: 118, failed: 2 } }],
      ['cents', { status: 'upstream_failed' }],
    ] as const);
    const text = draw(drawnGraph(order.graph, states), 100, false).join('\n');
    expect(text).toMatch(/^[\x20-\x7e\n]*$/);
    for (const word of ['success', '118 success, 2 failed', 'upstream_failed', 'map x20']) expect(text).toContain(word);
  });

  test('shows every edge, each to be followed from box to box, or lists it', () => {
    let drawn = 0;
    fc.assert(
      fc.property(anyGraph({ nodes: 12 }), fc.integer({ min: 40, max: 200 }), (model, columns) => {
        const lines = draw(model, columns);
        if (!isList(lines)) drawn++;
        expect(isList(lines) ? listed(lines) : traced(lines)).toEqual(pairs(model));
      }),
      { numRuns: 300 },
    );
    expect(drawn).toBeGreaterThan(100);
  });

  test('is followed by a reader who would notice an edge that is missing', () => {
    const lines = draw(chain(3), 40);
    expect(traced(lines)).toEqual(['0 1', '1 2']);
    expect(() => traced(lines.map((line) => line.replace(/^( *)│( *)$/, '')))).toThrow(/breaks off/);
  });

  test('is never wider than the terminal, whatever the ids', () => {
    const id = fc.oneof(fc.constantFrom(...HOSTILE), fc.string({ unit: 'binary', maxLength: 30 }));
    fc.assert(
      fc.property(anyGraph({ nodes: 10, id }), fc.integer({ min: 2, max: 130 }), fc.boolean(), (model, columns, unicode) => {
        const lines = draw(model, columns, unicode);
        expect(lines.filter((line) => width(line) > columns || /(?![\u200c\u200d])[\p{Cc}\p{Cf}]/u.test(line))).toEqual([]);
      }),
    );
  });

  test('is the same each time', () => {
    fc.assert(
      fc.property(anyGraph({ nodes: 12 }), (model) => draw(model, 120).join('\n') === draw(structuredClone(model), 120).join('\n')),
    );
  });

  test('is coloured only when asked, and says the same then', () => {
    const model = drawnGraph(order.graph, new Map([['charge', { status: 'failed' }]]));
    const coloured = drawTerm(model, { columns: 100, colour: true, unicode: true });
    expect(coloured.join('\n')).toContain('\u001b[31m');
    expect(coloured.map((line) => stripVTControlCharacters(line).trimEnd())).toEqual(draw(model, 100));
  });

  test('keeps long ids apart, by their ends or by a number', () => {
    const long = 'NFCORE_RNASEQ.RNASEQ.PREPARE_GENOME.';
    const lines = draw(
      graphOf([`${long}GUNZIP_GTF_3`, `${long}GUNZIP_GTF_4`, hostile.nodes[5]?.id ?? '', hostile.nodes[6]?.id ?? ''], []),
      80,
    );
    const names = lines.join('\n').match(/\S*…\S*/g);
    expect(new Set(names).size).toBe(4);
  });
});

describe('a graph', () => {
  test('without tasks says so', () => expect(draw(graphOf([], []), 80)).toEqual(['(no tasks)']));

  test('of one task is one box', () => expect(draw(graphOf(['a'], []), 80)).toEqual(['╭───╮', '│ a │', '╰───╯']));

  test('with a fan of 300 is listed by layers', () => {
    const lines = draw(fan(300), 80);
    expect(lines.slice(0, 5)).toEqual(['Too wide to draw in 80 columns; by layer instead:', 'layer 1', '  t0', 'layer 2', '  t1 ← t0']);
    expect(listed(lines)).toEqual(pairs(fan(300)));
  });

  test('that is a chain of 2,000 is drawn', () => expect(traced(draw(chain(2000), 80))).toEqual(pairs(chain(2000))));

  test('whose list is asked for says what kind an edge is, and how a task stands', () => {
    const states = new Map([['charge', { status: 'failed' }]] as const);
    const lines = draw(drawnGraph(order.graph, states), 30);
    const text = lines.join('\n').replace(/\n {6}/g, ' ');
    expect(text).toContain('✕ charge (failed, join none_failed, effects unsafe, retry 5) ← reserve (order), when.result (order), cents');
    expect(text).toContain('ask-manager ← load-order, when (yes)');
  });
});
