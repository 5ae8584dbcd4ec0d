/**
 * Builds dist/ from src/, or another folder that is given: the types with the compiler named by path (the packages `typescript` (6, for its API) and
 * `ts7` both claim `tsc`), the code as bundles.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundle } from './bundle.ts';

const root = fileURLToPath(new URL('../', import.meta.url));
const dist = resolve(process.argv[2] ?? `${root}dist`);
rmSync(dist, { recursive: true, force: true });

const compiler = spawnSync(process.execPath, [`${root}node_modules/ts7/bin/tsc`, '-p', 'tsconfig.build.json', '--outDir', dist], {
  cwd: root,
  stdio: 'inherit',
});
if (compiler.status !== 0) process.exit(1);
await bundle(dist);

const { exports, bin } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as {
  exports: Record<string, string | Record<string, string>>;
  bin: Record<string, string>;
};
const promised = [
  ...Object.values(exports).flatMap((target) => (typeof target === 'string' ? target : Object.values(target))),
  ...Object.values(bin),
];
const built = (file: string): string => join(dist, file.replace(/^(\.\/)?dist\//, ''));
const missing = promised.filter((file) => file !== './package.json' && !existsSync(built(file)));
if (missing.length > 0) {
  console.error(`build: package.json exports files that were not built: ${missing.join(', ')}`);
  process.exit(1);
}
// npm does the same where it installs the package; a clone is to work too.
for (const file of Object.values(bin)) chmodSync(built(file), 0o755);
