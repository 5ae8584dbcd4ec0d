import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { ERRORS, PawlError, type ErrorCode } from '../../src/index.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const folder = `${root}docs/errors/`;
const codes = Object.keys(ERRORS) as ErrorCode[];
const oneLine = (text: string): string => text.replaceAll(/\s+/g, ' ').trim();

/** The parts of a page; null where it has another shape. */
function partsOf(text: string): { what: string; facts: string; when: string; todo: string; example: string } | null {
  const shape =
    /^# \w+\n\n(?<what>[^\n]+\.)\n\n(?<facts>HTTP [^\n]+)\n\n## When\n\n(?<when>.+)\n\n## What to do\n\n(?<todo>.+)\n\n## Example\n\n```text\n(?<example>.+)\n```\n$/s;
  const { what = '', facts = '', when = '', todo = '', example = '' } = shape.exec(text)?.groups ?? {};
  return what === '' ? null : { what, facts, when, todo, example };
}

describe.each(codes)('the page of %s', (code) => {
  const text = readFileSync(`${folder}${code}.md`, 'utf8');
  const { status, exit, fix } = ERRORS[code];

  test('says what it means, when it is thrown, what to do, and shows one', () => {
    expect(text.split('\n')[0]).toBe(`# ${code}`);
    expect(partsOf(text)).toMatchObject({ facts: `HTTP status ${status} · exit code ${exit}` });
    const { when = '', todo = '', example = '' } = partsOf(text) ?? {};
    expect(when).toMatch(/^- /);
    expect(oneLine(todo).startsWith(`${fix} - `), fix).toBe(true);
    expect(example.startsWith(`${code}  `)).toBe(true);
  });

  test('is short, has no other code block, and its links lead to pages', () => {
    const lines = text.trimEnd().split('\n').length;
    expect([lines >= 15, lines <= 35]).toEqual([true, true]);
    expect(text.match(/^```/gm)).toHaveLength(2);
    const links = [...text.matchAll(/\]\(([^)]+)\)/g)].map(([, target = '']) => target);
    expect(links.filter((target) => !existsSync(folder + target))).toEqual([]);
  });
});

test('there is no page of a code that does not exist', () => {
  expect(readdirSync(folder).toSorted()).toEqual([...codes.map((code) => `${code}.md`), 'README.md'].toSorted());
});

test('the table of all codes is that of the registry, by family', () => {
  const readme = readFileSync(`${folder}README.md`, 'utf8');
  const rows = readme
    .split(/^## /m)
    .slice(1)
    .flatMap((section) => {
      const family = /^[A-Z]+_/.exec(section)?.[0] ?? '';
      return [...section.matchAll(/^\| \[.+$/gm)].map(([row]) => ({ family, row }));
    });
  const expected = codes.map((code) => {
    const what = partsOf(readFileSync(`${folder}${code}.md`, 'utf8'))?.what;
    const { status, exit } = ERRORS[code];
    return { family: `${code.split('_')[0]}_`, row: `| [${code}](${code}.md) | ${what} | ${status} | ${exit} |` };
  });
  const families = [...new Set(expected.map(({ family }) => family))];
  expect(rows).toEqual(families.flatMap((family) => expected.filter((one) => one.family === family)));
});

describe('an error', () => {
  const error = new PawlError('RUN_NOT_FOUND', 'There is no run "x" in this store.', { details: { id: 'x' }, cause: new Error('below') });

  test('names its page, which the package has', () => {
    expect(error.docs).toBe('docs/errors/RUN_NOT_FOUND.md');
    const { files } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as { files: string[] };
    expect(files).toContain('docs/errors');
  });

  test('is the same as JSON everywhere, without its cause and its stack', () => {
    expect(JSON.parse(JSON.stringify(error))).toEqual({
      code: 'RUN_NOT_FOUND',
      message: 'There is no run "x" in this store.',
      fix: ERRORS.RUN_NOT_FOUND.fix,
      docs: 'docs/errors/RUN_NOT_FOUND.md',
      details: { id: 'x' },
    });
  });
});
