/**
 * What commands leave on a screen of 80 and of 160 columns, compared with test/cli/captures: produced by a terminal of this test's own, and,
 * where tmux is installed, by real processes in a real terminal as well.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { NonRetryableError, task, workflow } from '../../src/index.ts';
import { engineParts, openSqlite } from '../../src/compose.ts';
import { Engine } from '../../src/facade.ts';
import { realPorts } from '../../src/engine/ports.ts';
import { silent } from '../engine/kit.ts';
import { Screen } from '../support/screen.ts';
import { main, pawl, Place } from './kit.ts';

process.env['TZ'] = 'UTC';
const ROWS = 30;
const WIDTHS = [80, 160];

/** Only bodies make time pass, so that every length of time on the screens is the same each time. */
let now = Date.UTC(2020, 0, 1, 12);
const pass = (ms: number): void => void (now += ms);

const pack = task({
  name: 'pack',
  run: ({ n }: { n: number }, ctx) => {
    pass(120);
    ctx.log.info('packed', { n, box: '支払い' });
    if (n === 2) throw new NonRetryableError('the box is too small for what is to go into it, and there is no larger one', { code: 'BOX' });
    return n;
  },
});
const order = workflow({ name: 'order', version: '7' }, (w) => {
  const load = w.run('load-order', {}, (_, ctx) => {
    pass(1_500);
    ctx.log.warn(`the order is large ${'and grows '.repeat(12)}`, { lines: 3 });
    return [1, 2, 3];
  });
  const packed = w.map(load, pack, (n) => ({ n }), { settle: true, concurrency: 1 });
  const pay = w.run('pay', { packed }, (): number => {
    pass(62_000);
    throw new NonRetryableError('503 from 支払い', { code: 'GATEWAY_DOWN' });
  });
  return { receipt: w.run('receipt', { pay }, () => 0) };
});
const lot = workflow({ name: 'lot', version: '1' }, (w) => Array.from({ length: 40 }, (_, i) => w.run(`step-${i}`, {}, () => i)));

let place: Place;
beforeAll(async () => {
  place = new Place();
  const options = { use: [order, lot], logger: silent };
  const engine = new Engine({
    ...engineParts(options),
    openStore: async () => openSqlite(place.file('.pawl/dev.db'), { durability: 'fast' }),
    heart: () => () => ({ stop: async () => undefined }),
    ports: { ...realPorts, now: () => now, monotonic: () => now },
  });
  await engine.work({ concurrency: 1 });
  const run = await engine.start(order, undefined, { key: 'order:o-81', tags: ['eu', 'gift'] });
  await run.result().catch(() => undefined);
  await engine.start(lot, undefined, { key: 'lot', startAt: new Date('2100-01-01') });
  await engine.close();
});
afterAll(() => place.remove());

const SCREENS = [
  { name: 'show', argv: ['show', 'order:o-81', '--items'] },
  { name: 'watch', argv: ['watch', 'order:o-81'] },
  // Of a run that does not start for a long time; Ctrl-C comes when the first tasks are there.
  { name: 'watch-open', argv: ['watch', 'lot'], until: 'pending' },
  { name: 'logs', argv: ['logs', 'order:o-81'] },
  { name: 'graph', argv: ['graph', 'order:o-81'] },
  { name: 'ls', argv: ['ls'] },
  { name: 'help', argv: ['logs', '--help'] },
] as const;
const CASES = SCREENS.flatMap((screen) => WIDTHS.map((columns) => ({ ...screen, columns })));

/** What is different each time, by something as wide; at the end of a line as wide as it is. */
function same(lines: readonly string[]): string {
  const text = lines.map((line) => `${line}\n`).join('');
  return text
    .replace(/\b[0-9a-hjkmnp-tv-z]{26}\b/g, '<id                      >')
    .replace(/^(. (?:scheduled|failed) +)[0-9a-hjkmnp-tv-z]{10} /gm, '$1<id      > ')
    .replace(/(?<=^→ pawl show )[0-9a-hjkmnp-tv-z]{10}$/gm, '<id      >')
    .replace(/\b\d{4} d ago/g, '<ago>     ')
    .replace(/\bin \d{5} d\b/g, 'in <time> ')
    .replace(/ +$/gm, '')
    .replace(/\n*$/, '\n');
}
const fileOf = (name: string, columns: number): string => `captures/${name}-${columns}.txt`;

describe('on a screen of its own', () => {
  test.each(CASES)('$name in $columns columns', async ({ name, argv, columns, ...rest }) => {
    const screen = new Screen({ columns, rows: ROWS });
    const interrupt = new AbortController();
    const { exit } = await pawl(place, argv, {
      screen,
      env: { TERM: 'xterm' },
      interrupt: interrupt.signal,
      onOutput: (text) => void ('until' in rest && text.includes(rest.until) && interrupt.abort()),
    });
    screen.write(`exit ${exit}\n`);
    expect(screen.hasCursor).toBe(true);
    await expect(same(screen.shown)).toMatchFileSnapshot(fileOf(name, columns));
  });
});

const hasTmux = spawnSync('tmux', ['-V']).status === 0;

describe.runIf(hasTmux)('in tmux', () => {
  const socket = `pawl-${process.pid}`;
  const tmux = (...args: string[]): string =>
    execFileSync('tmux', ['-u', '-L', socket, '-f', '/dev/null', ...args], {
      encoding: 'utf8',
      cwd: place.path,
      env: { PATH: process.env['PATH'], HOME: place.path, LC_ALL: 'C.UTF-8', TERM: 'xterm', TZ: 'UTC' },
    });
  // A server that ends with its last session would meet the next test's first command while it is still ending.
  beforeAll(() => void tmux('start-server', ';', 'set-option', '-s', 'exit-empty', 'off'));
  afterAll(() => void spawnSync('tmux', ['-L', socket, 'kill-server']));

  test.each(CASES)('$name in $columns columns', async ({ name, argv, columns, ...rest }) => {
    const session = `${name}-${columns}`;
    const command = [process.execPath, main, ...argv].map((word) => `'${word}'`).join(' ');
    const line = `${command}; echo "exit $?"; tmux -L ${socket} wait-for -S ${session}; cat`;
    tmux('new-session', '-d', '-s', session, '-x', String(columns), '-y', String(ROWS), line);
    if ('until' in rest) {
      while (!tmux('capture-pane', '-p', '-t', session).includes(rest.until)) await new Promise((resolve) => setImmediate(resolve));
      tmux('send-keys', '-t', session, 'C-c');
    }
    tmux('wait-for', session);
    const lines = tmux('capture-pane', '-p', '-t', session).split('\n');
    tmux('kill-session', '-t', session);
    await expect(same(lines.map((one) => one.trimEnd()))).toMatchFileSnapshot(fileOf(name, columns));
  });
});
