import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { canonical, clone, decode, encode, readPath } from './codec.ts';
import { isPawlError } from '../errors.ts';
import type { PawlError } from '../errors.ts';

/** The error that a call throws. */
function thrownBy(act: () => unknown): PawlError {
  try {
    act();
  } catch (error) {
    if (isPawlError(error)) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

function roundTrip(value: unknown): unknown {
  return decode(encode(value));
}

const OBJECT_PROTOTYPE = Object.getOwnPropertyNames(Object.prototype).toSorted();
afterEach(() => {
  expect(Object.getOwnPropertyNames(Object.prototype).toSorted()).toEqual(OBJECT_PROTOTYPE);
});

const okText = fc.string({ unit: 'grapheme' }).filter((text) => !text.includes('\0'));
const key = fc.oneof(
  okText,
  fc.constantFrom('__proto__', 'constructor', 'toString', '$tags', '$value', '$tag', 'a/b', 'a~1b', '', '0', 'then'),
);
const number = fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => n + 0);
const ERRORS = { TypeError, RangeError, Error };
/** As a constructor makes it: not enumerable. */
const hidden = (made: Error, name: string, value: unknown): Error =>
  Object.defineProperty(made, name, { value, enumerable: false, writable: true, configurable: true });
const error = fc
  .record({
    name: fc.constantFrom('Error', 'TypeError', 'RangeError', 'MyError', ''),
    message: okText,
    code: fc.option(fc.oneof(okText, fc.integer()), { nil: undefined }),
  })
  .map(({ name, message, code }) => {
    const made = new (ERRORS[name as keyof typeof ERRORS] ?? Error)(message);
    if (made.name !== name) hidden(made, 'name', name);
    return code === undefined ? made : Object.assign(made, { code });
  });

function values(leaf: fc.Arbitrary<unknown>, rich: boolean): fc.Arbitrary<unknown> {
  return fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      leaf,
      fc.array(tie('value'), { maxLength: 4 }),
      fc.array(fc.tuple(key, tie('value')), { maxLength: 4 }).map((entries) => Object.fromEntries(entries)),
      ...(rich
        ? [
            fc.array(fc.tuple(tie('value'), tie('value')), { maxLength: 3 }).map((entries) => new Map(entries)),
            fc.array(tie('value'), { maxLength: 3 }).map((items) => new Set(items)),
            fc.tuple(error, tie('value')).map(([made, cause]) => (cause === undefined ? made : hidden(made, 'cause', cause))),
          ]
        : []),
    ),
  })).value;
}

const plain = values(fc.oneof(okText, number, fc.boolean(), fc.constant(null)), false);
const any = values(
  fc.oneof(
    okText,
    number,
    fc.boolean(),
    fc.constantFrom(null, undefined),
    fc.bigInt(),
    fc.date({ noInvalidDate: true }),
    fc.uint8Array({ maxLength: 20 }),
    fc.webUrl().map((href) => new URL(href)),
  ),
  true,
);

