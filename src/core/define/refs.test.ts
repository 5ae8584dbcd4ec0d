import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { isPawlError, type PawlError } from '../errors.ts';
import { workflow } from './workflow.ts';

type Any = ReturnType<typeof JSON.parse>;

/** The error of a builder that uses a ref in the given way. */
function useOf(use: (ref: Any, input: Any) => unknown): PawlError {
  try {
    workflow({ name: 'order' }, ((w: Any, input: Any) => {
      use(
        w.run('load-order', {}, () => 1),
        input,
      );
      return 1;
    }) as Any);
  } catch (error) {
    if (isPawlError(error)) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('a ref', () => {
  test.each<[string, (ref: Any) => unknown]>([
    ['a template', (o) => `${o.total}`],
    ['an addition', (o) => o.total + 1],
    ['a multiplication', (o) => o.total * 2],
    ['a comparison', (o) => o.total > 100],
    ['a loose comparison', (o) => o.total == 1], // eslint-disable-line eqeqeq -- that it throws is the point
    ['a spread into a list', (o) => [...o.total]],
    [
      'a loop',
      (o) => {
        for (const x of o.total) return x;
        return 0;
      },
    ],
    [
      'a destructuring',
      (o) => {
        const [x] = o.total;
        return x;
      },
    ],
    ['a spread into an object', (o) => ({ ...o.total })],
    [
      'for in',
      (o) => {
        for (const x in o.total) return x;
        return 0;
      },
    ],
    ['Object.keys', (o) => Object.keys(o.total)],
    ['JSON', (o) => JSON.stringify({ o: o.total })],
    ['a call', (o) => o.total()],
    ['a method', (o) => o.total.toFixed(2)],
    ['new', (o) => new o.total()],
    [
      'a change',
      (o) => {
        o.total.x = 1;
      },
    ],
    ['a deletion', (o) => delete o.total.x],
    ['in', (o) => 'x' in o.total],
    ['instanceof', (o) => o.total instanceof Date],
    ['a match', (o) => 'x'.includes(o.total)],
    ['a look for a key', (o) => Object.hasOwn(o.total, 'x')],
    ['String', (o) => String(o.total)],
    ['Number', (o) => Number(o.total)],
    ['a key', (o) => ({ [o.total]: 1 })],
    ['Math', (o) => Math.max(o.total, 1)],
    ['then', (o) => o.total.then((x: unknown) => x)],
  ])('used as a value in %s is refused, with its name and the place', (_name, use) => {
    const error = useOf(use);
    expect(error.code).toBe('BUILD_REF_AS_VALUE');
    expect(error.message).toMatch(
      /^You used "load-order\.total" as a value \(.*\) while building workflow "order" \(refs\.test\.ts:\d+:\d+\)\. It does not exist until the run\.$/,
    );
    expect(error.fix).toMatch(/load-order\.total|await/);
    expect(error.details).toMatchObject({ ref: 'load-order.total', workflow: 'order', at: { line: expect.any(Number) } });
  });

  test('names the line of the use, not of the call that made the ref', () => {
    const line = Number(/refs\.test\.ts:(\d+)/.exec(new Error('here').stack ?? '')?.[1]);
    const error = useOf((o) => {
      const total = o.total;
      return total * 2;
    });
    expect(error.details['at']).toMatchObject({ line: line + 3 });
  });

  test('of the input is called input', () => {
    expect(useOf((_o, input) => `${input.lines[0].sku}`).message).toContain('"input.lines[0].sku"');
  });

  test('with await makes the builder async, which is refused without an unhandled rejection', () => {
    const build = (async (w: Any) => {
      await w.run('a', {}, () => 1);
    }) as Any;
    expect(() => workflow({ name: 'order' }, build)).toThrow(expect.objectContaining({ code: 'BUILD_ASYNC' }));
  });

  test('can be printed', () => {
    workflow({ name: 'order' }, (w) => {
      const o = w.run('load', {}, () => ({ total: 1 }));
      expect(inspect({ o: o.total })).toBe('{ o: Ref<load.total> }');
      expect(() => inspect(o, { showProxy: true, depth: 5 })).not.toThrow();
      expect(() => Object.prototype.toString.call(o)).not.toThrow();
      expect([0].concat(o as Any)).toHaveLength(2);
      return o;
    });
  });
});
