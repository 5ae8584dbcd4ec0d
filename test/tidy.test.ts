import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';

// The rules of the sources that no linter knows, and once more those that matter most, so that no edit of a configuration lifts them.

/** Files allowed to be longer than 500 lines. Only tables may be; say what the table is. */
const longTables: Readonly<Record<string, string>> = { 'src/store/sqlite/migrations/001-initial.ts': 'the tables of the store' };

const maxLines = 500;

type Rule = (file: ts.SourceFile) => readonly string[];

const root = fileURLToPath(new URL('../', import.meta.url));

function filesUnder(folder: string): string[] {
  return readdirSync(`${root}${folder}`, { recursive: true, encoding: 'utf8' })
    .map((name) => `${folder}/${name.replaceAll('\\', '/')}`)
    .filter((name) => name.endsWith('.ts') && !name.startsWith('test/fixtures/') && !name.includes('/node_modules/'))
    .toSorted();
}

const parse = (name: string, text: string): ts.SourceFile =>
  ts.createSourceFile(name, text, ts.ScriptTarget.Latest, true, ts.ScriptKind.TS);
const sources = filesUnder('src').map((name) => parse(name, readFileSync(root + name, 'utf8')));
const tests = filesUnder('test').map((name) => parse(name, readFileSync(root + name, 'utf8')));
const isTest = (name: string): boolean => /\.(test|test-d)\.ts$/.test(name);

/** Calls `visit` for every node of the file; what it returns is a complaint about that node's line. */
function complaints(file: ts.SourceFile, visit: (node: ts.Node) => string | undefined): string[] {
  const found: string[] = [];
  const walk = (node: ts.Node): void => {
    const complaint = visit(node);
    if (complaint !== undefined) {
      found.push(`${file.fileName}:${file.getLineAndCharacterOfPosition(node.getStart(file)).line + 1} ${complaint}`);
    }
    ts.forEachChild(node, walk);
  };
  walk(file);
  return found;
}

/** The name of a member does not refer to the global of that name: `{ process: 1 }`, `kind.process`, `setTimeout(): void` in a type. */
function isMemberName(node: ts.Identifier): boolean {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent) || ts.isQualifiedName(parent)) return ('name' in parent ? parent.name : parent.right) === node;
  if (ts.isBindingElement(parent)) return parent.propertyName === node;
  if (ts.isShorthandPropertyAssignment(parent)) return false;
  return (ts.isClassElement(parent) || ts.isTypeElement(parent) || ts.isObjectLiteralElement(parent)) && parent.name === node;
}

const uses =
  (globals: readonly string[], members: Readonly<Record<string, readonly string[]>>): Rule =>
  (file) =>
    complaints(file, (node) => {
      if (ts.isIdentifier(node) && globals.includes(node.text) && !isMemberName(node)) return `uses ${node.text}`;
      if (
        ts.isPropertyAccessExpression(node) &&
        ts.isIdentifier(node.expression) &&
        Object.hasOwn(members, node.expression.text) &&
        members[node.expression.text]?.includes(node.name.text)
      ) {
        return `uses ${node.getText(file)}`;
      }
      const isDate =
        (ts.isNewExpression(node) || ts.isCallExpression(node)) && ts.isIdentifier(node.expression) && node.expression.text === 'Date';
      if (isDate && (ts.isCallExpression(node) || !node.arguments?.length)) return 'reads the wall clock by Date()';
      return undefined;
    });

const specifier = (node: ts.Node): string | undefined => {
  if ((ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) && node.moduleSpecifier)
    return (node.moduleSpecifier as ts.StringLiteral).text;
  if (ts.isImportTypeNode(node)) return node.argument.getText().slice(1, -1);
  if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) return node.arguments[0]?.getText().slice(1, -1);
  return undefined;
};

const imports =
  (forbidden: RegExp): Rule =>
  (file) =>
    complaints(file, (node) => {
      const name = specifier(node);
      return name !== undefined && forbidden.test(name) ? `imports ${name}` : undefined;
    });

