/** Cycles of a directed graph, given as each node's upstreams. No recursion: a chain may have as many nodes as a graph. */

export interface Cycle {
  /** From a node back to it, in the direction of the flow: the first and the last are the same. */
  readonly path: readonly number[];
  /** All nodes that hang together in cycles with it. */
  readonly nodes: readonly number[];
}

type Edges = readonly (readonly number[])[];

/** One cycle, a shortest one through its first node, for each part of the graph whose nodes all lead to each other. */
export function cyclesOf(upstreams: Edges): Cycle[] {
  return components(upstreams)
    .filter((nodes) => nodes.length > 1 || nodes.some((node) => upstreams[node]?.includes(node)))
    .map((nodes) => ({ nodes, path: shortestCycle(nodes, upstreams) }))
    .toSorted((a, b) => (a.path[0] ?? 0) - (b.path[0] ?? 0));
}

/** The nodes to which no path leads from a node without upstreams. */
export function unreached(upstreams: Edges): number[] {
  const downstreams = reversed(upstreams);
  const queue = upstreams.flatMap((ups, node) => (ups.length === 0 ? [node] : []));
  const seen = new Set(queue);
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    for (const node of downstreams[next] ?? []) {
      if (seen.has(node)) continue;
      seen.add(node);
      queue.push(node);
    }
  }
  return upstreams.flatMap((_ups, node) => (seen.has(node) ? [] : [node]));
}

function reversed(edges: Edges): number[][] {
  const back = edges.map((): number[] => []);
  edges.forEach((targets, node) => {
    for (const target of targets) back[target]?.push(node);
  });
  return back;
}

/** Kosaraju's algorithm: nodes in the order in which a walk leaves them, then walks the other way from the last one back. */
function components(edges: Edges): number[][] {
  const order: number[] = [];
  const seen = new Set<number>();
  edges.forEach((_targets, node) => walk(node, edges, seen, order));
  const back = reversed(edges);
  const taken = new Set<number>();
  return order.toReversed().flatMap((node) => {
    const component: number[] = [];
    walk(node, back, taken, component);
    return component.length === 0 ? [] : [component.toSorted((a, b) => a - b)];
  });
}

/** Depth first from `start` over nodes not seen yet; `left` gets each node when all behind it are done. */
function walk(start: number, edges: Edges, seen: Set<number>, left: number[]): void {
  if (seen.has(start)) return;
  seen.add(start);
  const stack = [{ node: start, next: 0 }];
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    const target = edges[top.node]?.[top.next++];
    if (target === undefined) {
      left.push(top.node);
      stack.pop();
    } else if (!seen.has(target)) {
      seen.add(target);
      stack.push({ node: target, next: 0 });
    }
  }
}

/** Breadth first against the flow, from the first node until it is met again. */
function shortestCycle(nodes: readonly number[], upstreams: Edges): number[] {
  const start = nodes[0] ?? 0;
  const inside = new Set(nodes);
  const cameFrom = new Map<number, number>();
  for (const queue = [start], at = { i: 0 }; at.i < queue.length; at.i++) {
    const node = queue[at.i] ?? start;
    for (const up of upstreams[node] ?? []) {
      if (!inside.has(up) || cameFrom.has(up)) continue;
      cameFrom.set(up, node);
      if (up === start) return pathFrom(start, cameFrom);
      queue.push(up);
    }
  }
  return [start];
}

function pathFrom(start: number, cameFrom: ReadonlyMap<number, number>): number[] {
  const path = [start];
  for (let node = cameFrom.get(start); node !== undefined && node !== start; node = cameFrom.get(node)) path.push(node);
  return [...path, start];
}
