/** The package as its users get it: built, packed, and installed by npm into a folder where nothing else is. */
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, readdirSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { program } from './program.ts';

const root = fileURLToPath(new URL('../', import.meta.url));

/** Written by npm when all is in place. */
const LOCK = 'node_modules/.package-lock.json';

/** What a tarball holds beside the files that package.json names. */
const ALWAYS = ['package.json', 'README.md', 'LICENSE'];

interface Lock {
  /** By folder; an empty text is the project itself. */
  readonly packages: Readonly<Record<string, { readonly dev?: boolean }>>;
}

export interface Installed {
  readonly packages: number;
  readonly installedMb: number;
  /** A program in plain JavaScript beside the installed package, and what it imports. */
  readonly program: string;
  readonly entry: string;
}

/**
 * The program beside the package, which is installed once for all rounds of a benchmark; a round that is started alone installs it into its
 * own folder.
 */
export async function install(folder: string, source: URL): Promise<Installed> {
  const place = process.env['PAWL_BENCH_SHARED'] ?? join(folder, 'installed');
  const app = join(place, 'app');
  if (!existsSync(join(app, LOCK))) await installInto(place);
  const modules = join(app, 'node_modules');
  const { packages } = JSON.parse(readFileSync(join(app, LOCK), 'utf8')) as Lock;
  const file = join(app, basename(source.pathname, '.ts').concat('.js'));
  writeFileSync(file, stripTypeScriptTypes(readFileSync(source, 'utf8')));
  return { packages: Object.keys(packages).length, installedMb: bytesUnder(modules) / 1e6, program: file, entry: 'pawl' };
}

/**
 * Built into `folder`, so that what stands in the checkout stays as it is. What the package depends on is packed from the checkout, in the versions
 * of the lock file: npm needs no registry, and two measurements of one commit install the same.
 */
async function installInto(folder: string): Promise<void> {
  const [source, app] = [join(folder, 'package'), join(folder, 'app')];
  // What an install that failed has left is no package.
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  // What the tools keep for the next time goes too.
  const env = { TMPDIR: folder };
  const npm = (args: readonly string[], cwd: string): Promise<unknown> => program(['npm', ...args, '--loglevel', 'error'], { cwd, env });
  await program([process.execPath, join(root, 'scripts/build.ts'), join(source, 'dist')], { cwd: root, env });
  const { files } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as { files: readonly string[] };
  for (const file of [...ALWAYS, ...files].filter((name) => name !== 'dist'))
    cpSync(join(root, file), join(source, file), { recursive: true });
  await npm(['pack', '--ignore-scripts', '--pack-destination', folder, source, ...dependencies()], root);
  const tarballs = readdirSync(folder).filter((name) => name.endsWith('.tgz'));
  mkdirSync(app);
  writeFileSync(join(app, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
  await npm(['install', '--offline', '--no-audit', '--no-fund', ...tarballs.map((name) => join(folder, name))], app);
}

/** The folders of what the package needs where it runs. */
function dependencies(): string[] {
  const { packages } = JSON.parse(readFileSync(`${root}package-lock.json`, 'utf8')) as Lock;
  return Object.entries(packages).flatMap(([folder, { dev }]) => (folder === '' || dev === true ? [] : [join(root, folder)]));
}

function bytesUnder(folder: string): number {
  const names = readdirSync(folder, { recursive: true, withFileTypes: true });
  return names.filter((one) => one.isFile()).reduce((sum, one) => sum + statSync(join(one.parentPath, one.name)).size, 0);
}
