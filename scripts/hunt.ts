/**
 * Property tests with a new seed each round, until the minutes given are over or one fails: `npm run hunt -- 10`. `npm test` takes
 * one fixed seed, so that it fails for what a change did and not for a case that was always there; this looks for those cases.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../', import.meta.url));
const minutes = Number(process.argv[2] ?? 5);
if (!(minutes > 0)) throw new Error(`How many minutes? '${process.argv[2]}' is none.`);

const files = ['src', 'test']
  .flatMap((folder) => readdirSync(`${root}${folder}`, { recursive: true, encoding: 'utf8' }).map((file) => `${folder}/${file}`))
  .filter((file) => file.endsWith('.test.ts') && readFileSync(`${root}${file}`, 'utf8').includes("from 'fast-check'"));

const until = performance.now() + minutes * 60_000;
for (let rounds = 1; ; rounds++) {
  const seed = Math.trunc(Math.random() * 2 ** 31);
  const { status } = spawnSync(process.execPath, ['node_modules/vitest/vitest.mjs', 'run', '--reporter=dot', ...files], {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, PAWL_SEED: String(seed) },
  });
  if (status !== 0) {
    console.error(`Failed in round ${rounds}; again: PAWL_SEED=${seed} npm test`);
    process.exit(1);
  }
  if (performance.now() > until) {
    console.log(`${rounds} rounds of ${files.length} files: nothing found.`);
    break;
  }
}
