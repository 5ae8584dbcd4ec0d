import { type } from 'arktype';
import * as v from 'valibot';
import { describe, expect, expectTypeOf, test } from 'vitest';
import { z } from 'zod';
import { isSchema, jsonSchemaOf, validate } from './schema.ts';
import type { Schema, SIn, SOut } from './schema.ts';

const zodOrder = z.object({ id: z.string(), lines: z.array(z.object({ at: z.number() })) });
const valibotOrder = v.object({ id: v.string(), lines: v.array(v.object({ at: v.number() })) });
const arktypeOrder = type({ id: 'string', lines: type({ at: 'number' }).array() });
const libraries: [string, Schema][] = [
  ['zod', zodOrder],
  ['valibot', valibotOrder],
  ['arktype', arktypeOrder],
];

function custom(validator: (value: unknown) => unknown): Schema {
  return { '~standard': { version: 1, vendor: 'test', validate: validator } };
}

describe.each(libraries)('a schema of %s', (_library, schema) => {
  test('is one', () => {
    expect(isSchema(schema)).toBe(true);
  });

  test('lets a good value through, at once', () => {
    const value = { id: 'o-1', lines: [{ at: 1 }] };
    expect(validate(schema, value)).toEqual({ ok: true, value });
  });

  test('names the path of what is wrong, at once', () => {
    const result = validate(schema, { id: 'o-1', lines: [{ at: 1 }, { at: 'x' }] });
    expect(result).toMatchObject({ ok: false, issues: [{ path: 'lines[1].at', message: expect.stringContaining('number') }] });
  });

  test('has an empty path for the whole value', () => {
    expect(validate(schema, 'text')).toMatchObject({ ok: false, issues: [{ path: '' }] });
  });
});

test('types say what goes in and what comes out', () => {
  const schema = z.object({ n: z.string().transform(Number), d: z.number().default(1) });
  expectTypeOf<SIn<typeof schema>>().toEqualTypeOf<{ n: string; d?: number | undefined }>();
  expectTypeOf<SOut<typeof schema>>().toEqualTypeOf<{ n: number; d: number }>();
  expectTypeOf<SOut<typeof valibotOrder>>().toEqualTypeOf<{ id: string; lines: { at: number }[] }>();
  expectTypeOf<SOut<typeof arktypeOrder>>().toEqualTypeOf<{ id: string; lines: { at: number }[] }>();
  expectTypeOf<SIn<Schema<string, Date>>>().toEqualTypeOf<string>();
  expectTypeOf<SOut<Schema<string, Date>>>().toEqualTypeOf<Date>();
  expect(validate(schema, { n: '4' })).toEqual({ ok: true, value: { n: 4, d: 1 } });
});

describe('validate', () => {
  test('waits for a schema that needs to', async () => {
    const even = z.number().refine((n) => Promise.resolve(n % 2 === 0), 'odd');
    const bad = validate(even, 3);
    expect(bad).toBeInstanceOf(Promise);
    expect(await bad).toEqual({ ok: false, issues: [{ path: '', message: 'odd' }] });
    expect(await validate(even, 4)).toEqual({ ok: true, value: 4 });
  });

  test('makes an issue of a validator that throws or rejects', async () => {
    const throws = custom(() => {
      throw new Error('boom\0');
    });
    expect(validate(throws, 1)).toEqual({ ok: false, issues: [{ path: '', message: 'the schema threw: boom\u2400' }] });
    const rejects = custom(() => Promise.reject(new Error('later')));
    expect(await validate(rejects, 1)).toEqual({ ok: false, issues: [{ path: '', message: 'the schema threw: later' }] });
  });

  test.each([[null], [undefined], ['yes'], [{ issues: [] }], [{ issues: 'many' }]])('takes the answer %j for no', (answer) => {
    expect(
      validate(
        custom(() => answer),
        1,
      ),
    ).toMatchObject({ ok: false, issues: [{ path: '', message: expect.any(String) }] });
  });

  test('reads every form of a path', () => {
    const issues = [
      { message: 'm', path: ['a', 0, { key: 'b c' }, { key: 2 }, '__proto__'] },
      { message: 'm', path: [Symbol('s')] },
      { message: 'm' },
      { message: 3, path: 'x' },
      null,
    ];
    expect(
      validate(
        custom(() => ({ issues })),
        1,
      ),
    ).toEqual({
      ok: false,
      issues: [
        { path: 'a[0]["b c"][2].__proto__', message: 'm' },
        { path: '["Symbol(s)"]', message: 'm' },
        { path: '', message: 'm' },
        { path: '', message: 'invalid' },
        { path: '', message: 'invalid' },
      ],
    });
  });

  test('gives a hundred issues at most', () => {
    const result = validate(z.array(z.number()), Array.from({ length: 500 }, String));
    expect(result).toMatchObject({ ok: false, issues: { length: 100 } });
  });
});

describe('isSchema', () => {
  const throws = Object.defineProperty({}, '~standard', {
    get() {
      throw new Error('no');
    },
  });
  test.each([
    [null],
    [undefined],
    [1],
    ['s'],
    [{}],
    [() => 1],
    [{ '~standard': null }],
    [{ '~standard': { version: 2, validate() {} } }],
    [throws],
  ])('says no to case %#', (value) => {
    expect(isSchema(value)).toBe(false);
  });
});

describe('jsonSchemaOf', () => {
  test.each([['zod', zodOrder] as const, ['arktype', arktypeOrder] as const])('gives the one of %s', (_library, schema) => {
    expect(jsonSchemaOf(schema)).toMatchObject({
      type: 'object',
      properties: { id: { type: 'string' }, lines: { type: 'array', items: { properties: { at: { type: 'number' } } } } },
    });
  });

  test('tells the two sides of a transform apart', () => {
    const schema = z.object({ n: z.number().default(1) });
    expect(jsonSchemaOf(schema, 'input')).not.toHaveProperty('required');
    expect(jsonSchemaOf(schema, 'output')).toHaveProperty('required', ['n']);
  });

  test('has none where the library gives none, or none for this schema', () => {
    expect(jsonSchemaOf(valibotOrder)).toBeUndefined();
    expect(jsonSchemaOf(z.date())).toBeUndefined();
    expect(jsonSchemaOf(z.object({ at: z.date() }))).toBeUndefined();
    expect(jsonSchemaOf(type({ at: 'Date' }))).toMatchObject({ properties: { at: {} } });
    expect(jsonSchemaOf(undefined)).toBeUndefined();
    expect(jsonSchemaOf({ '~standard': { jsonSchema: { input: () => 1n } } })).toBeUndefined();
  });

  test('takes draft 7 where 2020-12 is not to be had', () => {
    const input = ({ target }: { target: string }) => {
      if (target !== 'draft-07') throw new Error('unsupported');
      return { type: 'string' };
    };
    expect(jsonSchemaOf({ '~standard': { jsonSchema: { input } } })).toEqual({ type: 'string' });
  });

  test('hands a remote $ref on as data', () => {
    const schema = { '~standard': { jsonSchema: { input: () => ({ $ref: 'http://evil.example/x.json' }) } } };
    expect(jsonSchemaOf(schema)).toEqual({ $ref: 'http://evil.example/x.json' });
  });
});