describe('a plain payload', () => {
  test('is stored as JSON.stringify gives it', () => {
    fc.assert(
      fc.property(plain, (value) => {
        fc.pre(!(typeof value === 'object' && value !== null && Object.hasOwn(value, '$tags')));
        expect(encode(value)).toBe(JSON.stringify(value));
        expect(roundTrip(value)).toEqual(value);
      }),
      { numRuns: 1_000 },
    );
  });

  test('loses properties with the value undefined, and the sign of zero', () => {
    expect(encode({ a: undefined, b: -0, $tags: undefined })).toBe('{"b":0}');
    expect(encode(-0)).toBe('0');
  });

  test('may have no prototype, or that of another realm', () => {
    expect(encode(Object.assign(Object.create(null) as object, { a: [1] }))).toBe('{"a":[1]}');
    expect(encode(runInNewContext('({ a: [1, { b: 2 }] })'))).toBe('{"a":[1,{"b":2}]}');
  });

  test('keeps control characters, emoji and line separators', () => {
    expect(roundTrip('\u001b[31m \u2028 😀 \\u0000 \\ud800')).toBe('\u001b[31m \u2028 😀 \\u0000 \\ud800');
  });

  test('keeps keys that mean something elsewhere as data', () => {
    const value: unknown = JSON.parse(
      '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":2}},"toString":"x","hasOwnProperty":1}',
    );
    for (const back of [roundTrip(value), clone(value), (roundTrip({ value, at: new Date(0) }) as { value: unknown }).value]) {
      expect(JSON.stringify(back)).toBe(JSON.stringify(value));
      expect(Object.getPrototypeOf(back)).toBe(Object.prototype);
      expect(Object.hasOwn(back as object, '__proto__')).toBe(true);
    }
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });

  test('with a key $tags at its root is not taken for a tag table', () => {
    for (const value of [
      { $tags: { '': 'Date' }, $value: 'x' },
      { a: 1, $tags: 1 },
      { $tags: { '': 'x' }, at: new Date(0) },
    ]) {
      expect(encode(value)).toMatch(/^\{"\$tags":\{.*\},"\$value":/);
      expect(roundTrip(value)).toEqual(value);
    }
    expect(encode([{ $tags: 1 }])).toBe('[{"$tags":1}]');
  });
});

describe('a payload with more than JSON', () => {
  test('comes back with its types', () => {
    fc.assert(
      fc.property(any, (value) => {
        const text = encode(value);
        if (text !== undefined) expect(() => JSON.parse(text) as unknown).not.toThrow();
        expect(decode(text)).toEqual(value);
        expect(encode(decode(text))).toBe(text);
      }),
      { numRuns: 2_000 },
    );
  });

  test('has a table from paths to types', () => {
    const value = {
      at: new Date(0),
      'a/b~c': [1n, undefined],
      m: new Map([[{ k: new Set([1]) }, new URL('https://x.example/')]]),
      b: new Uint8Array([1, 2]),
    };
    expect(encode(value)).toBe(
      '{"$tags":{"/at":"Date","/a~1b~0c/0":"bigint","/a~1b~0c/1":"undefined","/m":"Map","/m/0/0/k":"Set","/m/0/1":"URL","/b":"Uint8Array"},' +
        '"$value":{"at":"1970-01-01T00:00:00.000Z","a/b~c":["1",null],"m":[[{"k":[1]},"https://x.example/"]],"b":"AQI="}}',
    );
    expect(roundTrip(value)).toStrictEqual(value);
    expect(encode(5n)).toBe('{"$tags":{"":"bigint"},"$value":"5"}');
  });

  test('may be the value undefined: no text', () => {
    expect(encode(undefined)).toBeUndefined();
    expect(decode(undefined)).toBeUndefined();
    expect(decode(null)).toBeUndefined();
    expect(decode('null')).toBeNull();
  });

  test('keeps what matters of an error', () => {
    class PaymentError extends Error {
      override readonly name = 'PaymentError';
      readonly code = 'DECLINED';
      readonly card = 'dropped';
    }
    const back = roundTrip(new PaymentError('no', { cause: new TypeError('deep', { cause: { at: new Date(0) } }) })) as PaymentError;
    expect(back).toBeInstanceOf(Error);
    expect(back).toMatchObject({ name: 'PaymentError', message: 'no', code: 'DECLINED', stack: expect.stringContaining('codec.test') });
    expect(back.cause).toBeInstanceOf(TypeError);
    expect((back.cause as Error).cause).toEqual({ at: new Date(0) });
    expect(back).not.toHaveProperty('card');
    expect(roundTrip(runInNewContext('new RangeError("elsewhere")'))).toBeInstanceOf(RangeError);
  });

  test('takes a Buffer as its bytes, large ones too', () => {
    const bytes = new Uint8Array(100_000).map((_, at) => at);
    expect(roundTrip(Buffer.from(bytes))).toStrictEqual(bytes);
  });

  test('takes shared parts apart', () => {
    const shared = { n: 1 };
    expect(encode([shared, shared])).toBe('[{"n":1},{"n":1}]');
    expect(encode([undefined, shared, shared])).toContain('[null,{"n":1},{"n":1}]');
  });
});

describe('what cannot be stored', () => {
  const self: Record<string, unknown> = { a: [] };
  (self['a'] as unknown[]).push(self);
  const throwing = {
    get odd(): number {
      throw new Error('broken\0');
    },
  };
  let deep: unknown = 1;
  for (let at = 0; at < 100; at++) deep = { d: deep };
  class Money {
    readonly cents = 1;
  }
  const proxy = new Proxy(
    {},
    {
      ownKeys() {
        throw new Error('trap');
      },
      getPrototypeOf: () => Object.prototype,
    },
  );
  const keys = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, at) => [`k${at}`, at]));

  test.each<[string, unknown, string, string]>([
    ['NaN', { lines: [0, 1, 2, { at: Number.NaN }] }, 'output.lines[3].at', 'NaN'],
    ['Infinity', [-Infinity], 'output[0]', '-Infinity'],
    ['a function', () => 1, 'output', 'a function'],
    ['toJSON', { toJSON: () => 1 }, 'output.toJSON', 'a function'],
    ['a symbol', { s: Symbol('x') }, 'output.s', 'a symbol'],
    ['a Promise', { p: Promise.resolve(1) }, 'output.p', 'a Promise (is an await missing?)'],
    ['a class', { m: new Money() }, 'output.m', 'an instance of Money'],
    ['a nameless class', [new (class {})()], 'output[0]', 'an instance of a class'],
    ['a RegExp', [/x/], 'output[0]', 'an instance of RegExp'],
    ['a subclass of Date', new (class Zoned extends Date {})(), 'output', 'an instance of Zoned'],
    ['a subclass of Array', new (class Rows extends Array<number> {})(), 'output', 'an instance of Rows'],
    ['an inherited object', Object.create({ a: 1 }), 'output', 'an instance of Object'],
    ['an invalid Date', [new Date(Number.NaN)], 'output[0]', 'an invalid Date'],
    ['a false Date', [Object.create(Date.prototype)], 'output[0]', 'something that throws when it is read ("this is not a Date object.")'],
    ['a getter that throws', { x: [throwing] }, 'output.x[0].odd', 'something that throws when it is read ("broken\\u0000")'],
    ['a proxy that throws', [proxy], 'output[0]', 'something that throws when it is read ("trap")'],
    ['a cycle', self, 'output.a[0]', 'a cyclic reference'],
    ['depth', { deep }, `output.deep${'.d'.repeat(63)}`, 'something nested deeper than 64'],
    ['keys', { o: keys(10_001) }, 'output.o', 'an object with 10001 keys (at most 10000)'],
    ['NUL', ['a\0b'], 'output[0]', 'a string with a NUL character'],
    ['NUL in a key', { 'a\0': 1 }, 'output["a\\u0000"]', 'a key with a NUL character'],
    ['a lone surrogate', { s: '\ud800' }, 'output.s', 'a string with a lone surrogate'],
    ['a lone surrogate in a key', { m: { '\udc00': new Date(0) } }, 'output.m["\\udc00"]', 'a key with a lone surrogate'],
    ['a value of a Map', new Map([['k', { x: Number.NaN }]]), 'output.get("k").x', 'NaN'],
    ['a key of a Map', { m: new Map([[{ x: Number.NaN }, 1]]) }, 'output.m<key 0>.x', 'NaN'],
    ['an item of a Set', new Set([1, Number.NaN]), 'output<item 1>', 'NaN'],
    ['a cause', new Error('e', { cause: { f() {} } }), 'output.cause.f', 'a function'],
    ['an odd key', { 'a b': { "it's": Number.NaN } }, 'output["a b"]["it\'s"]', 'NaN'],
  ])('is named with its path: %s', (_what, value, path, found) => {
    const error = thrownBy(() => encode(value, { root: 'output' }));
    expect(error).toMatchObject({ code: 'PAYLOAD_NOT_STORABLE', details: { path, found } });
    expect(error.message).toBe(`${path} cannot be stored: it is ${found}.`);
    // What is said of it is stored itself.
    expect(roundTrip({ ...error.details })).toEqual(error.details);
  });

  test('lets the limits themselves through', () => {
    expect(roundTrip(keys(10_000))).toEqual(keys(10_000));
    let at64: unknown[] = [];
    for (let at = 1; at < 64; at++) at64 = [at64];
    expect(roundTrip(at64)).toEqual(at64);
    expect(roundTrip([...at64, 1n])).toEqual([...at64, 1n]);
    expect(thrownBy(() => encode([at64])).details).toMatchObject({ found: 'something nested deeper than 64' });
  });

  test('is called value where the caller gives no name', () => {
    expect(thrownBy(() => encode([NaN])).details['path']).toBe('value[0]');
  });
});

