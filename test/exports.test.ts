import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';

type Manifest = {
  exports: Record<string, string | { types: string; default: string }>;
  sideEffects: boolean;
  dependencies?: Record<string, string>;
};

const root = fileURLToPath(new URL('../', import.meta.url));
const manifest = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as Manifest;

const entries = Object.entries(manifest.exports).flatMap(([name, target]) =>
  typeof target === 'string' ? [] : [{ name, target, source: target.default.replace('./dist/', 'src/').replace(/\.js$/, '.ts') }],
);

/** Imports the module in a fresh process and tells what that loaded and exported. */
function load(source: string): { loaded: string[]; exported: string[]; stderr: string; stdout: string } {
  const code = `
    import { registerHooks } from 'node:module';
    const loaded = [];
    registerHooks({ load(url, context, next) { loaded.push(url); return next(url, context); } });
    const module = await import(${JSON.stringify(pathToFileURL(root + source).href)});
    process.on('exit', () => console.log('\\0' + JSON.stringify({ loaded, exported: Object.keys(module) })));
  `;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', code], {
    encoding: 'utf8',
    timeout: 20_000,
  });
  const [printed = '', answer] = stdout.split('\0');
  if (status !== 0 || answer === undefined) throw new Error(`importing ${source} ended with ${String(status)}: ${stderr}`);
  const { loaded, exported } = JSON.parse(answer) as { loaded: string[]; exported: string[] };
  const base = pathToFileURL(root).href;
  return { loaded: loaded.map((url) => url.replace(base, '')), exported, stderr, stdout: printed };
}

/** The names a module says it exports, and the complaints about how it says so. */
function declared(source: string): { values: string[]; complaints: string[] } {
  const file = ts.createSourceFile(source, readFileSync(root + source, 'utf8'), ts.ScriptTarget.Latest, true);
  const complaints: string[] = [];
  const values: string[] = [];
  for (const statement of file.statements) {
    if (ts.isExportDeclaration(statement)) {
      const clause = statement.exportClause;
      if (clause === undefined || ts.isNamespaceExport(clause)) complaints.push(`${source}: ${statement.getText()}`);
      else if (!statement.isTypeOnly) values.push(...clause.elements.filter((each) => !each.isTypeOnly).map((each) => each.name.text));
    }
  }
  return { values, complaints };
}

describe('the package', () => {
  test.each(entries)('$name has its source and names its types first', ({ target, source }) => {
    expect(existsSync(root + source), source).toBe(true);
    expect(Object.keys(target)).toEqual(['types', 'default']);
    expect(target.types).toBe(target.default.replace(/\.js$/, '.d.ts'));
  });

  test.each(entries)('$name can be imported, says nothing and keeps no process alive', ({ source }) => {
    const { stdout, stderr } = load(source);
    expect({ stdout, stderr }).toEqual({ stdout: '', stderr: '' });
  });

  test('its main entry is a closed list: every public name is written down there', () => {
    const { values, complaints } = declared('src/index.ts');
    expect(complaints).toEqual([]);
    expect(load('src/index.ts').exported.toSorted()).toEqual(values.toSorted());
    expect(new Set(values).size).toBe(values.length);
  });

  test('its main entry loads no library but cron arithmetic, no adapter, no server', () => {
    const { loaded } = load('src/index.ts');
    expect(loaded).toContain('src/index.ts');
    // why: an expression that is never due is refused when the workflow is defined, and that cannot wait for an import
    const CRON = /(^|\/)node_modules\/croner\/dist\/croner\.js$/;
    expect(loaded.filter((url) => !url.startsWith('src/') && !CRON.test(url) && !url.startsWith('node:'))).toEqual([]);
    expect(loaded.filter((url) => /^(src\/(store\/\w+|server|cli|testing)\/|node:sqlite)/.test(url))).toEqual([]);
  });

  test('its sources have no side effects to lose', () => {
    expect(manifest.sideEffects).toBe(false);
  });
});
