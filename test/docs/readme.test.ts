import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { isPrinted, shownFiles, type Shown } from './blocks.ts';

/**
 * The code of README.md and of the guides is written to files as it stands, type-checked and run. The files import `pawl` as a user's do:
 * the compiler finds it by `paths`, Node by a hook. They lie in the repository, so that `zod` is found too, and not under node_modules,
 * where Node strips no types.
 */
const root = fileURLToPath(new URL('../../', import.meta.url));
const folders = ['docs/guides', 'docs/operate'];
const documents = ['README.md', ...folders.flatMap((folder) => readdirSync(root + folder).map((name) => `${folder}/${name}`))].toSorted();
const pages = documents.map((path) => ({ path, files: shownFiles(readFileSync(root + path, 'utf8')) }));
const entries = {
  pawl: 'src/index.ts',
  'pawl/testing': 'src/testing/index.ts',
  'pawl/lint': 'src/lint/index.ts',
  'pawl/pino': 'src/observe/pino.ts',
};

/** These run until somebody ends them: they have tests of their own below. */
const ownTest = ['README.md tea.ts', 'docs/guides/several-processes.md worker.ts', 'docs/guides/several-processes.md client.ts'];

let scratch = '';
const children: ChildProcess[] = [];

const folderOf = (path: string): string => join(scratch, path.replaceAll(/\W/g, '-'));

beforeAll(() => {
  mkdirSync(`${root}.tmp`, { recursive: true });
  scratch = mkdtempSync(`${root}.tmp/docs-`);
  writeFileSync(join(scratch, 'package.json'), '{ "type": "module" }');
  writeFileSync(
    join(scratch, 'tsconfig.json'),
    JSON.stringify({
      extends: '../../tsconfig.json',
      compilerOptions: { paths: Object.fromEntries(Object.entries(entries).map(([name, source]) => [name, [`../../${source}`]])) },
      include: ['**/*.ts'],
      exclude: [],
    }),
  );
  const urls = Object.fromEntries(Object.entries(entries).map(([name, source]) => [name, pathToFileURL(root + source).href]));
  writeFileSync(
    join(scratch, 'hook.mjs'),
    `import { registerHooks } from 'node:module';
const urls = new Map(Object.entries(${JSON.stringify(urls)}));
registerHooks({ resolve: (name, context, next) => next(urls.get(name) ?? name, context) });\n`,
  );
  for (const { path, files } of pages) {
    mkdirSync(folderOf(path));
    for (const { name, code } of files) writeFileSync(join(folderOf(path), name), code);
  }
});

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const nodeArgs = (name: string): string[] => ['--import', pathToFileURL(join(scratch, 'hook.mjs')).href, name];

interface Running {
  readonly child: ChildProcess;
  readonly output: () => string;
  readonly ended: Promise<unknown>;
  /** Resolves when this text has been printed. */
  readonly printed: (text: string) => Promise<void>;
}

function start(path: string, name: string): Running {
  const child = spawn(process.execPath, nodeArgs(name), { cwd: folderOf(path), stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  let output = '';
  let look = (): void => undefined;
  child.stdout?.on('data', (chunk: Buffer) => {
    output += chunk.toString();
    look();
  });
  const printed = (text: string): Promise<void> =>
    new Promise((resolve, reject) => {
      look = () => output.includes(text) && resolve();
      child.once('close', () => reject(new Error(`${name} ended without printing ${JSON.stringify(text)}: ${output}`)));
      look();
    });
  return { child, output: () => output, ended: once(child, 'close'), printed };
}

const shown = (path: string, name: string): Shown => {
  const file = pages.find((page) => page.path === path)?.files.find((one) => one.name === name);
  if (file === undefined) throw new Error(`${path} shows no ${name}`);
  return file;
};

describe('the documents', () => {
  test('show code', () => {
    expect(pages.filter(({ files }) => files.length === 0)).toEqual([]);
    expect(ownTest.filter((one) => !pages.some(({ path, files }) => files.some(({ name }) => `${path} ${name}` === one)))).toEqual([]);
  });

  test('have code that the compiler accepts', () => {
    const args = [`${root}node_modules/ts7/bin/tsc`, '-p', join(scratch, 'tsconfig.json')];
    const { stdout, status } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    expect(stdout).toBe('');
    expect(status).toBe(0);
  }, 60_000);

  const plain = pages.flatMap(({ path, files }) => files.map((file) => ({ path, file, title: `${path} ${file.name}` })));
  test.each(plain.filter(({ title }) => !ownTest.includes(title)))('$title runs, and prints what it is said to', ({ path, file }) => {
    const { stdout, stderr, status } = spawnSync(process.execPath, nodeArgs(file.name), {
      cwd: folderOf(path),
      encoding: 'utf8',
      timeout: 25_000,
    });
    // What a failed file printed says why it failed.
    expect({ status, stderr, why: status === 0 ? '' : stdout }).toEqual({ status: 0, stderr: '', why: '' });
    if (file.prints !== null && !isPrinted(file.prints, stdout)) expect(stdout).toBe(file.prints);
  });

  test('the tea of README.md is finished by the second process when the first is killed', async () => {
    const first = start('README.md', 'tea.ts');
    await first.printed('steep');
    first.child.kill('SIGKILL');
    await first.ended;
    const second = start('README.md', 'tea.ts');
    await second.ended;
    const both = `${first.output()}^C\n$ node tea.ts\n${second.output()}`;
    const { prints } = shown('README.md', 'tea.ts');
    if (prints === null || !isPrinted(prints, both)) expect(both).toBe(prints);
  });

  test('a worker and a client of the guide to several processes share a file, and SIGTERM ends the worker', async () => {
    const path = 'docs/guides/several-processes.md';
    const worker = start(path, 'worker.ts');
    await worker.printed('works');
    const client = start(path, 'client.ts');
    await client.ended;
    const { prints } = shown(path, 'client.ts');
    if (prints === null || !isPrinted(prints, client.output())) expect(client.output()).toBe(prints);
    worker.child.kill('SIGTERM');
    expect(await worker.ended).toEqual([null, 'SIGTERM']);
  });
});

describe('what is read from a document', () => {
  test('is each ts block with its name and its output', () => {
    const markdown = '# x\n```ts\n// a.ts\nf();\n```\n```text\n$ node a.ts\nrun …\n```\n```sh\nnpm ci\n```\n';
    expect(shownFiles(markdown)).toEqual([{ name: 'a.ts', code: '// a.ts\nf();\n', prints: 'run …' }]);
  });

  test.each(['```ts\nf();\n```', '```js\nf();\n```', '```ts\n// a.ts\n```\n```ts\n// a.ts\n```'])(
    'is nothing that has no name of its own: %j',
    (text) => {
      expect(() => shownFiles(text)).toThrow(/line/);
    },
  );

  test('is compared line by line', () => {
    expect(isPrinted('run …\n{ a: 1 }', 'run 7kq2\n{ a: 1 }\n')).toBe(true);
    expect(isPrinted('run …', 'run 7kq2\nmore')).toBe(false);
    expect(isPrinted('a.c', 'abc')).toBe(false);
  });
});
