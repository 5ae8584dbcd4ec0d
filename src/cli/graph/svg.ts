import { STATUS } from '../status.ts';
import { clipMiddle, safe, width } from '../text.ts';
import { at, layered, placed, type Layers } from './layout.ts';
import { itemsText, type DrawnEdge, type DrawnGraph, type DrawnNode } from './model.ts';
import { namesOf } from './names.ts';
import { sketch, type Point } from './routes.ts';
import { STYLE } from './svg-style.ts';
import { textWidth, xml } from './svg-text.ts';

/** Columns of a label; in a drawing with a wide layer each counts. */
const LABEL = 44;
const SHORT_LABEL = 28;
const MANY = 12;
const HEAD = 22;
const LINE = 15;
const MARGIN = 24;

/** A box with its texts, measured. */
export interface Shape {
  readonly node: DrawnNode;
  readonly lines: readonly { readonly text: string; readonly kind: 'label' | 'state' | 'fact' }[];
  readonly width: number;
  readonly height: number;
}

/**
 * The graph as an SVG document that needs nothing else: no script, no font, no link. Texts are escaped; colours follow the reader's light
 * or dark scheme; kinds of edges differ in their dashes, states in glyph, word and colour.
 */
export function drawSvg(model: DrawnGraph): string {
  const layers = layered(model);
  const longest = layers.order.some((layer) => layer.filter((vertex) => vertex < layers.nodes).length > MANY) ? SHORT_LABEL : LABEL;
  const names = namesOf(model, longest, '…');
  const shapes = model.nodes.map((node, index) => shapeOf(node, at(names, index)));
  const { left, width: total } = placed(layers, { width: (node) => at(shapes, node).width, line: 14, gap: 26 });
  const { tops, height, paths, right } = sketch(model, { layers, shapes, left, total });
  const size = { width: Math.ceil(right + 2 * MARGIN), height: Math.ceil(height + 2 * MARGIN) };
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" class="pawl-graph" role="img" aria-labelledby="pawl-title pawl-desc" ` +
      `width="${size.width}" height="${size.height}" viewBox="${-MARGIN} ${-MARGIN} ${size.width} ${size.height}">`,
    `<title id="pawl-title">${xml(safe(`Workflow ${model.workflow}`))}</title>`,
    `<desc id="pawl-desc">${xml(description(model, layers))}</desc>`,
    `<style>${STYLE}</style>`,
    `<defs>${marker('pawl-arrow', 'arrow')}${marker('pawl-arrow-branch', 'arrow branch')}</defs>`,
    `<rect class="page" x="${-MARGIN}" y="${-MARGIN}" width="100%" height="100%"/>`,
    ...model.edges.map((edge, index) => edgePath(edge, at(paths, index), model)),
    ...shapes.map((shape, node) => box(shape, at(left, node), at(tops, at(layers.layerOf, node)))),
    ...labels(model.edges, paths),
    '</svg>',
    '',
  ].join('\n');
}

const DECIDES: ReadonlySet<DrawnNode['kind']> = new Set(['when', 'switch', 'guard']);

function shapeOf(node: DrawnNode, name: string): Shape {
  const looks = node.state && STATUS[node.state.status];
  const lines: Shape['lines'][number][] = [{ text: name, kind: 'label' }];
  if (node.state && looks) lines.push({ text: `${looks.glyph} ${itemsText(node.state) || looks.label}`, kind: 'state' });
  for (const fact of rows(node.facts)) lines.push({ text: fact, kind: 'fact' });
  const text = lines.reduce((most, line) => Math.max(most, textWidth(line.text, line.kind === 'label' ? 13 : 11)), 40);
  const slant = DECIDES.has(node.kind) ? 24 : 0;
  return { node, lines, width: Math.ceil(text) + 28 + slant, height: HEAD + LINE * (lines.length - 1) + 14 };
}

/** Two facts a line, where they are short. */
function rows(facts: readonly string[]): string[] {
  const lines: string[] = [];
  for (const fact of facts.map((each) => clipMiddle(safe(each), LABEL))) {
    const last = lines.at(-1);
    if (last !== undefined && width(`${last} · ${fact}`) <= 30) lines[lines.length - 1] = `${last} · ${fact}`;
    else lines.push(fact);
  }
  return lines;
}

