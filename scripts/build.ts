/** Builds dist/ from src/ with the compiler named by path: the packages `typescript` (6, for its API) and `ts7` both claim `tsc`. */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../', import.meta.url));
rmSync(`${root}dist`, { recursive: true, force: true });

const compiler = spawnSync(process.execPath, [`${root}node_modules/ts7/bin/tsc`, '-p', 'tsconfig.build.json'], {
  cwd: root,
  stdio: 'inherit',
});
if (compiler.status !== 0) process.exit(1);

const { exports, bin } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as {
  exports: Record<string, string | Record<string, string>>;
  bin: Record<string, string>;
};
const promised = [
  ...Object.values(exports).flatMap((target) => (typeof target === 'string' ? target : Object.values(target))),
  ...Object.values(bin),
];
const missing = promised.filter((file) => !existsSync(`${root}${file}`));
if (missing.length > 0) {
  console.error(`build: package.json exports files that were not built: ${missing.join(', ')}`);
  process.exit(1);
}
// npm does the same where it installs the package; a clone is to work too.
for (const file of Object.values(bin)) chmodSync(`${root}${file}`, 0o755);
