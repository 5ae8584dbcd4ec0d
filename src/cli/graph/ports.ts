/** Where lines leave and enter boxes on a terminal: a column for each, and never one column for two lines between the same layers. */

export interface Span {
  readonly first: number;
  readonly last: number;
}

/** Columns for lines that leave a box, spread over it in their order; null if it is too narrow. `widths` are those of their labels. */
export function exits(span: Span, widths: readonly number[]): number[] | null {
  const room = span.last - span.first + 1;
  const need = widths.reduce((sum, each) => sum + 1 + each, 0) + widths.length - 1;
  if (need > room) return null;
  const gap = Math.floor((room - need) / (widths.length + 1));
  // One line leaves in the middle, as if its label were not there, as long as that has room beside it.
  let next = widths.length === 1 ? span.first + Math.min(Math.floor((room - 1) / 2), room - need) : span.first + gap;
  return widths.map((label) => {
    const column = next;
    next += label + 2 + gap;
    return column;
  });
}

export interface Arrival {
  /** The column where the line leaves the layer above. */
  readonly from: number;
  readonly net: number;
}

/**
 * A column for each line that arrives at a box, in the order in which they come, straight down where that is possible; never a column in
 * which another line leaves the layer above. Null if there is no room.
 */
export function entries(span: Span, arrivals: readonly Arrival[], leaving: ReadonlyMap<number, number>): number[] | null {
  return entriesApart(span, { arrivals, leaving, step: 2 }) ?? entriesApart(span, { arrivals, leaving, step: 1 });
}

interface Arriving {
  readonly arrivals: readonly Arrival[];
  readonly leaving: ReadonlyMap<number, number>;
  /** Columns from one line to the next, at least. */
  readonly step: 1 | 2;
}

function entriesApart(span: Span, { arrivals, leaving, step }: Arriving): number[] | null {
  const wishes = arrivals.map(({ from }, index) => {
    const spread = span.first + ((index + 1) * (span.last - span.first + 2)) / (arrivals.length + 1) - 1;
    return from >= span.first && from <= span.last ? { at: from, weight: 4 } : { at: spread, weight: 1 };
  });
  const columns = span.last - span.first + 1;
  // cost[i][c]: the first i lines stand at the first c columns; the least sum of their distances from where they would like to be.
  const cost = Array.from({ length: arrivals.length + 1 }, (_, i) => Array.from({ length: columns + 1 }, () => (i === 0 ? 0 : Infinity)));
  const costAt = (i: number, c: number): number => cost[i]?.[c] ?? Infinity;
  const here = (i: number, c: number): number => {
    const column = span.first + c;
    const net = leaving.get(column);
    const wish = wishes[i];
    if (!wish || (net !== undefined && net !== arrivals[i]?.net)) return Infinity;
    return costAt(i, i === 0 ? c : c + 1 - step) + Math.abs(column - wish.at) * wish.weight;
  };
  for (let i = 0; i < arrivals.length; i++) {
    const row = cost[i + 1];
    for (let c = 0; row && c < columns; c++) row[c + 1] = Math.min(costAt(i + 1, c), here(i, c));
  }
  if (costAt(arrivals.length, columns) === Infinity) return null;
  const found: number[] = [];
  for (let i = arrivals.length - 1, c = columns; i >= 0; i--) {
    while (costAt(i + 1, c - 1) === costAt(i + 1, c)) c--;
    found.unshift(span.first + c - 1);
    c -= step;
  }
  return found;
}

/** A net between two layers: from one column above to some below. */
export interface Run {
  readonly net: number;
  readonly from: number;
  readonly to: readonly number[];
}

/** The row on which each run goes sideways, from the top, and how many rows that takes; null: straight down. No two runs share cells. */
export function tracks(runs: readonly Run[]): { readonly rows: number; readonly rowOf: readonly (number | null)[] } {
  const levels: number[][] = [];
  const reach = runs.map(({ from, to }) => ({ first: Math.min(from, ...to), last: Math.max(from, ...to) }));
  // What goes right is best begun from the right, what goes left from the left: then neighbours do not cross.
  const rank = (run: Run): number => (run.to.reduce((sum, each) => sum + each, 0) / run.to.length >= run.from ? -run.from : run.from);
  const bent = runs.flatMap((run, index) => (run.to.every((each) => each === run.from) ? [] : [{ run, index }]));
  for (const { index } of bent.toSorted((a, b) => rank(a.run) - rank(b.run))) {
    const clear = levels.find((level) => level.every((other) => apart(reach[index], reach[other])));
    if (clear) clear.push(index);
    else levels.push([index]);
  }
  const across = (upper: readonly number[], lower: readonly number[]): number => crossed(upper, lower, runs, reach);
  for (let pass = 0, moved = true; moved && pass < levels.length; pass++) {
    moved = false;
    for (let row = 0; row + 1 < levels.length; row++) {
      const [upper, lower] = [levels[row] ?? [], levels[row + 1] ?? []];
      if (across(lower, upper) >= across(upper, lower)) continue;
      levels.splice(row, 2, lower, upper);
      moved = true;
    }
  }
  const rowOf = runs.map((_, index) => levels.findIndex((level) => level.includes(index)));
  return { rows: levels.length, rowOf: rowOf.map((row) => (row < 0 ? null : row)) };
}

const apart = (a: Span | undefined, b: Span | undefined): boolean => !a || !b || a.last < b.first || b.last < a.first;

function crossed(upper: readonly number[], lower: readonly number[], runs: readonly Run[], reach: readonly Span[]): number {
  const within = (column: number, rows: readonly number[]): number =>
    rows.filter((row) => (reach[row]?.first ?? Infinity) < column && column < (reach[row]?.last ?? -Infinity)).length;
  const down = lower.reduce((sum, row) => sum + within(runs[row]?.from ?? -1, upper), 0);
  return upper.reduce((sum, row) => sum + (runs[row]?.to ?? []).reduce((all, column) => all + within(column, lower), 0), down);
}
