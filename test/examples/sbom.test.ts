import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compareBodies, countPackages, unitOf, type Comparison, type Expected } from '../../examples/sbom/check.ts';
import { problemsOf, type Ending } from '../../examples/sbom/ending.ts';
import { readDiary, type BodyRecord } from '../../examples/sbom/log.ts';
import { findPackages } from '../../examples/sbom/packages.ts';

const demo = fileURLToPath(new URL('../../examples/sbom/demo.ts', import.meta.url));

type Component = { name: string; group?: string; purl: string; licenses?: unknown; properties: { name: string; value: string }[] };

const PLAIN = 36;
const HOSTILE = '<script>alert(1)</script>';

/** A project with 40 packages (scoped, nested, three without a licence), and manifests that are no packages. */
function makeProject(root: string): void {
  const put = (path: string, manifest: unknown): void => {
    const file = join(root, path, 'package.json');
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, typeof manifest === 'string' ? manifest : JSON.stringify(manifest));
  };
  put('', { name: 'small', version: '1.0.0' });
  for (let i = 0; i < PLAIN; i++) {
    const name = i % 4 === 0 ? `@scope/p${i}` : `p${i}`;
    put(`node_modules/${name}`, { name, version: `1.0.${i}`, ...(i < 3 ? {} : { license: 'MIT' }) });
  }
  put('node_modules/p1/node_modules/nested', { name: 'nested', version: '1.0.0', license: '(MIT OR CC0-1.0)' });
  put('node_modules/p1/node_modules/@scope/nested', { name: '@scope/nested', version: '1.0.0', license: HOSTILE });
  put('node_modules/by-file', { name: 'by-file', version: '1.0.0' });
  writeFileSync(join(root, 'node_modules/by-file/LICENSE.md'), 'Apache License\n   Version 2.0, January 2004\n');
  put('node_modules/not-granted', { name: 'not-granted', version: '1.0.0', license: 'UNLICENSED' });

  put('node_modules/p5/dist', { type: 'module' });
  put('node_modules/p5/test/node_modules/decoy', { name: 'decoy', version: '1.0.0' });
  put('node_modules/.bin/decoy', { name: 'decoy', version: '1.0.0' });
  put('node_modules/no-version', { name: 'no-version' });
  put('node_modules/broken', '{ "name": ');
}

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pawl-sbom-'));
  makeProject(join(folder, 'project'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the demo', () => {
  test('makes the whole document though its worker is killed, and repeats only what was in flight', () => {
    const out = join(folder, 'out');
    const { status, stdout, stderr } = spawnSync(process.execPath, [demo, join(folder, 'project'), '--out', out], {
      encoding: 'utf8',
      timeout: 60_000,
    });
    expect(stdout, stderr).toContain('SIGKILL to worker 1');
    expect(stdout).not.toContain('FAIL');
    expect(stdout).not.toContain('\x1b');
    expect(status, stdout + stderr).toBe(0);

    const bom = JSON.parse(readFileSync(join(out, 'bom.json'), 'utf8')) as { specVersion: string; components: Component[] };
    expect(bom.specVersion).toBe('1.6');
    expect(bom.components).toHaveLength(PLAIN + 4);
    const found = (purl: string): Component | undefined => bom.components.find((each) => each.purl === purl);
    expect(found('pkg:npm/%40scope/p4@1.0.4')).toMatchObject({ group: '@scope', name: 'p4', licenses: [{ license: { id: 'MIT' } }] });
    expect(found('pkg:npm/nested@1.0.0')).toMatchObject({ licenses: [{ expression: '(MIT OR CC0-1.0)' }] });
    expect(found('pkg:npm/by-file@1.0.0')).toMatchObject({ licenses: [{ license: { id: 'Apache-2.0' } }] });
    expect(found('pkg:npm/p1@1.0.1')?.properties).toEqual([{ name: 'pawl:sbom:problem', value: 'LICENCE_NOT_FOUND' }]);
    expect(found('pkg:npm/not-granted@1.0.0')?.properties).toEqual([{ name: 'pawl:sbom:problem', value: 'LICENCE_NOT_GRANTED' }]);

    const html = readFileSync(join(out, 'report.html'), 'utf8');
    expect(html).toContain('40 packages, 4 without a known licence');
    expect(html).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
    expect(html).not.toContain('<script');

    const pids = new Set(readDiary(join(out, 'bodies.log')).map((record) => record.pid));
    expect(pids.size).toBe(2);
  });

  test('refuses an --out that is not empty, and leaves it alone', () => {
    const out = join(folder, 'precious');
    mkdirSync(out);
    writeFileSync(join(out, 'thesis.txt'), 'chapter 1');
    const { status, stderr } = spawnSync(process.execPath, [demo, join(folder, 'project'), '--out', out], { encoding: 'utf8' });
    expect(stderr).toContain('is not empty');
    expect(status).toBe(1);
    expect(existsSync(join(out, 'thesis.txt'))).toBe(true);
  });
});

