import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import plugin from './index.ts';

const path = (of: string): string => fileURLToPath(new URL(of, import.meta.url));
const code = readFileSync(path('../../test/fixtures/lint/workflows.ts.txt'), 'utf8');

interface Answer {
  readonly diagnostics: readonly { readonly code: string; readonly labels: readonly { readonly span: { readonly line: number } }[] }[];
}

/** The lines on which the real oxlint, with the plugin, finds something; a line as often as it has findings. */
function found(): number[] {
  const folder = mkdtempSync(join(tmpdir(), 'pawl-lint-'));
  try {
    const config = join(folder, 'oxlint.json');
    const rules = { 'pawl/no-ref-as-value': 'error' };
    writeFileSync(config, JSON.stringify({ categories: { correctness: 'off' }, jsPlugins: [path('./index.ts')], rules }));
    writeFileSync(join(folder, 'workflows.ts'), code);
    const args = [path('../../node_modules/oxlint/bin/oxlint'), '--config', config, '--format', 'json', join(folder, 'workflows.ts')];
    const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    if (!stdout.startsWith('{')) throw new Error(`oxlint said: ${stdout}${stderr}`);
    const { diagnostics } = JSON.parse(stdout) as Answer;
    expect(diagnostics.filter((each) => !each.code.includes('no-ref-as-value'))).toEqual([]);
    return diagnostics.map((each) => each.labels[0]?.span.line ?? 0).toSorted((a, b) => a - b);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test('no-ref-as-value finds every use of a ref as a value, and nothing else', () => {
  const expected = code.split('\n').flatMap((line, i) => {
    const mark = /\/\/ found(?:: (\d+))?$/.exec(line);
    return mark ? Array.from({ length: Number(mark[1] ?? 1) }, () => i + 1) : [];
  });
  expect(expected.length).toBeGreaterThan(30);
  expect(found()).toEqual(expected);
});

test('the plugin has the form that ESLint and oxlint load', () => {
  expect(plugin).toMatchObject({
    meta: { name: 'pawl' },
    rules: { 'no-ref-as-value': { meta: { type: 'problem' }, create: expect.any(Function) } },
  });
});
