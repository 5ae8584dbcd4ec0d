import fc from 'fast-check';
import { z } from 'zod';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createEngine, NonRetryableError, PawlError, signal, task, workflow, type Engine, type Run } from '../../src/index.ts';
import { testEngine } from '../../src/testing/index.ts';
import { silent } from './kit.ts';

/** Whatever a caller gives, a method answers with its result or with a PawlError, soon, and does not take what it does not know. */
const fails = task({
  name: 'fails',
  retry: { maxAttempts: 1 },
  run: (): number => {
    throw new NonRetryableError('no');
  },
});
const flow = workflow({ name: 'flow' }, (w) => w.run(fails, {}));

const news = signal('news', z.number());

let engine: Engine;
let run: Run<unknown>;
beforeAll(async () => {
  engine = createEngine({ store: 'sqlite::memory:', use: [flow, news], logger: silent });
  await engine.work({ drainOn: [] });
  run = await engine.start(flow);
  await run.result().catch(() => undefined);
});
afterAll(() => engine.close());

type Call = (...args: never[]) => unknown;

/** One call of each method that is good, with what may be given to it. */
const methods: Readonly<Record<string, { readonly call: () => Call; readonly good: readonly unknown[]; readonly options?: number }>> = {
  start: { call: () => engine.start.bind(engine), good: [flow, undefined, {}], options: 2 },
  startMany: { call: () => engine.startMany.bind(engine), good: [flow, []] },
  send: { call: () => engine.send.bind(engine), good: ['news', { key: 'k', data: 1 }], options: 1 },
  get: { call: () => engine.get.bind(engine), good: ['x'] },
  'runs.list': { call: () => engine.runs.list, good: [{}], options: 0 },
  'runs.find': { call: () => engine.runs.find, good: ['x', {}], options: 1 },
  'dead.list': { call: () => engine.dead.list, good: [{}], options: 0 },
  'dead.count': { call: () => engine.dead.count, good: [{}], options: 0 },
  'dead.get': { call: () => engine.dead.get, good: ['x'] },
  'dead.redrive': { call: () => engine.dead.redrive, good: [{}, { dryRun: true }], options: 1 },
  'dead.redrive of a query': { call: () => engine.dead.redrive, good: [{}, { dryRun: true }], options: 0 },
  'quarantine.retry': { call: () => engine.quarantine.retry, good: ['x', {}], options: 1 },
  'quarantine.fail': { call: () => engine.quarantine.fail, good: ['x', {}], options: 1 },
  'runs.move': { call: () => engine.runs.move, good: [{ tag: 'none' }, { to: '1', dryRun: true }], options: 1 },
  'limits.set': { call: () => engine.limits.set, good: ['some', 5, {}], options: 2 },
  'limits.clear': { call: () => engine.limits.clear, good: ['some', {}], options: 1 },
  'queues.pause': { call: () => engine.queues.pause, good: ['some'] },
  'queues.resume': { call: () => engine.queues.resume, good: ['some'] },
  'workflows.pause': { call: () => engine.workflows.pause, good: ['some'] },
  'workflows.resume': { call: () => engine.workflows.resume, good: ['some'] },
  'schedules.get': { call: () => engine.schedules.get, good: ['some'] },
  'schedules.next': { call: () => engine.schedules.next, good: ['some', 5] },
  'schedules.history': { call: () => engine.schedules.history, good: ['some', {}], options: 1 },
  'schedules.pause': { call: () => engine.schedules.pause, good: ['some', {}], options: 1 },
  'schedules.resume': { call: () => engine.schedules.resume, good: ['some'] },
  'schedules.delete': { call: () => engine.schedules.delete, good: ['some'] },
  'schedules.trigger': { call: () => engine.schedules.trigger, good: ['some'] },
  'schedules.backfill': { call: () => engine.schedules.backfill, good: ['some', {}], options: 1 },
  'schedules.create': { call: () => engine.schedules.create, good: [{}] },
  'schedules.backfill.preview': { call: () => engine.schedules.backfill.preview, good: ['some', {}] },
  'schedules.backfill.list': { call: () => engine.schedules.backfill.list, good: ['some'] },
  'schedules.backfill.cancel': { call: () => engine.schedules.backfill.cancel, good: [1] },
  audit: { call: () => engine.audit.bind(engine), good: [{}], options: 0 },
  watch: { call: () => engine.watch.bind(engine), good: [{ signal: AbortSignal.abort() }], options: 0 },
  prune: { call: () => engine.prune.bind(engine), good: [{ dryRun: true }], options: 0 },
  exportRun: { call: () => engine.exportRun.bind(engine), good: ['x'] },
  importRun: { call: () => engine.importRun.bind(engine), good: [{}] },
  doctor: { call: () => engine.doctor.bind(engine), good: [{}], options: 0 },
  work: { call: () => engine.work.bind(engine), good: [{ drainOn: [] }], options: 0 },
  'run.result': { call: () => run.result.bind(run), good: [{}], options: 0 },
  'run.inspect': { call: () => run.inspect.bind(run), good: [{}], options: 0 },
  'run.tasks': { call: () => run.tasks.bind(run), good: [{}], options: 0 },
  'run.output': { call: () => run.output.bind(run), good: ['fails'] },
  'run.why': { call: () => run.why.bind(run), good: ['fails', 0] },
  'run.cancel': { call: () => run.cancel.bind(run), good: [{}], options: 0 },
  'run.redrive': { call: () => run.redrive.bind(run), good: [{ dryRun: true }], options: 0 },
  'run.rerun': { call: () => run.rerun.bind(run), good: ['fails', { dryRun: true }], options: 1 },
  'run.mark': { call: () => run.mark.bind(run), good: ['fails', { dryRun: true }], options: 1 },
  'run.skip': { call: () => run.skip.bind(run), good: ['fails', {}], options: 1 },
  'run.discard': { call: () => run.discard.bind(run), good: ['nobody', { note: 'x' }], options: 1 },
  'run.pause': { call: () => run.pause.bind(run), good: [{}], options: 0 },
  'run.resume': { call: () => run.resume.bind(run), good: [{}], options: 0 },
  'run.markFailed': { call: () => run.markFailed.bind(run), good: [{}], options: 0 },
  'run.move': { call: () => run.move.bind(run), good: [{ to: '1', dryRun: true }], options: 0 },
  'run.fork': { call: () => run.fork.bind(run), good: ['nobody', {}], options: 1 },
  'run.previewFork': { call: () => run.previewFork.bind(run), good: ['fails'] },
  'run.restart': { call: () => run.restart.bind(run), good: [{}], options: 0 },
  'run.release': { call: () => run.release.bind(run), good: [{}], options: 0 },
  'run.watch': { call: () => run.watch.bind(run), good: [{ signal: AbortSignal.abort() }], options: 0 },
  'run.logs': { call: () => run.logs.bind(run), good: [{}], options: 0 },
  'run.followLogs': { call: () => run.followLogs.bind(run), good: [{ signal: AbortSignal.abort() }], options: 0 },
};
/** What takes nothing, or ends the engine; `backup` would write files of any name. */
const elsewhere = [
  'close',
  'workers',
  'quarantine.list',
  'limits.list',
  'schedules.list',
  'queues.list',
  'workflows.list',
  'checkVersions',
  'backup',
  'run.status',
  'run.graph',
  'registered',
];