describe('a payload that is too large', () => {
  test('is measured in bytes as stored, exactly', () => {
    fc.assert(
      fc.property(any, fc.string({ unit: 'grapheme', minLength: 1 }), (value, text) => {
        const both = [value, text.replaceAll('\0', '')];
        const stored = encode(both) ?? '';
        const maxBytes = Buffer.byteLength(stored);
        expect(encode(both, { maxBytes })).toBe(stored);
        const error = thrownBy(() => encode(both, { maxBytes: maxBytes - 1, root: 'output' }));
        expect(error.code).toBe('PAYLOAD_TOO_LARGE');
        expect(error.details['maxBytes']).toBe(maxBytes - 1);
        expect(error.details['bytes']).toBeGreaterThanOrEqual(maxBytes);
      }),
      { numRuns: 1_000 },
    );
  });

  test.each<[string, () => unknown]>([
    ['a string of 50 MB', () => ({ a: 'x'.repeat(50_000_000) })],
    ['an empty list of 4 billion', () => Object.assign([], { length: 4_000_000_000 })],
    ['ten million numbers', () => Array.from({ length: 10_000_000 }, (_, at) => at)],
    ['many strings', () => Array.from({ length: 500_000 }, () => 'x'.repeat(100))],
    ['bytes', () => [new Uint8Array(50_000_000)]],
    ['2^60 shared parts', () => Array.from({ length: 60 }).reduce<unknown>((part) => [part, part], 1)],
  ])('is given up early: %s', (_what, make) => {
    const value = make();
    // why: of this process alone, however busy the machine is
    const before = process.cpuUsage();
    expect(thrownBy(() => encode(value, { maxBytes: 1_048_576, root: 'output' }))).toMatchObject({
      code: 'PAYLOAD_TOO_LARGE',
      message: expect.stringMatching(/^output is too large: (at least )?\d+ bytes as stored, and the limit is 1048576\.$/),
      details: { bytes: expect.any(Number), maxBytes: 1_048_576 },
    });
    const { user, system } = process.cpuUsage(before);
    expect((user + system) / 1_000).toBeLessThan(1_000);
  });
});