function box({ node, lines, width: w, height: h }: Shape, x: number, y: number): string {
  const [cx, state] = [x + w / 2, node.state ? ` s-${node.state.status}` : ''];
  const texts = lines.map(
    ({ text, kind }, index) => `<text class="${kind}" x="${n(cx)}" y="${n(y + HEAD + index * LINE)}">${xml(text)}</text>`,
  );
  const title = `<title>${xml([node.id, ...node.facts].map(safe).join('\n'))}</title>`;
  return `<g class="node ${node.kind}${state}">${title}${outline(node.kind, { x, y, w, h })}${texts.join('')}${bar(node, { x, y, w, h })}</g>`;
}

interface Area {
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
}

function outline(kind: DrawnNode['kind'], { x, y, w, h }: Area): string {
  const rect = (dx: number, dy: number, rx: number): string =>
    `<rect x="${n(x + dx)}" y="${n(y + dy)}" width="${n(w)}" height="${n(h)}" rx="${rx}"/>`;
  if (kind === 'map') return rect(5, 5, 7) + rect(0, 0, 7);
  if (kind === 'branch' || kind === 'first') return rect(0, 0, h / 2);
  if (kind === 'task') return rect(0, 0, 7);
  if (kind === 'handler') return rect(0, 0, 2);
  const corners = [x + 12, y, x + w - 12, y, x + w, y + h / 2, x + w - 12, y + h, x + 12, y + h, x, y + h / 2];
  return `<polygon points="${corners.map(n).join(' ')}"/>`;
}

/** Of a map's items: how much of it is in which state. */
function bar({ state }: DrawnNode, { x, y, w, h }: Area): string {
  const items = Object.entries(state?.items ?? {}).filter(([, count]) => count > 0);
  const all = items.reduce((sum, [, count]) => sum + count, 0);
  let from = x + 10;
  return items
    .map(([status, count]) => {
      const size = ((w - 20) * count) / all;
      const part = `<rect class="bar s-${status}" x="${n(from)}" y="${n(y + h - 7)}" width="${n(size)}" height="3"/>`;
      from += size;
      return part;
    })
    .join('');
}

function edgePath(edge: DrawnEdge, { d }: { d: string }, { nodes }: DrawnGraph): string {
  const name = `${at(nodes, edge.from).id} → ${at(nodes, edge.to).id}${edge.kind === 'data' ? '' : ` (${edge.label || edge.kind})`}`;
  const arrow = edge.kind === 'branch' ? 'pawl-arrow-branch' : 'pawl-arrow';
  return `<path class="edge ${edge.kind}" d="${d}" marker-end="url(#${arrow})"><title>${xml(safe(name))}</title></path>`;
}

/** One for each line that leaves a decision, not for each arrow that it ends in. */
function labels(edges: readonly DrawnEdge[], paths: readonly { readonly start: Point }[]): string[] {
  const seen = new Set<string>();
  return edges.flatMap(({ from, label }, index) => {
    const key = `${from} ${label}`;
    if (label === '' || seen.has(key)) return [];
    seen.add(key);
    const { x, y } = at(paths, index).start;
    return [`<text class="verdict" x="${n(x + 5)}" y="${n(y + 14)}">${xml(label)}</text>`];
  });
}

const marker = (id: string, className: string): string =>
  `<marker id="${id}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" markerUnits="userSpaceOnUse" orient="auto">` +
  `<path class="${className}" d="M0 0.8 7.2 4 0 7.2z"/></marker>`;

function description({ nodes, edges }: DrawnGraph, { order }: Layers): string {
  return (
    `${nodes.length} nodes in ${order.length} layers, ${edges.length} edges. ` +
    'Solid lines carry data, dashed ones are optional or settled reads, dotted ones are order only; a decision leads on by yes and no, or by the names of its cases.'
  );
}

const n = (value: number): string => `${Math.round(value * 10) / 10}`;
