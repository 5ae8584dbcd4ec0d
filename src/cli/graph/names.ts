import { clipMiddle, safe, width } from '../text.ts';
import type { DrawnGraph } from './model.ts';

/** A printable name of at most so many columns for each node, no two alike: who follows a line must know where it ends. */
export function namesOf({ nodes }: DrawnGraph, columns: number, mark: string): string[] {
  const used = new Set<string>();
  const nextOf = new Map<string, number>();
  return nodes.map(({ label }) => {
    const text = safe(label).trim() || '(empty)';
    const base = clipMiddle(text, columns, mark);
    let name = base;
    for (let next = nextOf.get(base) ?? 2; used.has(name); next++) {
      name = clipMiddle(text, Math.max(0, columns - width(`~${next}`)), mark) + `~${next}`;
      nextOf.set(base, next + 1);
    }
    used.add(name);
    return name;
  });
}
