import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bundle } from '../scripts/bundle.ts';

/** The package as it is published: its bundles, in a folder of the repository, where Node finds what they depend on. */
const root = fileURLToPath(new URL('../', import.meta.url));
let place: string;

beforeAll(async () => {
  mkdirSync(`${root}.tmp`, { recursive: true });
  place = mkdtempSync(`${root}.tmp/package-`);
  for (const name of ['package.json', 'docs/errors']) cpSync(join(root, name), join(place, name), { recursive: true });
  await bundle(join(place, 'dist'));
});
afterAll(() => rmSync(place, { recursive: true, force: true }));

let programs = 0;

/** A program inside the package, where its own name leads to it. `beforehand` is loaded before anything else, in every thread. */
function runs(
  code: string,
  { beforehand = '', args = [] as readonly string[] } = {},
): { stdout: string; stderr: string; status: number | null } {
  const name = `program-${programs++}`;
  const folder = join(place, name);
  mkdirSync(folder);
  writeFileSync(join(folder, 'beforehand.js'), beforehand);
  writeFileSync(join(folder, 'program.js'), code);
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', '--import', './beforehand.js', 'program.js', ...args],
    { cwd: folder, encoding: 'utf8', timeout: 60_000 },
  );
  return { status, stdout, stderr };
}

function answer(code: string, beforehand = ''): unknown {
  const { status, stdout, stderr } = runs(code, { beforehand });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return JSON.parse(stdout);
}

const command = (...args: readonly string[]): ReturnType<typeof spawnSync> =>
  spawnSync(process.execPath, [join(place, 'dist/cli/main.js'), ...args], { cwd: place, encoding: 'utf8', timeout: 60_000 });

const LOADS = `
  import { registerHooks } from 'node:module';
  globalThis.loaded = [];
  registerHooks({ load(url, context, next) { loaded.push(url); return next(url, context); } });
`;

/** Transactions that write, of the main thread. */
const COMMITS = `
  import { DatabaseSync, StatementSync } from 'node:sqlite';
  import { isMainThread } from 'node:worker_threads';
  globalThis.commits = 0;
  let writes = false;
  const saw = (sql) => {
    if (/^BEGIN IMMEDIATE/.test(sql)) writes = true;
    if (/^COMMIT/.test(sql) && writes) { writes = false; if (isMainThread) commits++; }
  };
  const { exec } = DatabaseSync.prototype;
  DatabaseSync.prototype.exec = function (sql) { exec.call(this, sql); saw(sql); };
  const { run } = StatementSync.prototype;
  StatementSync.prototype.run = function (...values) { const result = run.apply(this, values); saw(this.sourceSQL); return result; };
`;

const ENGINE = `
  import { createEngine, task, workflow } from 'pawl';
  const step = task({ name: 'step', run: async ({ n }) => ({ n: n + 1 }) });
  const chain = workflow({ name: 'chain' }, (w) => {
    const a = w.run(step, { n: 0 }, { id: 'a' });
    const b = w.run(step, a, { id: 'b' });
    return w.run(step, b, { id: 'c' });
  });
`;

