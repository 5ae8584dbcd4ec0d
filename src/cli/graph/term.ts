import { STATUS } from '../status.ts';
import { chunks, clip, safe, width } from '../text.ts';
import { ASCII, drawBoxes, UNICODE, type Box } from './boxes.ts';
import { paint, type Style } from './canvas.ts';
import { layered, layersOf, leastWidth } from './layout.ts';
import { drawList } from './list.ts';
import { itemsText, type DrawnGraph, type DrawnNode, type EdgeKind } from './model.ts';
import { namesOf } from './names.ts';

export interface TermOptions {
  readonly columns: number;
  readonly colour: boolean;
  readonly unicode: boolean;
}

/** How much is said in a box, most first; what is still too wide is listed. */
const DETAILS: readonly { readonly label: number; readonly facts: number }[] = [
  { label: 48, facts: 32 },
  { label: 28, facts: 22 },
  { label: 20, facts: 0 },
  { label: 12, facts: 0 },
];

const LEAST_BOX = 5;

/**
 * The graph as lines for a terminal, none wider than `columns`: boxes from the top down, or, where they do not fit, a list by layers. Two
 * columns are the least, for a wide character needs them.
 */
export function drawTerm(model: DrawnGraph, options: TermOptions): string[] {
  const columns = Math.max(2, Math.floor(options.columns));
  if (model.nodes.length === 0) return chunks('(no tasks)', columns);
  const pen = options.unicode ? UNICODE : ASCII;
  const rough = layersOf(model);
  // Too wide with the smallest boxes: known without looking for a good order.
  const fits = leastWidth(rough, { width: () => LEAST_BOX, line: 3, gap: 2 }) <= columns && rough.detours.length === 0;
  if (fits) {
    const layers = layered(model);
    for (const detail of DETAILS) {
      const canvas = drawBoxes(layers, boxesOf(model, detail, options), { columns, pen });
      if (canvas) return [...canvas.lines(options.colour), ...legend(model, { ...options, columns })];
    }
  }
  const why = chunks(`Too wide to draw in ${columns} columns; by layer instead:`, columns);
  return [...why.map((line) => paint(line, options.colour ? 'dim' : null)), ...drawList(model, rough, { ...options, columns })];
}

function boxesOf(model: DrawnGraph, detail: (typeof DETAILS)[number], { unicode }: TermOptions): Box[] {
  const mark = unicode ? '…' : '..';
  const names = namesOf(model, detail.label, mark);
  return model.nodes.map((node, index) => {
    const looks = node.state && STATUS[node.state.status];
    const name = looks && unicode ? `${looks.glyph} ${names[index]}` : `${names[index]}`;
    const facts = packedFacts(node, Math.max(detail.facts, 0), unicode);
    const status: Style = looks?.colour ?? null;
    const state = node.state ? [{ text: clip(itemsText(node.state) || STATUS[node.state.status].label, 32, mark), style: status }] : [];
    const lines = [
      { text: name, style: looks?.colour ?? ('bold' as const) },
      ...state,
      ...facts.map((text) => ({ text, style: 'dim' as const })),
    ];
    return { lines, border: status };
  });
}

/** As many facts on a line as fit. */
function packedFacts({ facts }: DrawnNode, columns: number, unicode: boolean): string[] {
  if (columns === 0) return [];
  const between = unicode ? ' · ' : ', ';
  const lines: string[] = [];
  for (const fact of facts.map((each) => printable(each, columns, unicode))) {
    const last = lines.at(-1);
    if (last !== undefined && width(last + between + fact) <= columns) lines[lines.length - 1] = last + between + fact;
    else lines.push(fact);
  }
  return lines;
}

function printable(fact: string, columns: number, unicode: boolean): string {
  return clip(safe(unicode ? fact : fact.replace('×', 'x')), columns, unicode ? '…' : '..');
}

const MEANINGS: readonly { readonly kinds: readonly EdgeKind[]; readonly means: string }[] = [
  { kinds: ['order'], means: 'order only' },
  { kinds: ['optional', 'settled'], means: 'optional or settled read' },
];

/** Only of the lines that are there. */
function legend({ edges }: DrawnGraph, { columns, colour, unicode }: TermOptions): string[] {
  const used = new Set(edges.map((edge) => edge.kind));
  const pen = unicode ? UNICODE : ASCII;
  const entries = MEANINGS.flatMap(({ kinds, means }) =>
    kinds.some((kind) => used.has(kind)) ? [`${pen.down[kinds[0] ?? 'data']} ${means}`] : [],
  );
  if (entries.length === 0) return [];
  return ['', ...chunks(entries.join('   '), columns).map((line) => paint(line.trimEnd(), colour ? 'dim' : null))];
}