test('both ways of counting find the same packages, and no manifest that is none', async () => {
  const root = join(folder, 'project');
  expect(countPackages(root, ['node_modules'])).toBe(PLAIN + 4);
  expect((await findPackages(root, 'node_modules')).map((each) => each.path)).toHaveLength(PLAIN + 4);
});

describe('what is said at the end', () => {
  const text = JSON.stringify({ components: [{}, {}] });
  const made = { file: 'bom.json', sha256: createHash('sha256').update(text).digest('hex'), bytes: text.length, components: 2 };
  const bodies: Comparison = { began: 5, twice: [], inFlight: [], repeated: [], unheard: [] };
  const last: Ending['last'] = { status: 'partial', tasks: [], packages: 2, worker: '' };
  const fine = (): Ending => ({ out: folder, counted: 2, last, bodies, made, packageOf: () => undefined, wasOver: false });
  beforeAll(() => writeFileSync(join(folder, 'bom.json'), text));

  test('is nothing where nothing is wrong', () => {
    expect(problemsOf(fine())).toEqual([]);
  });

  test.each<[string, Partial<Ending>]>([
    ['another number of packages', { counted: 3 }],
    ['a body that ran again', { bodies: { ...bodies, repeated: ['inspect a'] } }],
    ['a task without a body', { bodies: { ...bodies, unheard: ['inspect a'] } }],
    ['a run that failed', { last: { ...last, status: 'failed' } }],
    ['no document', { made: undefined }],
    ['a document that was changed', { made: { ...made, sha256: '0' } }],
    ['a kill that came too late', { wasOver: true }],
  ])('names %s', (_, wrong) => {
    expect(problemsOf({ ...fine(), ...wrong })).toHaveLength(1);
  });
});

describe('the comparison of the diary with what was acknowledged', () => {
  const FIRST = 11;
  const SECOND = 22;
  const body = (item: string | null, pid: number, outcome?: BodyRecord['outcome']): BodyRecord[] => {
    const facts = { run: 'r', task: item === null ? 'scan' : 'inspect', item, attempt: 1, pid };
    return [{ event: 'began', ...facts }, ...(outcome === undefined ? [] : [{ event: 'ended' as const, ...facts, outcome }])];
  };
  /** Worker 1 did `scan` and `a`, refused `b`, was killed in `c`, and before it could report `d`; worker 2 did the rest. */
  const diary = [
    ...body(null, FIRST, 'ok'),
    ...body('a', FIRST, 'ok'),
    ...body('b', FIRST, 'refused'),
    ...body('c', FIRST),
    ...body('d', FIRST, 'ok'),
    ...body('c', SECOND, 'ok'),
    ...body('d', SECOND, 'ok'),
    ...body('e', SECOND, 'ok'),
  ];
  const expected: Expected = {
    killedPid: FIRST,
    acknowledged: new Set(['scan', 'inspect a', 'inspect b']),
    ended: new Set(diary.map(unitOf)),
  };

  test('is content when only what was in flight ran again', () => {
    expect(compareBodies(diary, expected)).toEqual({
      began: 8,
      twice: ['inspect c', 'inspect d'],
      inFlight: ['inspect c', 'inspect d'],
      repeated: [],
      unheard: [],
    });
  });

  test.each([
    ['a task that was done before the kill', null, 'scan'],
    ['an item that was done before the kill', 'a', 'inspect a'],
    ['an item that had failed for good before the kill', 'b', 'inspect b'],
    ['an item in flight, but once more than that allows', 'c', 'inspect c'],
    ['an item that only the second worker had', 'e', 'inspect e'],
  ])('reports %s when it ran again', (_, item, unit) => {
    expect(compareBodies([...diary, ...body(item, SECOND, 'ok')], expected).repeated).toEqual([unit]);
  });

  test('lets a body that threw be tried again, for that is its policy', () => {
    const tried = [...diary, ...body('f', SECOND, 'error'), ...body('f', SECOND, 'ok')];
    expect(compareBodies(tried, expected).repeated).toEqual([]);
    expect(compareBodies([...tried, ...body('f', SECOND, 'ok')], expected).repeated).toEqual(['inspect f']);
  });

  test('reports what is done in the store though no body of it ended', () => {
    const silent = diary.filter((record) => record.item !== 'a' || record.event === 'began');
    expect(compareBodies(silent, expected).unheard).toEqual(['inspect a']);
  });
});