describe('a stored text that encode did not write', () => {
  test.each([
    '',
    '{',
    'undefined',
    '{"$tags":1}',
    '{"$tags":{}}',
    '{"$tags":{"":"Date"},"$value":"never"}',
    '{"$tags":{"":"Date"},"$value":5}',
    '{"$tags":{"":"bigint"},"$value":"1.5"}',
    '{"$tags":{"":"bigint"},"$value":""}',
    '{"$tags":{"":"URL"},"$value":"no url"}',
    '{"$tags":{"":"Uint8Array"},"$value":"%"}',
    '{"$tags":{"":"Map"},"$value":[1]}',
    '{"$tags":{"":"Set"},"$value":{}}',
    '{"$tags":{"":"Error"},"$value":{}}',
    '{"$tags":{"":"undefined"},"$value":1}',
    '{"$tags":{"":"RegExp"},"$value":"x"}',
    '{"$tags":{"":3},"$value":null}',
    '{"$tags":{"/a":"Date"},"$value":{}}',
    '{"$tags":{"/a/b":"Date"},"$value":{"a":null}}',
    '{"$tags":{"/constructor/prototype":"Set"},"$value":{}}',
    '{"$tags":{"/__proto__/x":"undefined"},"$value":{}}',
  ])('is corrupt: %s', (text) => {
    expect(thrownBy(() => decode(text))).toMatchObject({ code: 'STORE_CORRUPT' });
  });

  test('does not get into the message', () => {
    expect(thrownBy(() => decode('{"password":"hunter2"')).message).not.toContain('hunter2');
  });

  test('may have its tags in any order, as other writers leave them', () => {
    expect(
      decode(
        '{"$tags":{"/m/0/1":"Date","/m":"Map","":"Set"},"$value":{"0":1,"m":[["k","1970-01-01T00:00:00.000Z"]]}}'.replace(',"":"Set"', ''),
      ),
    ).toEqual({
      0: 1,
      m: new Map([['k', new Date(0)]]),
    });
  });
});

