import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { fences, isPrinted } from '../docs/blocks.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const folders = readdirSync(`${root}examples`);

/** What the README of an example says that its commands print. */
const shown = folders.flatMap((folder) =>
  fences(readFileSync(`${root}examples/${folder}/README.md`, 'utf8')).flatMap(({ language, text }) => {
    const [, command, prints] = language === 'text' ? (/^\$ node (\S+)\n(.*)$/s.exec(text) ?? []) : [];
    return command === undefined || prints === undefined ? [] : [{ command, prints }];
  }),
);

describe('the examples', () => {
  test('show what they print', () => {
    expect(shown.map(({ command }) => command)).toEqual(
      ['agent', 'approval', 'onboarding', 'order'].map((name) => `examples/${name}/demo.ts`),
    );
  });

  test.each(shown)('$command prints what its README says', ({ command, prints }) => {
    const { stdout, stderr, status } = spawnSync(process.execPath, [command], { cwd: root, encoding: 'utf8', timeout: 25_000 });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    if (!isPrinted(prints, stdout)) expect(stdout).toBe(prints);
  });
});
