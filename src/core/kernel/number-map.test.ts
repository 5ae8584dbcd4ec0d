import fc from 'fast-check';
import { expect, test } from 'vitest';
import { NumberMap } from './number-map.ts';

const sameAs = (map: NumberMap<number>, model: ReadonlyMap<number, number>): void => {
  expect(map.size).toBe(model.size);
  expect(map.values()).toEqual([...model].toSorted((a, b) => a[0] - b[0]).map(([, value]) => value));
  for (const [key, value] of model) expect(map.get(key)).toBe(value);
};

test('holds what a Map holds, whatever comes and goes', () => {
  // Few homes, far apart numbers: long probes, gaps within them, places behind the end of the table.
  const key = fc.oneof(
    fc.nat(40),
    fc.nat(10).map((n) => n * 16 + 15),
    fc.nat(20).map((n) => 2 ** 32 * n + 14),
    fc.constant(2 ** 53 - 1),
  );
  const act = fc.record({ kind: fc.constantFrom('set', 'delete'), key, value: fc.nat() });
  fc.assert(
    fc.property(fc.array(act, { maxLength: 300 }), (acts) => {
      const map = new NumberMap<number>();
      const model = new Map<number, number>();
      for (const { kind, key: at, value } of acts) {
        if (kind === 'set') {
          map.set(at, value);
          model.set(at, value);
        } else expect(map.delete(at)).toBe(model.delete(at));
        expect(map.has(at)).toBe(model.has(at));
        expect(map.get(at)).toBe(model.get(at));
      }
      sameAs(map, model);
    }),
    { numRuns: 300 },
  );
});

test('grows to many and comes back to none', () => {
  const map = new NumberMap<number>();
  const model = new Map<number, number>();
  for (let i = 0; i < 10_000; i++) {
    map.set(i * 3, i);
    model.set(i * 3, i);
  }
  sameAs(map, model);
  for (let i = 0; i < 10_000; i++) expect(map.delete(i * 3)).toBe(true);
  expect(map.size).toBe(0);
  expect(map.get(3)).toBeUndefined();
});

test('what is deleted while its values are gone through is still among them', () => {
  const map = new NumberMap<number>().set(2, 20).set(1, 10);
  const seen: number[] = [];
  for (const value of map.values()) {
    map.delete(1);
    map.delete(2);
    seen.push(value);
  }
  expect(seen).toEqual([10, 20]);
});
