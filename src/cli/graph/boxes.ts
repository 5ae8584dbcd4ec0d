/** The graph as boxes and lines of characters. Lines of different nets share no cell; where they cross, the one that goes down is whole. */
import { pad, width } from '../text.ts';
import { Canvas, type Style } from './canvas.ts';
import { at, leastWidth, placed, type Layers, type Spacing } from './layout.ts';
import type { DrawnEdge } from './model.ts';
import { entries, exits, tracks, type Arrival, type Run } from './ports.ts';

export interface Box {
  readonly lines: readonly { readonly text: string; readonly style: Style }[];
  readonly border: Style;
}

export interface Pen {
  /** Corners and edges: top left, top right, bottom left, bottom right, sideways, down. */
  readonly box: string;
  /** By the ends a piece has: 1 up, 2 down, 4 left, 8 right. */
  readonly joints: string;
  readonly across: Readonly<Record<DrawnEdge['kind'], string>>;
  readonly down: Readonly<Record<DrawnEdge['kind'], string>>;
  readonly exit: string;
  readonly arrow: string;
}

export const UNICODE: Pen = {
  box: '╭╮╰╯─│',
  joints: ' │││─╯╮┤─╰╭├─┴┬┼',
  across: { data: '─', branch: '─', order: '┈', optional: '╌', settled: '╌' },
  down: { data: '│', branch: '│', order: '┊', optional: '╎', settled: '╎' },
  exit: '┬',
  arrow: '▼',
};

export const ASCII: Pen = {
  box: '++++-|',
  joints: ' |||-+++-+++-+++',
  across: { data: '-', branch: '-', order: '.', optional: '~', settled: '~' },
  down: { data: '|', branch: '|', order: ':', optional: ';', settled: ';' },
  exit: '+',
  arrow: 'v',
};

const LINE = 3;
const GAP = 2;

/** Null where the columns do not do, or a line finds no way. */
export function drawBoxes(layers: Layers, boxes: readonly Box[], { columns, pen }: { columns: number; pen: Pen }): Canvas | null {
  const sizes = boxes.map((box, node) => boxWidth(box, node, layers));
  const spacing: Spacing = { width: (node) => at(sizes, node), line: LINE, gap: GAP, within: columns, whole: true };
  if (layers.detours.length > 0 || leastWidth(layers, spacing) > columns) return null;
  const { left, width: total } = placed(layers, spacing);
  const spans = layers.layerOf.map((_, vertex) => ({ left: at(left, vertex), width: vertex < layers.nodes ? at(sizes, vertex) : LINE }));
  const routes = routed(layers, spans);
  if (routes === null || total > columns) return null;
  return paintAll({ layers, boxes, spans, routes, pen, columns: total });
}

/** Room for its text, for a line in every second column at its top, for labelled lines at its bottom. */
function boxWidth({ lines }: Box, node: number, layers: Layers): number {
  const text = lines.reduce((most, line) => Math.max(most, width(line.text)), 0) + 4;
  const out = leavingNets(node, layers).reduce((sum, net) => sum + 2 + width(at(layers.nets, net).label), 0);
  return Math.max(text, 2 * at(layers.up, node).length + 3, out + 1);
}

const leavingNets = (vertex: number, { down }: Layers): number[] => [...new Set(at(down, vertex).map((link) => link.net))];

interface BoxSpan {
  readonly left: number;
  readonly width: number;
}

/** What goes on between a layer and the next. */
interface Passage {
  readonly runs: readonly (Run & { readonly vertex: number })[];
  readonly rows: number;
  readonly rowOf: readonly (number | null)[];
  readonly labelled: boolean;
  /** By vertex of the lower layer: the columns in which lines arrive. */
  readonly arrivals: ReadonlyMap<number, readonly number[]>;
}

function routed(layers: Layers, spans: readonly BoxSpan[]): Passage[] | null {
  const passages: Passage[] = [];
  const columnOf = new Map<number, number>();
  for (const [index, layer] of layers.order.slice(0, -1).entries()) {
    const leaving = leavings(layer, { layers, spans, columnOf });
    if (leaving === null) return null;
    const arrivals = new Map<number, readonly number[]>();
    const targets = new Map<number, number[]>();
    const nets = new Map(leaving.map((each) => [each.column, each.net]));
    const columnOfNet = new Map(leaving.map((each) => [each.net, each.column]));
    for (const vertex of at(layers.order, index + 1)) {
      const coming = at(layers.up, vertex)
        .map(({ net }): Arrival => ({ net, from: columnOfNet.get(net) ?? -1 }))
        .toSorted((a, b) => a.from - b.from);
      const { left, width: size } = at(spans, vertex);
      const inner = vertex < layers.nodes ? 1 : 0;
      const columns = entries({ first: left + inner, last: left + size - 1 - inner }, coming, nets);
      if (columns === null) return null;
      for (const [i, { net }] of coming.entries()) targets.set(net, [...(targets.get(net) ?? []), at(columns, i)]);
      arrivals.set(vertex, columns);
      if (vertex >= layers.nodes) columnOf.set(vertex, at(columns, 0));
    }
    const runs = leaving.map(({ net, column, vertex }) => ({ net, vertex, from: column, to: targets.get(net) ?? [] }));
    const labelled = runs.some((run) => run.vertex < layers.nodes && at(layers.nets, run.net).label !== '');
    passages.push({ runs, ...tracks(runs), labelled, arrivals });
  }
  return passages;
}

interface Leaving {
  readonly vertex: number;
  readonly net: number;
  readonly column: number;
}

