import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { errorRecord, PawlError } from './errors.ts';
import { redactor } from './redact.ts';

const SECRET = 'hunter2-xyzzy';
const made = redactor({ values: [SECRET, 'abcd', 'cdef'], keys: ['pin-code'] });
const text = (given: string): string => made.text(given);
const data = (given: unknown): unknown => made.data(given);

describe('a text', () => {
  test.each([
    ['nothing in it', 'nothing in it'],
    [`a ${SECRET} b ${SECRET}`, 'a [redacted] b [redacted]'],
    // Two that overlap leave nothing of either
    ['xabcdefx', 'x[redacted]x'],
    ['abcdabcd', '[redacted]'],
    ['postgres://user:pw@host/db', 'postgres://[redacted]@host/db'],
    ['at https://token@host: refused', 'at https://[redacted]@host: refused'],
    ['redis://:p@ss:w@host:1', 'redis://[redacted]@host:1'],
    ['postgres://user:sl/ash?es@host/db', 'postgres://[redacted]@host/db'],
    ['amqp://a:b@h1,amqp://c:d@h2', 'amqp://[redacted]@h1,amqp://[redacted]@h2'],
    ['https://host/a@b', 'https://host/a@b'],
    ['https://host:80/a@b', 'https://host:80/a@b'],
    ['https://[::1]/a@b', 'https://[::1]/a@b'],
    ['see https://host/ or write to a@b', 'see https://host/ or write to a@b'],
    ['authorization: Bearer xyz', 'authorization: Bearer [redacted]'],
    ['bearer eyJh.eyJz-_~+/==,', 'bearer [redacted],'],
    ['Basic dXNlcjpwdw==', 'Basic [redacted]'],
    ['basic dXNlcjpwdw==', 'basic [redacted]'],
    ['a basic example, forbearer of more', 'a basic example, forbearer of more'],
  ])('%s', (given, shown) => {
    expect(text(given)).toBe(shown);
  });

  test('holds no secret in the form it has in JSON or in a URL', () => {
    const key = '-----BEGIN KEY-----\nMII"x=\n';
    const one = redactor({ values: [key] });
    expect(one.text(JSON.stringify({ pem: key }))).toBe('{"pem":"[redacted]"}');
    expect(one.text(`?k=${encodeURIComponent(key)}`)).toBe('?k=[redacted]');
  });

  test('holds no listed value, whatever stands around it', () => {
    // A text of the placeholder's own characters could form a value anew.
    const value = fc.string({ minLength: 4, maxLength: 12, unit: fc.constantFrom('x', 'y', 'z', '1', '"', '\\', '\n', '%') });
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 4 }), fc.array(fc.string()), fc.nat(), (values, around, seed) => {
        const one = redactor({ values });
        const given = around.map((part, i) => part + (values[(seed + i) % values.length] ?? '')).join('');
        const shown = one.text(given);
        for (const secret of values) expect(shown.includes(secret)).toBe(false);
        expect(one.text(shown)).toBe(shown);
      }),
    );
  });

  test.each([
    ['slashes', '://'],
    ['URLs without an end', 'x://a:b/'],
    ['at signs', '://@'],
    ['schemes of dots', 'a.a-'],
    ['a word without its token', 'Basic '],
    ['a small word', 'basic a'],
    ['spaces', 'bearer    '],
    ['the beginning of a secret', SECRET.slice(0, -1)],
    ['secrets', SECRET],
  ])('made of %s is read in a time that grows with its length', (_, unit) => {
    const time = (length: number): number => {
      const long = unit.repeat(Math.ceil(length / unit.length));
      let best = Infinity;
      for (let i = 0; i < 3; i++) {
        const began = performance.now();
        text(long);
        best = Math.min(best, performance.now() - began);
      }
      return best;
    };
    time(10_000);
    // Sixteen times the length: a square would take 256 times as long.
    expect(time(320_000)).toBeLessThan(time(20_000) * 80 + 40);
  });
});

