import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { createEngine, workflow } from '../../src/index.ts';
import { silent } from '../engine/kit.ts';
import { LIBRARY, main, normal, Place, root } from './kit.ts';

const places: Place[] = [];
const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) if (child.exitCode === null) child.kill('SIGKILL');
  for (const place of places.splice(0)) place.remove();
});
const newPlace = (files: Readonly<Record<string, string>> = {}): Place => {
  const place = new Place(files);
  places.push(place);
  return place;
};

class Running {
  readonly child: ChildProcess;
  stdout = '';
  stderr = '';
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null }>;
  private look = (): void => undefined;

  constructor(place: Place, argv: readonly string[], nodeArgs: readonly string[] = []) {
    this.child = spawn(process.execPath, [...nodeArgs, main, ...argv], {
      cwd: place.path,
      env: { ...process.env, NO_COLOR: '1' },
      stdio: 'pipe',
    });
    children.push(this.child);
    this.child.stdout?.on('data', (chunk: Buffer) => {
      this.stdout += chunk.toString();
      this.look();
    });
    this.child.stderr?.on('data', (chunk: Buffer) => {
      this.stderr += chunk.toString();
      this.look();
    });
    this.ended = once(this.child, 'close').then(([code, signal]) => ({ code: code as number | null, signal: signal as string | null }));
  }

  /** Resolves once the text has been written so many times, on either stream. */
  async says(text: string, times = 1): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.look = () => {
        if (`${this.stdout}${this.stderr}`.split(text).length > times) resolve();
      };
      this.child.once('close', () => reject(new Error(`It ended without ${JSON.stringify(text)}:\n${this.stdout}${this.stderr}`)));
      this.look();
    });
  }
}

const ENTRY = `import { workflow } from '${LIBRARY}';
export const quick = workflow({ name: 'quick' }, (w) => w.run('a', {}, () => 'done'));
export const hangs = workflow({ name: 'hangs' }, (w) => w.run('b', {}, (_, ctx) => new Promise<number>((resolve) => {
  ctx.signal.addEventListener('abort', () => setTimeout(() => resolve(1), 50));
})));
`;

const waits = workflow({ name: 'waits' }, (w) => w.run('never', {}, () => 0));

async function waitingRun(place: Place): Promise<string> {
  const engine = createEngine({ store: place.store, use: [waits], durability: 'fast', logger: silent });
  const { id } = await engine.start(waits);
  await engine.close();
  return id;
}

describe('Ctrl-C', () => {
  test('ends watch with 130: the run goes on', async () => {
    const place = newPlace();
    const id = await waitingRun(place);
    const watching = new Running(place, ['watch', '@last']);
    await watching.says(' is running.');
    watching.child.kill('SIGINT');
    expect(await watching.ended).toEqual({ code: 130, signal: null });
    expect([watching.stdout, watching.stderr]).toEqual(['', `Run ${id} is running.\nThe run goes on. Look again: pawl watch ${id}\n`]);
  });

  test('ends start --wait with 130: the run goes on', async () => {
    const place = newPlace({ 'pawl.ts': ENTRY });
    const waiting = new Running(place, ['start', 'quick', '--wait']);
    await waiting.says('started ');
    waiting.child.kill('SIGINT');
    expect(await waiting.ended).toEqual({ code: 130, signal: null });
    expect(normal(waiting.stderr)).toBe('started <id>\nThe run goes on. Look again: pawl watch <id>\n');
  });

  test('drains a worker, which ends with 0; bodies get the abort signal, and what they give is kept', async () => {
    const place = newPlace({ 'pawl.ts': ENTRY });
    const worker = new Running(place, ['work', '--events', '--drain', '5s', '--concurrency', '2']);
    await worker.says('the worker is ready');
    const start = new Running(place, ['start', 'hangs']);
    expect((await start.ended).code).toBe(0);
    await worker.says('task.started');
    worker.child.kill('SIGINT');
    expect(await worker.ended).toEqual({ code: 0, signal: null });
    expect(worker.stdout).toBe('');
    const lines = worker.stderr
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { level: string; time: string; message: string });
    expect(lines.map(({ message }) => message)).toEqual([
      'the worker is ready',
      'run.started',
      'task.started',
      'the worker stops: it finishes or hands back what it holds',
      'task.finished',
      'run.finished',
      'the worker has stopped',
    ]);
    expect(lines[0]).toMatchObject({ level: 'info', store: '.pawl/dev.db', entry: 'pawl.ts' });
  });

  test('twice ends a worker at once', async () => {
    const place = newPlace({
      'pawl.ts': `${ENTRY}export const stays = workflow({ name: 'stays' }, (w) => w.run('c', {}, () => new Promise(() => {})));`,
    });
    const worker = new Running(place, ['work', '--events']);
    await worker.says('the worker is ready');
    await new Running(place, ['start', 'stays']).ended;
    await worker.says('task.started');
    worker.child.kill('SIGINT');
    await worker.says('the worker stops');
    worker.child.kill('SIGINT');
    expect(await worker.ended).toEqual({ code: 130, signal: null });
  });
});