const NONSENSE: readonly unknown[] = [
  null,
  5,
  -1,
  0.5,
  NaN,
  Infinity,
  1n,
  '',
  'x',
  '\ud800',
  '\0',
  'x'.repeat(3_000),
  true,
  false,
  [],
  [null],
  [5],
  {},
  Object.create(null),
  () => 1,
  Symbol('s'),
  new Date(NaN),
  new Map(),

  { name: 5 },
  { id: 'x' },
];

/** How it ended: what was given back, the error's code, or what is not allowed. */
async function answer(call: Call, args: readonly unknown[]): Promise<string> {
  const timer = new Promise<string>((resolve) => void setTimeout(() => resolve('NOTHING for 2 s'), 2_000).unref());
  const ending = (async () => {
    try {
      const given: unknown = (call as (...all: readonly unknown[]) => unknown)(...args);
      if (typeof given === 'object' && given !== null && Symbol.asyncIterator in given) {
        for await (const _ of given as AsyncIterable<unknown>) break;
      } else await given;
      return 'ok';
    } catch (error) {
      return error instanceof PawlError ? error.code : `THREW ${String(error)}`;
    }
  })();
  return Promise.race([ending, timer]);
}
const isFine = (what: string): boolean => /^[A-Z_]+$/.test(what) || what === 'ok';

test('every method of an engine and of a run is here', () => {
  const own = (value: object): string[] =>
    Object.getOwnPropertyNames(Object.getPrototypeOf(value)).filter((name) => name !== 'constructor' && !name.startsWith('_'));
  const grouped = (['runs', 'dead', 'quarantine', 'limits', 'queues', 'workflows', 'schedules'] as const).flatMap((group) =>
    Object.keys(engine[group]).map((name) => `${group}.${name}`),
  );
  const internal = [
    'client',
    'acts',
    'explainer',
    'handle',
    'answers',
    'letters',
    'resultOf',
    'redriveAll',
    'watchRun',
    'moveAll',
    'versions',
    'capacity',
    'scheduleClient',
    'pulse',
    'examine',
    'run.id',
  ];
  const all = [...own(engine), ...grouped, ...own(run).map((name) => `run.${name}`)].filter((name) => !internal.includes(name));
  expect(all.filter((name) => !(name in methods) && !elsewhere.includes(name))).toEqual([]);
});