function leavings(
  layer: readonly number[],
  { layers, spans, columnOf }: { layers: Layers; spans: readonly BoxSpan[]; columnOf: ReadonlyMap<number, number> },
): Leaving[] | null {
  const found: Leaving[] = [];
  const centre = (vertex: number): number => at(spans, vertex).left + at(spans, vertex).width / 2;
  for (const vertex of layer) {
    const links = at(layers.down, vertex);
    const reach = (net: number): number => {
      const ends = links.filter((link) => link.net === net).map((link) => centre(link.to));
      return ends.reduce((sum, each) => sum + each, 0) / ends.length;
    };
    const nets = leavingNets(vertex, layers).toSorted((a, b) => reach(a) - reach(b));
    const { left, width: size } = at(spans, vertex);
    const held = columnOf.get(vertex);
    const labels = nets.map((net) => width(at(layers.nets, net).label));
    const columns = held === undefined ? exits({ first: left + 1, last: left + size - 2 }, labels) : nets.map(() => held);
    if (columns === null) return null;
    found.push(...nets.map((net, i) => ({ vertex, net, column: at(columns, i) })));
  }
  return found;
}

interface Scene {
  readonly layers: Layers;
  readonly boxes: readonly Box[];
  readonly spans: readonly BoxSpan[];
  readonly routes: readonly Passage[];
  readonly pen: Pen;
  readonly columns: number;
}

const passageRows = (passage: Passage | undefined): number => (passage ? Math.max(1, passage.rows) + (passage.labelled ? 1 : 0) : 0);

function paintAll(scene: Scene): Canvas {
  const { layers, boxes, routes } = scene;
  const heights = layers.order.map((layer) => layer.reduce((most, each) => Math.max(most, (boxes[each]?.lines.length ?? 0) + 2), 3));
  const rows = heights.reduce((sum, height, index) => sum + height + passageRows(routes[index]), 0);
  const canvas = new Canvas(scene.columns, rows);
  let top = 0;
  for (const [index, layer] of layers.order.entries()) {
    const height = at(heights, index);
    for (const vertex of layer) if (vertex < layers.nodes) paintBox(canvas, scene, vertex, top);
    for (const column of layer.flatMap((each) => routes[index - 1]?.arrivals.get(each) ?? [])) {
      if (canvas.at(column, top) !== ' ') canvas.put(column, top, { char: scene.pen.arrow, style: null });
    }
    const passage = routes[index];
    if (passage) paintPassage(canvas, scene, { passage, layerTop: top, top: top + height });
    // A long line that ends a layer has no box: it goes down from the top of the layer.
    top += height + passageRows(passage);
  }
  return canvas;
}

function paintBox(canvas: Canvas, { boxes, spans, pen }: Scene, node: number, top: number): void {
  const { left, width: size } = at(spans, node);
  const { lines, border } = at(boxes, node);
  const [topLeft = '', topRight = '', bottomLeft = '', bottomRight = '', across = '', down = ''] = pen.box.split('');
  const bar = across.repeat(size - 2);
  canvas.text(left, top, topLeft + bar + topRight, border);
  lines.forEach(({ text, style }, index) => {
    const spare = size - 2 - width(text);
    canvas.text(left, top + 1 + index, down, border);
    canvas.text(left + 1, top + 1 + index, pad(' '.repeat(spare >> 1) + text, size - 2), style);
    canvas.text(left + size - 1, top + 1 + index, down, border);
  });
  canvas.text(left, top + lines.length + 1, bottomLeft + bar + bottomRight, border);
}

function paintPassage(
  canvas: Canvas,
  { layers, boxes, pen }: Scene,
  { passage, layerTop, top }: { passage: Passage; layerTop: number; top: number },
): void {
  const first = top + (passage.labelled ? 1 : 0);
  const end = top + passageRows(passage);
  const vertical = (column: number, rows: readonly [number, number], char: string): void => {
    for (let y = rows[0]; y < rows[1]; y++) canvas.put(column, y, { char, style: null });
  };
  const kindOf = (run: Run): DrawnEdge['kind'] => at(layers.nets, run.net).kind;
  const rowOf = passage.rowOf.map((row) => (row === null ? null : first + row));
  for (const [index, run] of passage.runs.entries()) {
    const y = rowOf[index];
    const char = pen.across[kindOf(run)];
    if (y == null) continue;
    for (let x = Math.min(run.from, ...run.to); x <= Math.max(run.from, ...run.to); x++) canvas.put(x, y, { char, style: null });
  }
  for (const [index, run] of passage.runs.entries()) {
    const char = pen.down[kindOf(run)];
    const y = rowOf[index] ?? end;
    const box = boxes[run.vertex];
    const start = layerTop + (box ? box.lines.length + 2 : 0);
    if (box) canvas.put(run.from, start - 1, { char: pen.exit, style: box.border });
    vertical(run.from, [start, y], char);
    for (const column of run.to) vertical(column, [y + 1, end], char);
    if (box) canvas.text(run.from + 1, top, at(layers.nets, run.net).label);
    if (rowOf[index] != null) paintJoints(canvas, run, y, pen);
  }
}

function paintJoints(canvas: Canvas, { from, to }: Run, y: number, pen: Pen): void {
  const first = Math.min(from, ...to);
  const last = Math.max(from, ...to);
  for (const column of new Set([from, ...to])) {
    const ends = (column === from ? 1 : 0) + (to.includes(column) ? 2 : 0) + (column > first ? 4 : 0) + (column < last ? 8 : 0);
    canvas.put(column, y, { char: pen.joints.charAt(ends), style: null });
  }
}
