import { afterEach, describe, expect, test } from 'vitest';
import { NonRetryableError, PawlError, task, workflow } from '../../src/index.ts';
import { testEngine, type TestEngine } from '../../src/testing/index.ts';
import { hook } from '../store/hooks.ts';

const open: TestEngine[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((engine) => engine.close()));
});

let isBroken = true;
let got: unknown[] = [];
const pack = task({
  name: 'pack',
  retry: { maxAttempts: 1 },
  run: (input: { readonly n: number }) => {
    got.push(input.n);
    if (isBroken) throw new NonRetryableError(`no ${input.n}`);
    return input.n;
  },
});
const risky = task({
  name: 'risky',
  effects: 'unsafe',
  run: () => {
    if (isBroken) throw new Error('who knows');
    return 1;
  },
});
const boxes = workflow({ name: 'boxes' }, (w) => {
  const list = w.run('list', {}, () => [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  w.map(list, pack, (n) => ({ n }), { id: 'packs', concurrency: 1 });
});
const pair = workflow({ name: 'pair' }, (w) => {
  w.run(pack, { n: 1 });
  w.run(risky, {});
});
const single = workflow({ name: 'single' }, (w) => {
  w.run(pack, { n: 1 });
});

function engineOf(): TestEngine {
  const engine = testEngine({ use: [boxes, pair, single], logger: { debug() {}, info() {}, warn() {}, error() {} } });
  open.push(engine);
  isBroken = true;
  got = [];
  return engine;
}

async function collect<T>(from: AsyncIterable<T>, most = Infinity): Promise<T[]> {
  const all: T[] = [];
  for await (const one of from) {
    all.push(one);
    if (all.length >= most) break;
  }
  return all;
}

const codeOf = async (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'nothing thrown',
    (error: unknown) => (error instanceof PawlError ? `${error.code}: ${error.message.split('\n', 1)[0]}` : error),
  );

describe('dead letters of one run', () => {
  test('are listed the last to die first, also page by page, as those of all runs are', async () => {
    const engine = engineOf();
    const run = await engine.start(boxes);
    await engine.settle();
    // All died in one virtual instant; item 3 dies once more, later.
    await engine.clock.advance('1m');
    await run.redrive({ task: 'packs', item: 3 });
    await engine.settle();
    const order = [3, 9, 8, 7, 6, 5, 4, 2, 1, 0];
    const { letters } = await engine.dead.list({ run: run.id });
    expect(letters.map(({ item }) => item)).toEqual(order);
    expect((await engine.dead.list()).letters.map(({ item }) => item)).toEqual(order);
    const paged: (number | undefined)[] = [];
    for (let cursor: string | undefined; ;) {
      const page = await engine.dead.list({ run: run.id, limit: 3, ...(cursor === undefined ? {} : { cursor }) });
      paged.push(...page.letters.map(({ item }) => item));
      cursor = page.next;
      if (cursor === undefined) break;
    }
    expect(paged).toEqual(order);
  });
});

describe('a redrive of many dead letters', () => {
  test('with a rate goes evenly, also where all are of one run', async () => {
    const engine = engineOf();
    await engine.start(boxes);
    await engine.settle();
    const beganAt = engine.clock.now().getTime();
    const times: number[] = [];
    const going = (async () => {
      for await (const { letters } of engine.dead.redrive({}, { perSecond: 2 })) {
        for (const _ of letters) times.push(engine.clock.now().getTime() - beganAt);
      }
    })();
    for (let i = 0; i < 24; i++) await engine.clock.advance('250ms');
    await going;
    expect(times).toEqual([0, 500, 1_000, 1_500, 2_000, 2_500, 3_000, 3_500, 4_000, 4_500]);
  });

  test('sends the other letters of a run although one cannot be sent', async () => {
    const engine = engineOf();
    const run = await engine.start(pair);
    await engine.settle();
    const before = await engine.dead.list();
    expect(before.letters.map(({ task: name, reason }) => [name, reason])).toEqual([
      ['risky', 'outcome_unknown'],
      ['pack', 'error'],
    ]);
    isBroken = false;
    const told = await collect(engine.dead.redrive({}));
    expect(told.map(({ letters, report, error }) => [letters.map((one) => one.task), report?.applied, error?.code])).toEqual([
      [['pack'], true, undefined],
      [['risky'], undefined, 'TASK_OUTCOME_UNKNOWN'],
    ]);
    await engine.settle();
    const statuses = (await run.tasks()).map(({ task: name, status }) => [name, status]);
    expect(statuses).toEqual([
      ['pack', 'success'],
      ['risky', 'failed'],
    ]);
    expect((await collect(engine.dead.redrive({}, { acceptUnknown: true }))).map(({ letters }) => letters.length)).toEqual([1]);
  });

  test('with an edit is one act of the run, each letter with its own input; one whose edit fails stays', async () => {
    const engine = engineOf();
    const run = await engine.start(boxes);
    await engine.settle();
    isBroken = false;
    got = [];
    let loads = 0;
    const store = await engine.storeOf;
    const load = store.load.bind(store);
    store.load = async (...args) => {
      loads++;
      return load(...args);
    };
    const edit = (input: unknown, { item }: { readonly item?: number }): unknown => {
      if (item === 3) throw new Error('not this one');
      if (item === 4) return undefined;
      return { n: (input as { n: number }).n + 100 };
    };
    const told = await collect(engine.dead.redrive({}, { edit }));
    // To edit, to decide, to write, each without the items and with them; not once for each letter.
    expect(loads).toBeLessThanOrEqual(8);
    store.load = load;
    expect(told.map(({ letters, error }) => [letters.map(({ item }) => item), error?.message])).toEqual([
      [[3], `${run.id}/packs[3]: the edit threw: Error: not this one`],
      [[9, 8, 7, 6, 5, 2, 1, 0], undefined],
      [[4], 'The input of "packs" may not be undefined: leave it out to keep what it has.'],
    ]);
    await engine.settle();
    expect(new Set(got)).toEqual(new Set([100, 101, 102, 105, 106, 107, 108, 109]));
    expect((await engine.audit()).entries.map(({ action, facts }) => [action, facts])).toEqual([
      ['redrive', { letters: [['packs', 9, 8, 7, 6, 5, 2, 1, 0]] }],
    ]);
  });

  test('takes the letters of a run together, although those of others died between them', async () => {
    const engine = engineOf();
    const one = await engine.start(boxes);
    const two = await engine.start(boxes);
    await engine.settle();
    for (const [run, item] of [one, two, one, two].map((run, i) => [run, i] as const)) {
      await engine.clock.advance('1s');
      await run.redrive({ task: 'packs', item });
      await engine.settle();
    }
    const told = await collect(engine.dead.redrive({}));
    expect(told.map(({ runId, letters }) => [runId, letters.length])).toEqual([
      [two.id, 10],
      [one.id, 10],
    ]);
  });

  test('with a request id goes on where it stopped: within its limit, and not with what died again', async () => {
    const engine = engineOf();
    const ids: string[] = [];
    for (let i = 0; i < 6; i++) {
      ids.push((await engine.start(single)).id);
      await engine.clock.advance('1s');
    }
    const options = { requestId: 'r1', limit: 4 };
    const first = await collect(engine.dead.redrive({}, options), 2);
    await engine.settle();
    await engine.clock.advance('1s');
    // A new death after it began is none of it.
    const later = await engine.start(single);
    await engine.settle();
    const rest = await collect(engine.dead.redrive({}, options));
    await engine.settle();
    const sent = [...first, ...rest].map(({ runId }) => runId);
    expect(sent).toEqual([5, 4, 3, 2].map((i) => ids[i]));
    expect(sent).not.toContain(later.id);
    expect(await collect(engine.dead.redrive({}, options))).toEqual([]);
    expect((await engine.audit()).entries.map(({ requestId }) => requestId)).toEqual(['r1#3', 'r1#2', 'r1#1', 'r1#0']);
  });

  test('refuses a limit, a rate or an item that is none', async () => {
    const engine = engineOf();
    for (const limit of [0, -1, 1.5, NaN, '5']) {
      expect(await codeOf(collect(engine.dead.redrive({}, { limit: limit as number })))).toMatch(/^CONFIG_OPTION: limit: must be a whole/);
    }
    for (const perSecond of [0, -1, NaN, '5', null])
      expect(await codeOf(collect(engine.dead.redrive({}, { perSecond: perSecond as number })))).toMatch(/^CONFIG_OPTION: perSecond: /);
    for (const item of [-1, 1.5, '1']) {
      expect(await codeOf(collect(engine.dead.redrive({}, { item: item as number })))).toMatch(/^CONFIG_OPTION: item: /);
    }
  });
});

test('a redrive with the input undefined is refused, not done without it', async () => {
  const engine = engineOf();
  const run = await engine.start(single);
  await engine.settle();
  expect(await codeOf(run.redrive({ task: 'pack', input: undefined }))).toMatch(
    /^TASK_INPUT_INVALID: The input of "pack" may not be undefined/,
  );
  expect(got).toHaveLength(1);
});

test('a run of many letters that go at a rate is looked at once, beside what each commit has to know', async () => {
  const engine = engineOf();
  const run = await engine.start(boxes);
  await engine.settle();
  isBroken = false;
  let loads = 0;
  const stop = hook({
    onRun: (sql, next) => {
      if (/item >= 0 AND status >= 5 ORDER BY item/.test(sql)) loads++;
      return next();
    },
  });
  try {
    const sent = collect(engine.dead.redrive({}, { perSecond: 5 }));
    await engine.clock.advance('1m');
    expect((await sent).map(({ letters, error }) => [letters.length, error])).toEqual(Array.from({ length: 10 }, () => [1, undefined]));
    // The run ends after each letter, and each next one opens it again.
    expect(loads).toBe(11);
    expect((await run.status()).status).toBe('success');
  } finally {
    stop();
  }
});

test('a letter that somebody else has sent on meanwhile is refused alone, whatever was seen of its run', async () => {
  const engine = engineOf();
  const run = await engine.start(boxes);
  await engine.settle();
  isBroken = false;
  const sent: unknown[] = [];
  const going = (async () => {
    for await (const { letters, error } of engine.dead.redrive({}, { perSecond: 1 })) sent.push([letters[0]?.item, error?.code]);
  })();
  await engine.settle();
  const last = (await engine.dead.list()).letters.at(-1)?.item ?? -1;
  await run.redrive({ task: 'packs', item: last });
  await engine.clock.advance('1m');
  await going;
  expect(sent).toHaveLength(10);
  expect(sent.filter((one) => (one as unknown[])[1] !== undefined)).toEqual([[last, 'TASK_NOT_DEAD']]);
  expect((await run.status()).status).toBe('success');
});