test.each(Object.keys(methods))('%s answers nonsense in any place', { timeout: 30_000 }, async (name) => {
  const { call, good } = methods[name] ?? expect.fail();
  const wrong: string[] = [];
  for (let at = 0; at < good.length; at++) {
    for (const value of NONSENSE) {
      // To watch without a signal is to wait for what happens.
      if (name === 'watch' && typeof value === 'object' && value !== null && Object.keys(value).length === 0) continue;
      const said = await answer(call(), good.with(at, value));
      if (!isFine(said))
        wrong.push(
          `argument ${at}, ${typeof value} ${JSON.stringify(value, (_, v: unknown) => (typeof v === 'bigint' ? String(v) : v))}: ${said}`,
        );
    }
  }
  expect(wrong).toEqual([]);
});

test.each(Object.entries(methods).flatMap(([name, { options }]) => (options === undefined ? [] : [[name, options] as const])))(
  '%s refuses options that it does not have, and options that are no object',
  async (name, at) => {
    const { call, good } = methods[name] ?? expect.fail();
    const given = good[at] as object;
    for (const value of [{ ...given, nonsens: 1 }, { ...given, [String(Symbol('x'))]: undefined }, null, 5, 'x', [], () => 1]) {
      const said = await answer(call(), good.with(at, value));
      expect([typeof value, said]).toEqual([typeof value, 'CONFIG_OPTION']);
    }
    const thrown = await Promise.resolve()
      .then(async () => {
        const result = (call() as (...all: unknown[]) => unknown)(...good.with(at, { ...given, nonsens: 1 }));
        if (typeof result === 'object' && result !== null && Symbol.asyncIterator in result)
          for await (const _ of result as AsyncIterable<unknown>) break;
        return result;
      })
      .catch((error: unknown) => error);
    expect(String(thrown)).toContain('"nonsens"');
  },
);

test('any value for any option of any method is taken or refused', { timeout: 60_000 }, async () => {
  const keys = [
    'key',
    'delay',
    'startAt',
    'priority',
    'tags',
    'traceparent',
    'limit',
    'cursor',
    'since',
    'status',
    'task',
    'item',
    'keep',
    'note',
    'actor',
    'requestId',
    'timeout',
    'after',
    'types',
    'level',
    'attempt',
    'workflow',
    'run',
    'code',
    'olderThan',
    'journal',
    'perSecond',
    'items',
  ];
  const withOptions = Object.entries(methods).filter(([, { options }]) => options !== undefined);
  const value = fc.oneof(fc.anything({ withBigInt: true, withDate: true, maxDepth: 2 }), fc.constantFrom(...NONSENSE));
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...withOptions),
      fc.constantFrom(...keys),
      value,
      async ([, { call, good, options = 0 }], key, given) => {
        const said = await answer(call(), good.with(options, { ...(good[options] as object), [key]: given }));
        expect(said).toSatisfy(isFine);
      },
    ),
    { numRuns: 1_500 },
  );
});

test('options of a start are checked by their values too', async () => {
  for (const options of [
    { key: { value: 'a', onDuplicate: 'explode' } },
    { key: { value: 'a', fro: 'open' } },
    { traceparent: 5 },
    { retry: 1 },
  ])
    expect(await answer(engine.start.bind(engine), [flow, undefined, options])).toBe('CONFIG_OPTION');
  expect(await answer(engine.work.bind(engine), [{ drainOn: ['SIGFOO'] }])).toBe('CONFIG_OPTION');
});

test('an engine is not made of nonsense', () => {
  const said = (make: () => unknown): string => {
    try {
      make();
      return 'ok';
    } catch (error) {
      return error instanceof PawlError ? error.code : `THREW ${String(error)}`;
    }
  };
  const names = [
    'store',
    'use',
    'durability',
    'access',
    'retention',
    'concurrency',
    'lease',
    'sweep',
    'grace',
    'drain',
    'maxPayload',
    'maxLost',
    'logger',
    'logLines',
    'redact',
    'onEvent',
    'onProgress',
  ];
  const good = { store: 'sqlite::memory:', use: [flow] };
  for (const value of NONSENSE) {
    for (const name of names)
      expect([name, value, said(() => createEngine({ ...good, [name]: value }))]).toSatisfy((all: unknown[]) => isFine(String(all[2])));
    for (const name of names.slice(4))
      expect([name, value, said(() => testEngine({ use: [flow], [name]: value }))]).toSatisfy((all: unknown[]) => isFine(String(all[2])));
    for (const use of [[value], [flow, value]])
      expect([value, said(() => createEngine({ ...good, use } as never))]).toSatisfy((all: unknown[]) => isFine(String(all[1])));
    if (typeof value !== 'object' || value === null) expect(said(() => createEngine(value as never))).toBe('CONFIG_OPTION');
    for (const make of [task, workflow, signal]) {
      expect(said(() => (make as Call)(value as never))).toSatisfy(isFine);
      expect(said(() => (make as Call)({ name: 'x' } as never, value as never))).toSatisfy(isFine);
    }
  }
  expect(said(() => createEngine({ ...good, concurency: 5 } as never))).toBe('CONFIG_OPTION');
  expect(said(() => testEngine({ use: [flow], store: 'sqlite::memory:' } as never))).toBe('CONFIG_OPTION');
});
