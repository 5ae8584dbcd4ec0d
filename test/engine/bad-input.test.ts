import { afterEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { createEngine, PawlError, task, workflow } from '../../src/index.ts';
import { testEngine, type TestEngine } from '../../src/testing/index.ts';

const open: TestEngine[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((engine) => engine.close()));
});

/** Runs a workflow of one task beside a healthy one on the same engine: how the one ended, after the other has succeeded. */
async function outcomeOf(
  body: () => unknown,
): Promise<{ status: string; reason?: string; error?: { code: string; message: string } } | undefined> {
  const bad = workflow({ name: 'bad' }, (w) => {
    w.run('it', {}, body as () => number, { retry: { maxAttempts: 1 } });
    return {};
  });
  const fine = workflow({ name: 'fine' }, (w) => ({ n: w.run('n', {}, () => 1) }));
  const engine = testEngine({ use: [bad, fine], maxPayload: 1_048_576 });
  open.push(engine);
  const run = await engine.start(bad);
  await run.result().catch(() => undefined);
  expect(await (await engine.start(fine)).result()).toEqual({ n: 1 });
  const [it] = await run.tasks();
  return it;
}

const cyclic = (): unknown => {
  const a: Record<string, unknown> = { deep: {} };
  (a['deep'] as Record<string, unknown>)['again'] = a;
  return a;
};

const circularCause = (): Error => {
  const error = new Error('outer');
  error.cause = new Error('inner', { cause: error });
  return error;
};

describe('what a body gives that cannot be recorded fails its task, with the path', () => {
  const getter = {
    get boom(): never {
      throw new Error('no');
    },
  };
  test.each<[string, unknown, string, RegExp]>([
    ['a function', { f: () => 1 }, 'not_storable', /output\.f/],
    ['a symbol', { a: [Symbol('x')] }, 'not_storable', /output\.a\[0\]/],
    ['a cyclic value', cyclic(), 'not_storable', /output\.deep\.again.*cyclic/],
    ['a getter that throws', getter, 'not_storable', /output\.boom/],
    ['a class instance', { m: new (class Model {})() }, 'not_storable', /output\.m/],
    ['NaN', { n: Number.NaN }, 'not_storable', /output\.n/],
    ['NUL in a string', { s: 'a\0b' }, 'not_storable', /output\.s/],
    ['a lone surrogate', { s: '\ud800' }, 'not_storable', /output\.s/],
    ['65 levels', Array.from({ length: 70 }).reduce((value) => ({ value }), 1), 'not_storable', /deeper than 64/],
    ['50 MB', 'x'.repeat(50_000_000), 'output_too_large', /bytes/],
  ])('%s', async (_, value, reason, message) => {
    const it = await outcomeOf(() => value);
    expect(it).toMatchObject({ status: 'failed', reason });
    expect(it?.error?.message).toMatch(message);
  });

  test('keys such as __proto__ and constructor come back as they were', async () => {
    const text = '{"__proto__":{"polluted":true},"constructor":1,"toString":null}';
    const w1 = workflow({ name: 'w1' }, (w) => ({ v: w.run('v', {}, () => JSON.parse(text) as { constructor: number }) }));
    const engine = testEngine({ use: [w1] });
    open.push(engine);
    const { v } = await (await engine.start(w1)).result();
    expect(JSON.stringify(v)).toBe(text);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });
});

describe('what a body throws becomes data', () => {
  test.each<[string, unknown, string | RegExp]>([
    ['a string', 'just text', 'thrown: just text'],
    ['null', null, 'thrown: null'],
    ['undefined', undefined, 'thrown: undefined'],
    ['an error with a circular cause', circularCause(), 'outer'],
    ['an object whose message throws', Object.defineProperty({}, 'message', { get: () => cyclic() }), /thrown/],
    ['a revoked proxy', revoked(), /./],
  ])('%s', async (_, thrown, message) => {
    const it = await outcomeOf(() => {
      throw thrown;
    });
    expect(it).toMatchObject({ status: 'failed', reason: 'error' });
    expect(it?.error?.message).toMatch(message);
  });
});

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