describe('data', () => {
  test.each(['password', 'PassWord', 'api_key', 'API-KEY', 'Set-Cookie', 'client_secret', 'PINCODE', 'pin_code', 'authorization'])(
    'under %s is hidden, wherever it is and whatever it is',
    (key) => {
      expect(data({ a: [{ [key]: { deep: 1 } }], [key]: 'x', b: 1 })).toEqual({ a: [{ [key]: '[redacted]' }], [key]: '[redacted]', b: 1 });
    },
  );

  test('under other names stays, and what is not there is not hidden', () => {
    const given = { tokens: 3, passwords: ['x'], password: null, secret: undefined, keyboard: 'k' };
    expect(data(given)).toEqual({ tokens: 3, passwords: ['x'], password: null, secret: undefined, keyboard: 'k' });
  });

  test('is copied as plain JSON data', () => {
    const given = {
      at: new Date(0),
      map: new Map<unknown, unknown>([
        ['password', 1],
        [2, SECRET],
      ]),
      set: new Set([1]),
      url: new URL('https://u:p@host/x'),
      bytes: new Uint8Array(3),
      big: 5n,
      none: Number.NaN,
      call: () => 1,
      [SECRET]: SECRET,
      own: { toJSON: () => ({ token: 1 }) },
    };
    expect(JSON.parse(JSON.stringify(data(given)))).toEqual({
      at: '1970-01-01T00:00:00.000Z',
      map: { password: '[redacted]', 2: '[redacted]' },
      set: [1],
      url: 'https://[redacted]@host/x',
      bytes: '[3 bytes]',
      big: '5',
      none: 'NaN',
      '[redacted]': '[redacted]',
      own: { token: '[redacted]' },
    });
  });

  test('that is circular, deep, huge or throws when it is looked at ends in something that can be written', () => {
    const circle: Record<string, unknown> = { a: 1 };
    circle['self'] = [circle];
    expect(data(circle)).toEqual({ a: 1, self: ['[circular]'] });
    let deep: unknown = 1;
    for (let i = 0; i < 50_000; i++) deep = { deep };
    expect(JSON.stringify(data(deep))).toContain('[…]');
    expect((data(Array.from({ length: 100_000 }, () => 1)) as unknown[]).length).toBeLessThan(10_010);
    const hostile = {
      get getter(): never {
        throw new Error('no');
      },
      proxy: new Proxy({}, { ownKeys: () => { throw new Error('no'); } }), // prettier-ignore
      json: { toJSON: () => { throw new Error('no'); } }, // prettier-ignore
    };
    expect(data(hostile)).toEqual({ getter: '[unreadable]', proxy: '[unreadable]', json: '[unreadable]' });
    const proto = data(JSON.parse('{"__proto__":{"password":"x"}}')) as object;
    expect(JSON.stringify(proto)).toBe('{"__proto__":{"password":"[redacted]"}}');
  });

  test('of any shape can be written as JSON, without a listed value', () => {
    fc.assert(
      fc.property(fc.anything({ withBigInt: true, withDate: true, withMap: true, withSet: true, withTypedArray: true }), (value) => {
        expect(JSON.stringify(data([value, SECRET, { [SECRET]: value }]))).not.toContain(SECRET);
      }),
    );
  });
});

describe('an error', () => {
  test('is recorded without secrets in message, stack, code, causes, or what was thrown instead', () => {
    const error = Object.assign(new Error(`no ${SECRET}`, { cause: new Error('inner postgres://u:pw@h') }), { code: SECRET });
    const record = JSON.stringify(errorRecord(error, redactor({ values: [SECRET] })));
    expect(record).not.toContain(SECRET);
    expect(record).not.toContain('u:pw');
    expect(record).toContain('no [redacted]');
    expect(errorRecord({ password: 'x', a: 1 }, redactor()).message).toBe('thrown: {"password":"[redacted]","a":1}');
    expect(errorRecord(SECRET, redactor({ values: [SECRET] })).message).toBe('thrown: [redacted]');
  });

  test('does not show half a secret where its message is clipped', () => {
    const record = errorRecord(new Error('x'.repeat(8_185) + SECRET), redactor({ values: [SECRET] }));
    expect(record.message).not.toContain(SECRET.slice(0, 4));
    expect(record.stack).not.toContain(SECRET);
  });
});

test.each([{ values: ['abc'] }, { values: 'abcd' }, { keys: [''] }, { keys: [1] }])(
  'the option %j is refused, and not shown',
  (options) => {
    const made = (): unknown => redactor(options as never);
    expect(made).toThrow(PawlError);
    expect(made).toThrow(/^redact\.(keys|values): give a list of strings of at least \d characters?s?\.$/);
  },
);
