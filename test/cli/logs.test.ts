import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createEngine, task, workflow, type Run } from '../../src/index.ts';
import { width } from '../../src/cli/text.ts';
import { silent } from '../engine/kit.ts';
import { normal, pawl, Place } from './kit.ts';

const load = task({
  name: 'load',
  retry: { maxAttempts: 2, initial: '1ms' },
  run: (_: unknown, ctx) => {
    ctx.log.debug('looking', { table: 'orders' });
    ctx.log.info('read\n\u001b[31mred', { rows: 3, by: 'the two of us', from: { host: 'db-1' } });
    if (ctx.attempt === 1) throw new Error('gone');
    return [1, 2];
  },
});
const pack = task({ name: 'pack', run: ({ n }: { n: number }, ctx) => ctx.log.warn(`${n} ${'is heavy '.repeat(20)}`, { n }) });
const order = workflow({ name: 'order' }, (w) => w.map(w.run(load, {}), pack, (n) => ({ n }), { concurrency: 1 }));

/** A body that goes on when it is told to. */
const gate = Promise.withResolvers<void>();
const slow = workflow({ name: 'slow' }, (w) =>
  w.run('step', {}, async (_, ctx) => {
    ctx.log.info('begun');
    await gate.promise;
    ctx.log.info('went on');
  }),
);
const silentOne = workflow({ name: 'silent' }, (w) => w.run('a', {}, () => 0));

let place: Place;
let run: Run<unknown>;
beforeAll(async () => {
  place = new Place();
  const engine = createEngine({ store: place.store, use: [order, silentOne], durability: 'fast', logger: silent });
  await engine.work();
  run = await engine.start(order);
  await run.result();
  await (await engine.start(silentOne, undefined, { key: 'silent' })).result();
  await engine.close();
});
afterAll(() => place.remove());

const shown = async (...argv: string[]): Promise<string> => {
  const { exit, stdout, stderr } = await pawl(place, ['logs', ...argv]);
  return normal(`${stdout}${stderr}exit ${exit}\n`);
};
const clocks = (text: string): string => text.replace(/^\d\d:\d\d:\d\d\.\d{3}/gm, '<clock>');

describe('logs', () => {
  test('in a pipe are plain lines, whole, with instants', async () => {
    expect(await shown(run.id, 'load')).toMatchInlineSnapshot(`
      "<at> load attempt 1 DEBUG looking table=orders
      <at> load attempt 1 INFO read\\n\\x1b[31mred rows=3 by="the two of us" from={"host":"db-1"}
      <at> load attempt 2 DEBUG looking table=orders
      <at> load attempt 2 INFO read\\n\\x1b[31mred rows=3 by="the two of us" from={"host":"db-1"}
      exit 0
      "
    `);
    expect((await pawl(place, ['logs', run.id, 'pack'])).stdout).toContain('is heavy is heavy  n=1\n');
  });

  test('on a terminal fit it, have colours by level, and end with the next command', async () => {
    const terminal = { columns: 70, rows: 10 };
    const { stdout } = await pawl(place, ['logs', run.id], { terminal, env: { NO_COLOR: '1' } });
    expect(normal(clocks(stdout))).toMatchInlineSnapshot(`
      "<clock> load DEBUG looking table=orders
      <clock> load INFO read\\n\\x1b[31mred rows=3 by="the two of us" fr…
      <clock> load attempt 2 DEBUG looking table=orders
      <clock> load attempt 2 INFO read\\n\\x1b[31mred rows=3 by="the two…
      <clock> pack #0 WARN 1 is heavy is heavy is heavy is heavy is he…
      <clock> pack #1 WARN 2 is heavy is heavy is heavy is heavy is he…

      → pawl show <id>
      "
    `);
    expect(stdout.split('\n').filter((line) => width(line) > 70)).toEqual([]);
    const coloured = await pawl(place, ['logs', run.id], { terminal });
    expect(coloured.stdout).toContain('\u001b[33mWARN\u001b[39m');
    expect(coloured.stdout).not.toContain('\u001b[31mred');
  });

  test('as JSON are one document, as JSON lines a line each, whose cursor leads on', async () => {
    expect(await shown(run.id, '--attempt', '2', '--level', 'info', '--limit', '1', '--json')).toMatchInlineSnapshot(`
      "{
        "v": 1,
        "lines": [
          {
            "cursor": "2:1",
            "at": "<at>",
            "level": "info",
            "message": "read\\n\\u001b[31mred",
            "data": {
              "rows": 3,
              "by": "the two of us",
              "from": {
                "host": "db-1"
              }
            },
            "task": "load",
            "generation": 1,
            "attempt": 2
          }
        ]
      }
      exit 0
      "
    `);
    const lines = (await pawl(place, ['logs', run.id, '--jsonl'])).stdout.trim().split('\n');
    const { line } = JSON.parse(lines[1] ?? '') as { line: { cursor: string } };
    expect((await pawl(place, ['logs', run.id, '--jsonl', '--after', line.cursor])).stdout.trim().split('\n')).toEqual(lines.slice(2));
  });

  test('are narrowed by task, item, attempt and level', async () => {
    const count = async (...argv: string[]): Promise<number> =>
      (await pawl(place, ['logs', run.id, '--jsonl', ...argv])).stdout.split('\n').length - 1;
    expect(await count()).toBe(6);
    expect(await count('load')).toBe(4);
    expect(await count('load', '--attempt', '2')).toBe(2);
    expect(await count('--level', 'info')).toBe(4);
    expect(await count('pack', '--item', '0')).toBe(1);
    expect(await count('pack', '--item', '7')).toBe(0);
  });

  test('say when there are more, and when there is none', async () => {
    expect((await pawl(place, ['logs', run.id, '--limit', '2'])).stderr).toBe('There are more than 2 lines: --limit shows them.\n');
    expect((await pawl(place, ['logs', 'silent'])).stderr).toBe('No line of log.\n');
  });

  test.each([
    [['--follow', '--limit', '2'], 2],
    [['--follow', '--json'], 2],
    [['--level', 'loud'], 2],
    [['--item', '-1'], 2],
    [['nothing'], 3],
  ])('%j is refused', async (argv, code) => {
    const { exit, stdout } = await pawl(place, ['logs', run.id, ...argv]);
    expect([exit, stdout]).toEqual([code, '']);
  });
});

describe('logs --follow', () => {
  test('of a run that is over prints its lines and ends', async () => {
    const { exit, stdout } = await pawl(place, ['logs', run.id, '-f']);
    expect([exit, stdout.split('\n').length - 1]).toEqual([0, 6]);
  });

  test('prints what comes, until it is interrupted or the run has ended', async () => {
    const engine = createEngine({ store: place.store, use: [slow], durability: 'fast', logger: silent });
    await engine.work();
    const { id } = await engine.start(slow);
    const interrupt = new AbortController();
    const stopped = await pawl(place, ['logs', id, '-f'], {
      interrupt: interrupt.signal,
      onOutput: (text) => void (text.includes('begun') && interrupt.abort()),
    });
    expect([stopped.exit, stopped.stderr]).toEqual([130, `The run goes on. Look again: pawl logs ${id} -f\n`]);
    const whole = await pawl(place, ['logs', id, '-f'], { onOutput: (text) => void (text.includes('begun') && gate.resolve()) });
    await engine.close();
    expect(normal(`${whole.stdout}${whole.stderr}exit ${whole.exit}`)).toMatchInlineSnapshot(`
      "<at> step attempt 1 INFO begun
      <at> step attempt 1 INFO went on
      exit 0"
    `);
  });
});