describe('clone', () => {
  test('is equal and shares nothing', () => {
    fc.assert(
      fc.property(any, (value) => {
        const decoded = roundTrip(value);
        const copy = clone(decoded);
        expect(copy).toEqual(decoded);
        expect(encode(copy)).toBe(encode(decoded));
        if (typeof decoded === 'object' && decoded !== null) expect(copy).not.toBe(decoded);
      }),
      { numRuns: 1_000 },
    );
    const value = { a: [{ b: 1 }], d: new Date(0), u: new Uint8Array([1]), s: new Set([{ c: 1 }]), m: new Map([[{ k: 1 }, { v: 1 }]]) };
    const copy = clone(value);
    expect(copy).toStrictEqual(value);
    expect(copy.a[0]).not.toBe(value.a[0]);
    expect(copy.d).not.toBe(value.d);
    copy.u[0] = 9;
    expect(value.u[0]).toBe(1);
    expect([...copy.s][0]).not.toBe([...value.s][0]);
    expect([...copy.m.keys()][0]).not.toBe([...value.m.keys()][0]);
  });

  test('gives primitives back', () => {
    for (const value of [1, 'x', true, null, undefined, 5n]) expect(clone(value)).toBe(value);
  });
});

describe('readPath', () => {
  const value = { a: [{ b: 1 }, 'text'], d: new Date(0), n: null, __proto__: { inherited: 1 } };
  test.each<[(string | number)[], unknown]>([
    [[], value],
    [['a', 0, 'b'], 1],
    [['a', '0', 'b'], 1],
    [['a', 'length'], 2],
    [['a', 2], undefined],
    [['a', -1], undefined],
    [['a', 1, 'length'], undefined],
    [['a', 'map'], undefined],
    [['n', 'x'], undefined],
    [['x', 'y', 'z'], undefined],
    [['inherited'], undefined],
    [['constructor'], undefined],
    [['__proto__'], undefined],
    [['d', 'getTime'], undefined],
  ])('%j', (path, expected) => {
    expect(readPath(value, path)).toBe(expected);
  });

  test('never throws', () => {
    const odd = {
      get x(): number {
        throw new Error('no');
      },
    };
    for (const root of [odd, null, undefined, 1, 'text']) expect(readPath(root, ['x', 'y'])).toBeUndefined();
  });
});

describe('canonical', () => {
  test('is the same for a value and for what comes back of it, and is JSON', () => {
    fc.assert(
      fc.property(any, (value) => {
        const text = canonical(value);
        expect(() => JSON.parse(text) as unknown).not.toThrow();
        expect(canonical(roundTrip(value))).toBe(text);
      }),
      { numRuns: 1_000 },
    );
  });

  test('does not depend on the order of keys, entries and items', () => {
    expect(canonical({ b: 1, a: { d: [1, 'x'], c: undefined } })).toBe('{"a":{"d":[1,"x"]},"b":1}');
    expect(
      canonical(
        new Map([
          [2, 'b'],
          [1, 'a'],
        ]),
      ),
    ).toBe(
      canonical(
        new Map([
          [1, 'a'],
          [2, 'b'],
        ]),
      ),
    );
    expect(canonical(new Set([{ b: 1, a: 1 }, 2]))).toBe(canonical(new Set([2, { a: 1, b: 1 }])));
    expect(canonical(-0)).toBe(canonical(0));
    const error = () => Object.assign(new Error('x'), { code: 'C' });
    expect(canonical(error())).toBe(canonical(error()));
  });

  test('tells apart what is different', () => {
    const at = new Date(0);
    const different = [
      at,
      at.toISOString(),
      { $tag: ['Date', at.toISOString()] },
      1n,
      '1',
      1,
      [undefined],
      [null],
      undefined,
      null,
      new Map(),
      new Set(),
      [],
      {},
      new Uint8Array(),
      '',
      new URL('https://x.example/'),
      'https://x.example/',
      [1, 2],
      [2, 1],
      'a"b',
      'a\\"b',
      '\u001b',
      'ä',
      new Error('x'),
      new TypeError('x'),
    ];
    const texts = different.map(canonical);
    expect(new Set(texts).size).toBe(different.length);
  });

  test('refuses what encode refuses', () => {
    const cyclic: unknown[] = [];
    cyclic.push(cyclic);
    for (const value of [() => 1, [Symbol('x')], { a: Number.NaN }, new Date(Number.NaN), Promise.resolve(), cyclic, new (class A {})()]) {
      expect(thrownBy(() => canonical(value))).toMatchObject({ code: 'PAYLOAD_NOT_STORABLE' });
    }
  });

  test('goes as deep as encode', () => {
    let value: unknown = 1n;
    for (let at = 0; at < 64; at++) value = new Map([[1, value]]);
    expect(canonical(roundTrip(value))).toBe(canonical(value));
  });
});
