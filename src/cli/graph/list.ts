/** The graph as a list by layers, for what is too wide to draw: each node with what leads to it. */
import { STATUS } from '../status.ts';
import { chunks, width } from '../text.ts';
import { paint } from './canvas.ts';
import { at, type Layers } from './layout.ts';
import { itemsText, type DrawnEdge, type DrawnGraph } from './model.ts';
import { namesOf } from './names.ts';

const NAME = 60;

interface Options {
  readonly columns: number;
  readonly colour: boolean;
  readonly unicode: boolean;
}

export function drawList(model: DrawnGraph, layers: Layers, { columns, colour, unicode }: Options): string[] {
  const names = namesOf(model, NAME, unicode ? '…' : '...');
  const into = model.nodes.map((): DrawnEdge[] => []);
  for (const edge of model.edges) into[edge.to]?.push(edge);
  const lineOf = (node: number): string[] => {
    const { facts, state } = at(model.nodes, node);
    const notes = [...(state ? [itemsText(state) || STATUS[state.status].label] : []), ...facts];
    const from = at(into, node).map((edge, index, all) => at(names, edge.from) + noteOf(edge) + (index + 1 < all.length ? ',' : ''));
    const glyph = state && unicode ? `${STATUS[state.status].glyph} ` : '';
    const words = [glyph + at(names, node), ...(notes.length > 0 ? `(${notes.join(', ')})`.split(' ') : [])];
    const lines = wrapped([...words, ...(from.length > 0 ? [unicode ? '←' : '<-', ...from] : [])], columns);
    const style = state && colour ? STATUS[state.status].colour : null;
    return lines.map((line) => paint(line, style));
  };
  const sections = layers.order.flatMap((layer, index) => {
    const nodes = layer.filter((vertex) => vertex < layers.nodes);
    return [...chunks(`layer ${index + 1}`, columns).map((line) => paint(line, colour ? 'bold' : null)), ...nodes.flatMap(lineOf)];
  });
  return sections;
}

function noteOf({ kind, label }: DrawnEdge): string {
  if (kind === 'data') return '';
  return ` (${kind === 'branch' ? label : kind})`;
}

/** The first line stands in by two columns, those that go on by six. */
function wrapped(words: readonly string[], columns: number): string[] {
  const indents = columns < 24 ? ['', ''] : ['  ', '      '];
  const lines: string[] = [];
  let line = indents[0] ?? '';
  let isNew = true;
  for (const word of words) {
    const next = isNew ? line + word : `${line} ${word}`;
    if (width(next) <= columns) {
      line = next;
      isNew = false;
      continue;
    }
    if (!isNew) lines.push(line);
    const indent = indents[lines.length === 0 ? 0 : 1] ?? '';
    const pieces = chunks(word, columns - indent.length).map((piece) => indent + piece);
    lines.push(...pieces.slice(0, -1));
    line = pieces.at(-1) ?? '';
    isNew = false;
  }
  return [...lines, line];
}