describe('a pipe', () => {
  test('that is closed ends the command quietly', async () => {
    const place = newPlace();
    const engine = createEngine({ store: place.store, use: [waits], durability: 'fast', logger: silent });
    await engine.startMany(
      waits,
      Array.from({ length: 2_000 }, () => ({ input: undefined })),
    );
    await engine.close();
    const list = new Running(place, ['ls', '--all', '--jsonl']);
    list.child.stdout?.once('data', () => list.child.stdout?.destroy());
    expect(await list.ended).toEqual({ code: 0, signal: null });
    expect(list.stderr).toBe('');
  });
});

describe('dev', () => {
  test('starts the worker anew when code changes, waits while the code is broken, and drains at the end', async () => {
    const place = newPlace({ 'pawl.ts': `export * from './lib/flows.ts';`, 'lib/flows.ts': ENTRY.replace(LIBRARY, `../${LIBRARY}`) });
    const dev = new Running(place, ['dev']);
    await dev.says('the worker is ready');
    place.write('node_modules/x/index.js', 'ignored');
    place.write('.pawl/x.json', '{}');
    appendFileSync(place.file('lib/flows.ts'), '\nexport const broken = nope;\n');
    await dev.says('starts anew with the next change');
    expect(dev.stderr).toContain('CONFIG_ENTRY  lib/flows.ts:7:23: ReferenceError: nope is not defined');
    place.write(
      'lib/flows.ts',
      readFileSync(place.file('lib/flows.ts'), 'utf8')
        .replace('export const broken = nope;', '')
        .replace("name: 'quick'", "name: 'renamed'"),
    );
    await dev.says('the worker is ready', 2);
    expect(dev.stderr).toContain('renamed (version');
    dev.child.kill('SIGINT');
    expect(await dev.ended).toEqual({ code: 0, signal: null });
    expect(dev.stderr.split('the worker has stopped').length - 1).toBe(2);
    expect(dev.stderr.split('changed, the worker starts anew').length - 1).toBe(2);
  });
});

describe('the entry', () => {
  test.each([
    ['throws', 'const a = 1;\nthrow new TypeError(`no ${a}`);', 'CONFIG_ENTRY  pawl.ts:2:7: TypeError: no 1'],
    ['throws no error', 'throw 5;', 'CONFIG_ENTRY  pawl.ts: thrown: 5'],
    ['has a syntax error', 'export const a = ;', 'CONFIG_ENTRY  pawl.ts:1: SyntaxError: '],
    ['imports what is not there', "import './nowhere.ts';", 'CONFIG_ENTRY  pawl.ts: Error: Cannot find module'],
  ])('that %s is named with its place', async (_, text, message) => {
    const place = newPlace({ 'pawl.ts': text });
    const check = new Running(place, ['check']);
    expect((await check.ended).code).toBe(6);
    expect(check.stderr.slice(0, message.length)).toBe(message);
    expect(check.stderr).toContain('pawl explain CONFIG_ENTRY');
  });
});

describe('starting up', () => {
  test.each([['--version'], ['--help'], ['ls', '--help'], ['explain']])(
    '%s %s loads no engine, no store and no library but for arguments',
    async (...argv) => {
      const place = newPlace();
      place.write(
        'hook.mjs',
        `import { registerHooks } from 'node:module';
      registerHooks({ load(url, context, next) { process.stderr.write('loaded ' + url + '\\n'); return next(url, context); } });`,
      );
      const call = new Running(
        place,
        argv.filter((word) => word !== undefined),
        ['--import', pathToFileURL(place.file('hook.mjs')).href],
      );
      expect((await call.ended).code).toBe(0);
      const loaded = [...call.stderr.matchAll(/^loaded (.*)$/gm)].map(([, url = '']) => url.replace(pathToFileURL(root).href, ''));
      expect(loaded).toContain('src/cli/main.ts');
      expect(loaded.filter((url) => /pino|sqlite|^src\/(engine|store|client|compose|facade)/.test(url))).toEqual([]);
      if (argv[0] === '--version') expect(loaded.filter((url) => url.includes('node_modules'))).toEqual([]);
    },
  );
});
