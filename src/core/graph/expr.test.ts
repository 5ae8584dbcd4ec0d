import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encode } from '../values/codec.ts';
import { compileExpr, exprRefs, type Scope } from './expr.ts';
import type { Expr } from './graph.ts';
import { treeExpr } from '../define/tree.ts';

const order = { id: 'o-1', lines: [{ sku: 's', qty: 2 }], at: new Date(5) };
const scope: Scope = {
  input: () => ({ user: { name: 'Ada' } }),
  item: { sku: 'item' },
  output: (id) => (id === 'order' ? order : undefined),
  settled: (id) =>
    id === 'order' ? { status: 'success', value: order } : { status: 'failed', error: { code: 'E', message: 'm', attempts: 3 } },
  skipped: (id) => id === 'skipped',
};
const value = (expr: Expr, of: Scope = scope): unknown => compileExpr(expr)(of);

describe('an expression', () => {
  test.each<[string, Expr, unknown]>([
    ['a literal', { a: [1, 'x', null, true] }, { a: [1, 'x', null, true] }],
    ['a task', { $ref: 'order' }, order],
    ['a part of a task', { $ref: 'order', path: ['lines', 0, 'sku'] }, 's'],
    ['a part that is not there', { $ref: 'order', path: ['lines', 7, 'sku'] }, undefined],
    ['a part of a prototype', { $ref: 'order', path: ['constructor'] }, undefined],
    ['the input', { $input: ['user', 'name'] }, 'Ada'],
    ['the item', { $item: ['sku'] }, 'item'],
    ['a mixed tree', { n: { $input: ['user', 'name'] }, l: [{ $ref: 'order', path: ['lines', 'length'] }] }, { n: 'Ada', l: [1] }],
    ['a rich literal', { $value: encode(new Map([['a', new Date(1)]])) ?? '' }, new Map([['a', new Date(1)]])],
    ['undefined', [{ $undefined: true }], [undefined]],
    ['a property that is undefined', { a: { $undefined: true }, b: { $ref: 'order', path: ['no'] } }, {}],
    ['an optional read of what is there', { $optional: { $ref: 'order', path: ['id'] }, default: 'none' }, 'o-1'],
    ['an optional read of what was skipped', { $optional: { $ref: 'skipped', path: ['id'] } }, undefined],
    ['its default', { $optional: { $ref: 'skipped' }, default: { n: { $input: ['user', 'name'] } } }, { n: 'Ada' }],
    ['a settled success', { $settle: { $ref: 'order', path: ['id'] } }, { status: 'success', value: 'o-1' }],
    ['a settled failure', { $settle: { $ref: 'x', path: ['id'] } }, { status: 'failed', error: { code: 'E', message: 'm', attempts: 3 } }],
    ['a part of a settled result', { $settle: { $ref: 'order', path: ['id'] }, path: ['value'] }, 'o-1'],
  ])('%s', (_name, expr, expected) => {
    expect(value(expr)).toStrictEqual(expected);
  });

  test('gives a fresh copy at each call, so that a body may change what it gets', () => {
    const read = compileExpr({ o: { $ref: 'order' }, list: [1], rich: { $value: encode(new Set([1])) ?? '' } });
    const [first, second] = [read(scope), read(scope)] as { o: typeof order; list: number[]; rich: Set<number> }[];
    first?.o.lines.pop();
    first?.list.push(2);
    first?.rich.clear();
    expect(second).toEqual({ o: order, list: [1], rich: new Set([1]) });
    expect(order.lines).toHaveLength(1);
    expect(read(scope)).toEqual(second);
  });

  test('keeps a key __proto__ as a key', () => {
    const expr = JSON.parse('{"__proto__": {"$input": ["user"]}, "b": 1}') as Expr;
    const made = value(expr) as object;
    expect(Object.getPrototypeOf(made)).toBe(Object.prototype);
    expect(JSON.stringify(made)).toBe('{"__proto__":{"name":"Ada"},"b":1}');
  });

  test('tells what it reads and how', () => {
    const expr: Expr = [
      { a: { $ref: 'a', path: ['x'] }, i: { $input: [] }, v: { $value: '1' } },
      { $optional: { $ref: 'b' }, default: { $ref: 'c' } },
      { $settle: { $ref: 'd', path: ['y'] }, path: ['status'] },
    ];
    expect(exprRefs(expr)).toEqual([
      { id: 'a', mode: 'required', path: ['x'] },
      { id: 'b', mode: 'optional', path: [] },
      { id: 'c', mode: 'required', path: [] },
      { id: 'd', mode: 'settle', path: ['y'] },
    ]);
  });
});

describe('a literal', () => {
  const key = fc.oneof(
    fc.constantFrom('$ref', '$value', '$tags', '$x', '__proto__', 'path', 'a', '0'),
    fc.string({ unit: 'grapheme', maxLength: 4 }),
  );
  const literal = fc.letrec<{ tree: unknown }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom(null, true, 0, -1.5, '', 'x', 12n),
      fc.date({ noInvalidDate: true }),
      fc.string({ unit: 'grapheme', maxLength: 5 }),
      fc.array(tie('tree'), { maxLength: 4 }),
      fc.dictionary(key, tie('tree'), { maxKeys: 4, noNullPrototype: true }),
      fc.array(fc.tuple(fc.string({ unit: 'grapheme' }), tie('tree')), { maxLength: 2 }).map((entries) => new Map(entries)),
    ),
  })).tree;

  test('comes back from its expression as it was, whatever its keys and types', () => {
    fc.assert(
      fc.property(literal, (tree) => {
        const problems: string[] = [];
        const expr = treeExpr(tree, { name: 'input', refExpr: () => null, report: (_code, _at, message) => void problems.push(message) });
        // Through JSON, as the store keeps it.
        const read = value(JSON.parse(JSON.stringify(expr)) as Expr);
        if (problems.length === 0) expect(encode(read)).toBe(encode(tree));
        else expect(problems[0]).toMatch(/cannot be stored/);
      }),
    );
  });
});