describe('the published code', () => {
  test('of the library is read from few files, and from no other package but the one for cron', () => {
    const loaded = answer(
      `const before = loaded.length; await import('pawl'); process.stdout.write(JSON.stringify(loaded.slice(before)));`,
      LOADS,
    ) as string[];
    const files = loaded.filter((url) => !url.startsWith('node:')).map((url) => url.replace(`${pathToFileURL(place).href}/`, ''));
    expect(files.filter((name) => !name.startsWith('dist/')).map((url) => url.replace(/.*node_modules\//, ''))).toEqual([
      'croner/dist/croner.js',
    ]);
    expect(files).toContain('dist/index.js');
    expect(files.length).toBeLessThanOrEqual(4);
    expect(loaded).not.toContain('node:sqlite');
  });

  test('up to the end of a first run is read from few files, and takes few commits', () => {
    const found = answer(
      `${ENGINE}
      const engine = createEngine({ store: 'sqlite:first.db', use: [chain] });
      await engine.work();
      const run = await engine.start(chain, undefined);
      const output = await run.result();
      const at = { output, commits, files: loaded.filter((url) => url.includes('/dist/') && !url.includes('node_modules')).length };
      await engine.close();
      process.stdout.write(JSON.stringify(at));`,
      LOADS + COMMITS,
    ) as { output: unknown; commits: number; files: number };
    expect(found.output).toEqual({ n: 3 });
    // The schema, the flush that is measured, the definition, the worker, a block of numbers, the run, and the end of each of three tasks.
    expect(found.commits).toBeLessThanOrEqual(9);
    expect(found.commits).toBeGreaterThanOrEqual(5);
    expect(found.files).toBeLessThanOrEqual(6);
  });

  test('exports by each of its names what the sources do, and nothing else', async () => {
    const { exports } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as {
      exports: Record<string, string | { default: string }>;
    };
    for (const target of Object.values(exports)) {
      if (typeof target === 'string') continue;
      const source = target.default.replace('./dist/', 'src/').replace(/\.js$/, '.ts');
      const [built, written] = [await namesOf(join(place, target.default)), await namesOf(join(root, source))];
      expect(built, target.default).toEqual(written);
      expect(built.length).toBeGreaterThan(0);
    }
  });

  test('keeps the names of functions, and has a source map for every file', () => {
    const files = readdirSync(join(place, 'dist'), { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.js'));
    const codes = files.map((name) => ({ name, code: readFileSync(join(place, 'dist', name), 'utf8') }));
    // What only passes on has no line of ours.
    const withoutMap = codes.filter(
      ({ code }) => !/sourceMappingURL=\S+\.js\.map\s*$/.test(code) && /^(const|let|async|function|class) /m.test(code),
    );
    expect(withoutMap.map(({ name }) => name)).toEqual([]);
    expect(codes.length).toBeGreaterThan(20);
    const { stderr } = runs(`import { workflow } from 'pawl'; workflow({ name: 'x' }, () => { throw new Error('from the builder'); });`);
    expect(stderr).toMatch(/at outputOf \(file:\/\/.*\/dist\/library\.js:/);
  });

  test('finds its own files: the version, the pages of the errors, the thread that checks a store', () => {
    const { version } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as { version: string };
    expect(command('--version')).toMatchObject({ status: 0, stdout: `${version}\n` });
    expect(command('explain', 'RUN_FAILED')).toMatchObject({ status: 0, stdout: expect.stringContaining('RUN_FAILED') as string });
    const { status } = runs(`${ENGINE}
      const engine = createEngine({ store: 'sqlite:${join(place, 'checked.db')}', use: [chain] });
      await engine.start(chain, undefined);
      await engine.close();`);
    expect(status).toBe(0);
    const doctor = command('doctor', '--store', `sqlite:${join(place, 'checked.db')}`, '--json');
    expect(doctor.stderr).toBe('');
    expect(JSON.stringify(JSON.parse(String(doctor.stdout)))).toContain('"integrity"');
  });

  // The heart's thread: shorter than a second no lease can be.
  const WATCHING = `
    import { DatabaseSync } from 'node:sqlite';
    const until = (sql, isSo) => {
      const db = new DatabaseSync('blocked.db', { readOnly: true });
      const end = performance.now() + 30_000;
      while (!isSo(db.prepare(sql).get())) {
        if (performance.now() > end) throw new Error('never: ' + sql);
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
      }
      db.close();
      return true;
    };
  `;

  test('renews a lease while a body blocks the main thread', () => {
    const found = answer(`${WATCHING}
      import { createEngine, workflow } from 'pawl';
      let bodies = 0;
      const blocks = workflow({ name: 'blocks' }, (w) => w.run('block', {}, () => {
        bodies++;
        let [first, beats] = [undefined, 0];
        return until('SELECT lease_until AS at FROM workers', ({ at }) => {
          if (at !== first) beats++;
          first = at;
          return beats > 2;
        });
      }));
      const engine = createEngine({ store: 'sqlite:blocked.db', use: [blocks], lease: '1s' });
      await engine.work();
      const run = await engine.start(blocks, undefined);
      const output = await run.result();
      await engine.close();
      process.stdout.write(JSON.stringify({ output, bodies }));`);
    expect(found).toEqual({ output: true, bodies: 1 });
  });

  test('gives back what was claimed and could not begin while a body blocks the main thread', () => {
    const found = answer(`${WATCHING}
      import { createEngine, workflow } from 'pawl';
      let bodies = 0;
      const blocks = workflow({ name: 'blocks' }, (w) => w.run('block', {}, () =>
        bodies++ > 0 || until('SELECT count(*) AS n FROM tasks WHERE status = 1', ({ n }) => n > 0)));
      const engine = createEngine({ store: 'sqlite:blocked.db', use: [blocks], lease: '1s', concurrency: 2 });
      await engine.work();
      const runs = await engine.startMany(blocks, [{ input: undefined }, { input: undefined }]);
      const outputs = await Promise.all(runs.map(({ run }) => run.result()));
      await engine.close();
      process.stdout.write(JSON.stringify({ outputs, bodies }));`);
    expect(found).toEqual({ outputs: [true, true], bodies: 2 });
  });
});

async function namesOf(file: string): Promise<string[]> {
  return Object.keys((await import(pathToFileURL(file).href)) as object).toSorted();
}