const timers = ['setTimeout', 'setInterval', 'setImmediate'];
const wallClock = { Date: ['now'], Math: ['random'] };

const coreIsPure: readonly Rule[] = [
  uses([...timers, 'queueMicrotask', 'console', 'process', 'performance', 'crypto', 'globalThis'], wallClock),
  // The calendar arithmetic: it is given the instant, and asks no clock (.dependency-cruiser.cjs says who may import it).
  imports(/^(?!\.|croner$)/),
];
const engineTakesPorts: readonly Rule[] = [
  uses([...timers, 'performance', 'globalThis'], wallClock),
  imports(/^(node:)?(timers|perf_hooks)(\/|$)/),
];

/** Upper case anywhere in a text, or a text that is a statement in lower case. English ("select a run") is neither. */
const sql = [
  /\b(SELECT\s|INSERT\s+(OR\s+\w+\s+)?INTO\b|REPLACE\s+INTO\b|UPDATE\s|DELETE\s+FROM\b|PRAGMA\s|(CREATE|DROP|ALTER)\s+(TEMP\s+|UNIQUE\s+)?(TABLE|INDEX|VIEW|TRIGGER)\b)/,
  /^\s*(with\s[^]*\bas\s*\([^]*)?(select\s[^]*\sfrom\s|insert\s+(or\s+\w+\s+)?into\s+\w+\s*(\(|values|select)|update\s+\S+\s+set\s+\w+\s*=|delete\s+from\s+\w+(\s+where\s|\s*;?\s*$))/i,
  /^\s*(pragma\s+\w+|(create|drop|alter)\s+(temp\s+|unique\s+)?(table|index|view|trigger)\s)/i,
];

const hasNoSql: Rule = (file) =>
  complaints(file, (node) => {
    let text: string | undefined;
    if (ts.isStringLiteral(node) || ts.isNoSubstitutionTemplateLiteral(node)) text = node.text;
    if (ts.isTemplateExpression(node)) text = node.head.text + node.templateSpans.map((span) => `?${span.literal.text}`).join('');
    return text !== undefined && sql.some((pattern) => pattern.test(text)) ? `has SQL: ${text.trim().slice(0, 60)}` : undefined;
  });

const runsEverything: Rule = (file) =>
  complaints(file, (node) => {
    if (!ts.isPropertyAccessExpression(node) || !/^(only|skip)$/.test(node.name.text)) return undefined;
    const start = /^(it|test|describe|suite|bench)\b/.exec(node.getText(file));
    return start ? `${start[0]}.${node.name.text}` : undefined;
  });

const asksWhereItLies: Rule = (file) =>
  complaints(file, (node) => (ts.isMetaProperty(node) ? `asks for ${node.getText(file)}` : undefined));

const apply = (files: readonly ts.SourceFile[], rules: readonly Rule[]): string[] =>
  files.flatMap((file) => rules.flatMap((rule) => rule(file)));
const published = sources.filter((file) => !isTest(file.fileName));
const within = (folder: string): ts.SourceFile[] => published.filter((file) => file.fileName.startsWith(folder));

describe('the sources', () => {
  test('are found', () => {
    expect(published.length).toBeGreaterThan(0);
    expect(within('src/core/').length).toBeGreaterThan(0);
  });

  test('core is pure: no clock, timer, randomness, console, process, no import but its own', () => {
    expect(apply(within('src/core/'), coreIsPure)).toEqual([]);
  });

  test('the engine takes clock and timers from its ports', () => {
    const files = within('src/engine/').filter((file) => file.fileName !== 'src/engine/ports.ts');
    expect(apply(files, engineTakesPorts)).toEqual([]);
  });

  test('SQL stands only in files of statements and in migrations', () => {
    const files = published.filter((file) => !/^src\/store\/\w+\/(statements(-\w+)?\.ts|migrations\/.*)$/.test(file.fileName));
    expect(apply(files, [hasNoSql])).toEqual([]);
  });

  test('only one file asks where it lies: bundles move the others', () => {
    expect(apply(published, [asksWhereItLies]).map((complaint) => complaint.replace(/:\d+ .*/, ''))).toEqual([
      'src/own-files.ts',
      'src/own-files.ts',
      'src/own-files.ts',
    ]);
  });

  test(`no file has more than ${maxLines} lines, tables with a reason excepted`, () => {
    const long = sources.filter((file) => file.text.trimEnd().split('\n').length > maxLines).map((file) => file.fileName);
    expect(long.filter((name) => !longTables[name])).toEqual([]);
    expect(Object.keys(longTables).filter((name) => !long.includes(name))).toEqual([]);
  });

  test('no test is left out', () => {
    expect(apply([...sources, ...tests], [runsEverything])).toEqual([]);
  });
});

// A rule that sees nothing is green for ever, so each is shown what it must report and what it must let pass.
describe('the rules', () => {
  const judge = (rules: readonly Rule[], code: string): string[] =>
    apply([parse('x.ts', code)], rules).map((each) => each.replace(/^x\.ts:\d+ /, ''));

  test.each([
    ['const at = Date.now();', 'uses Date.now'],
    ['const at = new Date();', 'reads the wall clock by Date()'],
    ['const at = new Date;', 'reads the wall clock by Date()'],
    ['const at = Date();', 'reads the wall clock by Date()'],
    ['const dice = Math.random();', 'uses Math.random'],
    ['setTimeout(() => {}, 1);', 'uses setTimeout'],
    ['const timers = { setInterval };', 'uses setInterval'],
    ['queueMicrotask(f);', 'uses queueMicrotask'],
    ['console.log(1);', 'uses console'],
    ['const env = process.env;', 'uses process'],
    ['globalThis.setTimeout(f);', 'uses globalThis'],
    ["import { readFile } from 'node:fs';", 'imports node:fs'],
    ["export { z } from 'zod';", 'imports zod'],
    ["const fs = await import('node:fs');", 'imports node:fs'],
    ["type Stats = import('node:fs').Stats;", 'imports node:fs'],
  ])('core may not say %s', (code, complaint) => {
    expect(judge(coreIsPure, code)).toEqual([complaint]);
  });

  test.each([
    'const at = new Date(now);',
    'type Runner = { process: string; setTimeout(ms: number): void };',
    'const kind = { process: 1 }.process;',
    'ports.setTimeout(f, 1); // setTimeout, console and Date.now() in a comment',
    "const text = 'process.exit(1)';",
    "import { states } from './states.ts';",
  ])('core may say %s', (code) => {
    expect(judge(coreIsPure, code)).toEqual([]);
  });

  test.each([
    'Date.now()',
    'new Date()',
    'setTimeout(f)',
    'setInterval(f)',
    'setImmediate(f)',
    'Math.random()',
    "import 'node:timers/promises'",
  ])('the engine may not say %s', (code) => {
    expect(judge(engineTakesPorts, code)).toHaveLength(1);
  });

  test.each([
    "'SELECT 1'",
    "'select id from runs'",
    '`INSERT INTO runs VALUES (${id})`',
    "'insert or ignore into runs (id) values (1)'",
    "const text = 'UPDATE ' + table",
    '`\n  update runs set status = 1`',
    "'delete from runs where id = 1'",
    "'with a as (select 1) select * from a'",
    "'CREATE UNIQUE INDEX a ON b (c)'",
    "'pragma journal_mode'",
  ])('%s is SQL', (code) => {
    expect(judge([hasNoSql], code)).toHaveLength(1);
  });

  test.each([
    "'Select a run'",
    "'cannot delete from a run that is running'",
    "'update the worker'",
    '// SELECT 1',
    "'insert into the queue'",
  ])('%s is no SQL', (code) => {
    expect(judge([hasNoSql], code)).toEqual([]);
  });

  test.each(['only', 'skip'])('a test or a group with .%s is found', (word) => {
    expect(judge([runsEverything], `it.${word}('x', f); test.concurrent.${word}('x', f); describe.${word}('x', f);`)).toHaveLength(3);
    expect(judge([runsEverything], `list.${word}(1); test.${word}If(true)('x', f);`)).toEqual([]);
  });
});
