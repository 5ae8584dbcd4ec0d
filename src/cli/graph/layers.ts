/**
 * The first half of the layout: which layer each node is on, and what else takes room there. An edge over several layers holds a place on
 * each of them, so that nothing is drawn over a box. Edges of the same kind from the same node share those places: they leave as one line.
 */
import type { DrawnEdge, DrawnGraph } from './model.ts';

/** Edges of the same kind and label from one node. */
export interface Net {
  readonly from: number;
  readonly kind: DrawnEdge['kind'];
  readonly label: DrawnEdge['label'];
}

/** One step of an edge, from a layer to the next. */
export interface Link {
  readonly from: number;
  readonly to: number;
  readonly net: number;
}

export interface Layers {
  /** Vertices of each layer, left to right. The vertices below `nodes` are the nodes of the graph, the others places of long edges. */
  readonly order: readonly (readonly number[])[];
  readonly nodes: number;
  readonly layerOf: readonly number[];
  readonly nets: readonly Net[];
  readonly links: readonly Link[];
  /** Links by vertex: from the layer above, to the layer below. */
  readonly up: readonly (readonly Link[])[];
  readonly down: readonly (readonly Link[])[];
  /** The vertices that each edge passes, from node to node. */
  readonly paths: readonly (readonly number[])[];
  /** Edges, as indices, that are too long to hold a place on every layer: their path is only its ends. */
  readonly detours: readonly number[];
}

export function layersOf(model: DrawnGraph): Layers {
  const layerOf = nodeLayers(model);
  const nodes = model.nodes.length;
  const { nets, edgesOf } = netsOf(model.edges);
  const span = (edge: DrawnEdge): number => at(layerOf, edge.to) - at(layerOf, edge.from);
  const reach = longestHeld(model, edgesOf, span);
  const links: Link[] = [];
  const paths: number[][] = model.edges.map((edge) => [edge.from, edge.to]);
  nets.forEach((net, index) => {
    const held = (edgesOf[index] ?? []).filter((edge) => span(at(model.edges, edge)) <= reach);
    const longest = held.reduce((most, edge) => Math.max(most, span(at(model.edges, edge))), 0);
    const chain = [net.from];
    for (let step = 1; step < longest; step++) {
      links.push({ from: at(chain, step - 1), to: layerOf.length, net: index });
      chain.push(layerOf.length);
      layerOf.push(at(layerOf, net.from) + step);
    }
    for (const edge of held) {
      const { to } = at(model.edges, edge);
      const passed = chain.slice(0, span(at(model.edges, edge)));
      links.push({ from: at(passed, passed.length - 1), to, net: index });
      paths[edge] = [...passed, to];
    }
  });
  const detours = model.edges.flatMap((edge, index) => (span(edge) > reach ? [index] : []));
  const { up, down } = neighbours(links, layerOf.length);
  return { order: firstOrder(layerOf, down), nodes, layerOf, nets, links, up, down, paths, detours };
}

/** Indices come from the lists themselves. */
export function at<T>(list: readonly T[], index: number): T {
  const found = list[index];
  if (found === undefined) throw new RangeError(`no element ${index} of ${list.length}`);
  return found;
}

/** Longest paths from the roots; then what has more lines below than above moves down to them, which makes lines shorter. */
function nodeLayers({ nodes, edges }: DrawnGraph): number[] {
  const out = nodes.map((): number[] => []);
  const open = nodes.map(() => 0);
  for (const { from, to } of edges) {
    out[from]?.push(to);
    open[to] = at(open, to) + 1;
  }
  const ins = [...open];
  const layers = nodes.map(() => 0);
  const sorted = nodes.flatMap((_, node) => (open[node] === 0 ? [node] : []));
  for (let next = 0; next < sorted.length; next++) {
    const node = at(sorted, next);
    for (const to of at(out, node)) {
      layers[to] = Math.max(at(layers, to), at(layers, node) + 1);
      open[to] = at(open, to) - 1;
      if (open[to] === 0) sorted.push(to);
    }
  }
  if (sorted.length < nodes.length) throw new RangeError('the graph has a circle');
  for (const node of sorted.toReversed()) {
    const targets = at(out, node);
    if (targets.length > at(ins, node)) layers[node] = targets.reduce((least, to) => Math.min(least, at(layers, to)), Infinity) - 1;
  }
  return layers;
}

function netsOf(edges: readonly DrawnEdge[]): { nets: Net[]; edgesOf: number[][] } {
  const index = new Map<string, number>();
  const nets: Net[] = [];
  const edgesOf: number[][] = [];
  edges.forEach(({ from, kind, label }, edge) => {
    const key = `${from} ${kind} ${label}`;
    const net = index.get(key) ?? nets.length;
    if (net === nets.length) {
      index.set(key, net);
      nets.push({ from, kind, label });
      edgesOf.push([]);
    }
    edgesOf[net]?.push(edge);
  });
  return { nets, edgesOf };
}

/** Places of long edges can outnumber the nodes by the depth of the graph: their number is bounded, the longest give theirs up. */
function longestHeld({ nodes, edges }: DrawnGraph, edgesOf: readonly (readonly number[])[], span: (edge: DrawnEdge) => number): number {
  const room = 2000 + nodes.length + edges.length;
  const spans = edgesOf.map((net) => net.map((edge) => span(at(edges, edge))));
  const places = (reach: number): number => {
    const longest = spans.map((net) => net.reduce((most, each) => (each <= reach ? Math.max(most, each) : most), 1));
    return longest.reduce((sum, each) => sum + each - 1, 0);
  };
  // Shared places are few, yet each edge is drawn through all of its own.
  const drawn = (reach: number): number => spans.flat().reduce((sum, each) => sum + (each <= reach ? each : 0), 0);
  let reach = nodes.length;
  while (reach > 1 && (places(reach) > room || drawn(reach) > 10 * room)) reach = Math.floor(reach / 2);
  return reach;
}

function neighbours(links: readonly Link[], vertices: number): { up: Link[][]; down: Link[][] } {
  const up = Array.from({ length: vertices }, (): Link[] => []);
  const down = Array.from({ length: vertices }, (): Link[] => []);
  for (const link of links) {
    up[link.to]?.push(link);
    down[link.from]?.push(link);
  }
  return { up, down };
}

/** As a walk in depth meets them: what hangs together stands together. */
function firstOrder(layerOf: readonly number[], down: readonly (readonly Link[])[]): number[][] {
  const order: number[][] = [];
  for (const layer of layerOf) while (order.length <= layer) order.push([]);
  const seen = layerOf.map(() => false);
  for (const root of layerOf.keys()) {
    const stack = [root];
    for (let vertex = stack.pop(); vertex !== undefined; vertex = stack.pop()) {
      if (seen[vertex]) continue;
      seen[vertex] = true;
      order[at(layerOf, vertex)]?.push(vertex);
      for (const { to } of at(down, vertex).toReversed()) stack.push(to);
    }
  }
  return order;
}