describe('start refuses', () => {
  const typed = workflow({ name: 'typed', input: z.object({ id: z.string() }) }, (w, input) => ({
    id: w.run('id', { id: input.id }, ({ id }) => id),
  }));
  const engine = (): TestEngine => {
    const one = testEngine({ use: [typed] });
    open.push(one);
    return one;
  };

  test.each<[string, unknown, string, RegExp]>([
    ['a wrong type', { id: 5 }, 'RUN_INPUT_INVALID', /input\.id/],
    ['a function', { id: () => 1 }, 'PAYLOAD_NOT_STORABLE', /input\.id/],
    ['NUL', { id: 'a\0' }, 'PAYLOAD_NOT_STORABLE', /input\.id/],
    ['two megabytes', { id: 'x'.repeat(2_000_000) }, 'PAYLOAD_TOO_LARGE', /input/],
  ])('%s', async (_, input, code, message) => {
    await expect(engine().start(typed, input as { id: string })).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message) as string,
    });
  });

  test.each<[string, object]>([
    ['an empty key', { key: '' }],
    ['a key that is no string', { key: 5 }],
    ['a priority that is no whole number', { priority: 0.5 }],
    ['tags that are no strings', { tags: [5] }],
    ['an invalid date', { startAt: new Date(Number.NaN) }],
  ])('%s', async (_, options) => {
    await expect(engine().start(typed, { id: 'a' }, options)).rejects.toBeInstanceOf(PawlError);
  });

  test('an unknown workflow and an unknown run', async () => {
    const other = workflow({ name: 'other' }, () => ({}));
    await expect(engine().start(other)).rejects.toMatchObject({ code: 'RUN_UNKNOWN_WORKFLOW' });
    for (const id of ['', 'x', '0'.repeat(26), '../../etc/passwd', "' OR 1=1"])
      await expect(engine().get(id)).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' });
  });
});

describe('createEngine refuses', () => {
  test.each<[string, object, string]>([
    ['a store it does not know', { store: 'mysql://x' }, 'CONFIG_STORE'],
    ['a lease that is no duration', { lease: 'soon' }, 'CONFIG_DURATION'],
    ['a negative grace', { grace: -1 }, 'CONFIG_DURATION'],
    ['no slots', { concurrency: 0 }, 'CONFIG_OPTION'],
    ['a payload beyond 64 MiB', { maxPayload: 70_000_000 }, 'CONFIG_OPTION'],
    ['another durability', { durability: 'none' }, 'CONFIG_OPTION'],
  ])('%s', (_, options, code) => {
    expect(() => createEngine({ store: 'sqlite::memory:', use: [], ...(options as { store?: string }) })).toThrow(
      expect.objectContaining({ code }) as Error,
    );
  });

  test('two workflows of one name, two bodies of one task', () => {
    const one = workflow({ name: 'same' }, () => ({ n: 1 }));
    const two = workflow({ name: 'same' }, () => ({ n: 2 }));
    expect(() => createEngine({ store: 'sqlite::memory:', use: [one, two] })).toThrow(
      expect.objectContaining({ code: 'CONFIG_DUPLICATE' }) as Error,
    );
    const contract = task({ name: 't', input: z.object({}), output: z.number() });
    const use = [contract.implement(() => 1), contract.implement(() => 2)];
    expect(() => createEngine({ store: 'sqlite::memory:', use })).toThrow(expect.objectContaining({ code: 'CONFIG_DUPLICATE' }) as Error);
  });
});

describe('graph data', () => {
  test('with a cycle, an unknown id and an unknown join is refused with all problems at once', () => {
    const body = (): number => 1;
    const build = (): unknown =>
      workflow.fromGraph({
        name: 'g',
        tasks: [
          { id: 'a', run: body, after: ['b'] },
          { id: 'b', run: body, after: ['a'] },
          { id: 'c', run: body, after: ['nobody'] },
          { id: 'c', run: body, join: 'sometimes' as 'all_done' },
        ],
      });
    expect(build).toThrow(
      expect.objectContaining({ code: 'BUILD_INVALID', message: expect.stringMatching(/a → b → a/) as string }) as Error,
    );
    try {
      build();
    } catch (error) {
      const codes = ((error as PawlError).details['problems'] as { code: string }[]).map((problem) => problem.code);
      expect(codes).toEqual(expect.arrayContaining(['cycle', 'unknown_id', 'duplicate_id', 'unknown_join']));
    }
  });
});
