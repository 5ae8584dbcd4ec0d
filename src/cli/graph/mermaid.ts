import { STATUS } from '../status.ts';
import { clip, safe } from '../text.ts';
import { itemsText, type DrawnEdge, type DrawnGraph, type DrawnNode } from './model.ts';
import { namesOf } from './names.ts';

const LABEL = 80;

/** By kind of node: what stands around its text. */
const SHAPES: Readonly<Record<DrawnNode['kind'], readonly [string, string]>> = {
  task: ['[', ']'],
  child: ['[[', ']]'],
  map: ['[[', ']]'],
  when: ['{{', '}}'],
  switch: ['{{', '}}'],
  guard: ['{{', '}}'],
  first: ['([', '])'],
  branch: ['([', '])'],
  handler: ['[/', '/]'],
  sleep: ['>', ']'],
  wait: ['>', ']'],
  approve: ['>', ']'],
};

/** The graph as a Mermaid flowchart: for Markdown. Ids are numbers, texts are quoted and escaped: nothing of a task's id is ever syntax. */
export function drawMermaid(model: DrawnGraph): string {
  const { nodes, edges } = model;
  const names = namesOf(model, LABEL, '…');
  const statuses = [...new Set(nodes.flatMap((node) => node.state?.status ?? []))];
  return [
    'flowchart TD',
    ...nodes.map((node, index) => `  n${index}${shaped(node, names[index] ?? '')}`),
    ...edges.map((edge) => `  n${edge.from} ${arrow(edge)} n${edge.to}`),
    ...statuses.map((status) => `  classDef ${status} ${COLOURS[STATUS[status].colour]}`),
    ...nodes.flatMap((node, index) => (node.state ? [`  class n${index} ${node.state.status}`] : [])),
    '',
  ].join('\n');
}

function shaped({ kind, facts, state }: DrawnNode, name: string): string {
  const said = state ? [`${STATUS[state.status].glyph} ${itemsText(state) || STATUS[state.status].label}`] : [];
  const [open, close] = SHAPES[kind];
  return `${open}"${[name, ...said, ...facts].map(escaped).join('<br/>')}"${close}`;
}

function arrow({ kind, label }: DrawnEdge): string {
  if (kind === 'order') return '-.->';
  if (kind === 'data') return '-->';
  const text = kind === 'branch' ? label : kind;
  return `-->|${kind !== 'branch' || /^(yes|no)(, no)?$/.test(text) ? text : `"${escaped(text)}"`}|`;
}

/**
 * Mermaid knows characters by number (`#60;`). All but letters, digits and a few harmless ones are written so; a start that would make the
 * text a list or a heading of Markdown as well.
 */
function escaped(text: string): string {
  const numbered = (char: string): string => `#${char.codePointAt(0)};`;
  return clip(safe(text), LABEL)
    .replace(/(?!\u200c|\u200d)[^\p{L}\p{N}\p{M} .,:_×–-]/gu, numbered)
    .replace(/^[-.:]|(?<=^\d+)\./u, numbered)
    .replace(/(?<![\p{L}\p{N}])_|_(?![\p{L}\p{N}])/gu, numbered);
}

/** Readable on a light page and on a dark one: each has its own text colour. */
const COLOURS = {
  green: 'fill:#d7f2df,stroke:#1a7f37,color:#0b3d1a',
  red: 'fill:#ffdcd9,stroke:#c62828,color:#5c0f0a',
  yellow: 'fill:#fff0c2,stroke:#9a6700,color:#4d3300',
  blue: 'fill:#e4ecf7,stroke:#54708f,color:#1f3550',
  cyan: 'fill:#d5ecff,stroke:#0969da,color:#0a3069',
  magenta: 'fill:#eedfff,stroke:#8250df,color:#3b1b73',
  gray: 'fill:#eceef0,stroke:#6e7781,color:#32383f',
} as const;
