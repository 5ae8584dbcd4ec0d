import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('./', import.meta.url));

interface Manifest {
  readonly version?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
}

const manifest = (path: string): Manifest => JSON.parse(readFileSync(path, 'utf8')) as Manifest;

/** The versions that bench/peers/package.json asks for, all of them exact. */
export function wantedVersions(): Readonly<Record<string, string>> {
  return manifest(`${folder}package.json`).dependencies ?? {};
}

function isInstalled(): boolean {
  return Object.entries(wantedVersions()).every(([name, version]) => {
    const path = `${folder}node_modules/${name}/package.json`;
    return existsSync(path) && manifest(path).version === version;
  });
}

/** `npm ci` in bench/peers, unless what is there is what is wanted. No script of a package is run. */
export async function installPeers(): Promise<void> {
  if (isInstalled()) return;
  process.stderr.write('peers: npm ci in bench/peers\n');
  // Below `npm run` the prefix of the outer package is in the environment: hence --prefix.
  const args = ['ci', '--prefix', folder, '--ignore-scripts', '--no-audit', '--no-fund'];
  const npm = process.env['npm_execpath'];
  const [program, ...all] = npm === undefined ? ['npm', ...args] : [process.execPath, npm, ...args];
  await new Promise<void>((resolve, reject) => {
    const child = spawn(program, all, { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] });
    child.once('error', reject);
    child.once('close', (code, signal) =>
      code === 0 ? resolve() : reject(new Error(`npm ci in bench/peers ended with ${signal ?? `exit code ${code}`}`)),
    );
  });
}
