/**
 * Keeps package-lock.json, and that of the benchmark's peers, usable everywhere. `node scripts/lock.ts` repairs it, `--check` only reports.
 *
 * Tools with native parts list one optional package per platform. When a registry lacks some of them, npm leaves them out of
 * the lock file, and the next `npm ci` refuses it ("Missing: ... from lock file"). An entry with the right `os` and `cpu` is
 * enough: it is skipped on every other platform. So after each `npm install <package>` run `npm run lock`.
 *
 * `resolved` URLs must not be written: they tie the lock file to one registry.
 */
import { readFileSync, writeFileSync } from 'node:fs';

type Entry = {
  version?: string;
  resolved?: string;
  dev?: boolean;
  link?: boolean;
  optional?: boolean;
  os?: string[];
  cpu?: string[];
  libc?: string[];
  optionalDependencies?: Record<string, string>;
};
type Lock = { packages: Record<string, Entry> };

const systems = ['aix', 'android', 'darwin', 'freebsd', 'linux', 'netbsd', 'openbsd', 'openharmony', 'sunos', 'win32'];
const processors = ['arm', 'arm64', 'ia32', 'loong64', 'mips64el', 'ppc64', 'riscv64', 's390x', 'wasm32', 'x64'];
const libraries: Record<string, string> = { gnu: 'glibc', musl: 'musl', gnueabihf: 'glibc', musleabihf: 'musl' };

const files = ['package-lock.json', 'bench/peers/package-lock.json'];

function platformOf(name: string): Pick<Entry, 'os' | 'cpu' | 'libc'> | undefined {
  const words = name.split(/[/-]/);
  const os = systems.filter((each) => words.includes(each));
  const cpu = processors.filter((each) => words.includes(each));
  const libc = words.flatMap((each) => libraries[each] ?? []);
  if (os.length === 0 && cpu.length === 0) return undefined;
  return { ...(os.length > 0 && { os }), ...(cpu.length > 0 && { cpu }), ...(libc.length > 0 && { libc }) };
}

/** Where Node would find `name` from the package at `from`: its own node_modules, then each one above it. */
function find(lock: Lock, from: string, name: string): string | undefined {
  for (let folder = from; ; folder = folder.slice(0, folder.lastIndexOf('/node_modules/'))) {
    const place = `${folder}/node_modules/${name}`.replace(/^\//, '');
    if (lock.packages[place] !== undefined) return place;
    if (!folder.includes('/node_modules/')) break;
  }
  const top = `node_modules/${name}`;
  return lock.packages[top] === undefined ? undefined : top;
}

/** Repairs the lock in place; what was wrong with it. */
function repair(file: string, lock: Lock): string[] {
  const problems: string[] = [];
  for (const [place, entry] of Object.entries(lock.packages)) {
    if (entry.resolved !== undefined && entry.link !== true) {
      problems.push(`${place} has a resolved URL`);
      delete entry.resolved;
    }
    for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
      if (find(lock, place, name) !== undefined) continue;
      const platform = platformOf(name);
      if (platform === undefined || !/^\d/.test(version)) {
        throw new Error(`${file}: no entry for ${name}@${version} (of ${place}), and its platform is not in its name. Add it by hand.`);
      }
      const { os, cpu, libc } = platform; // written in npm's order, so that npm leaves them as they are
      problems.push(`no entry for ${name}@${version}`);
      lock.packages[`node_modules/${name}`] = {
        version,
        ...(cpu && { cpu }),
        ...(entry.dev && { dev: true }),
        ...(libc && { libc }),
        optional: true,
        ...(os && { os }),
      };
    }
  }
  return problems;
}

for (const file of files) {
  const url = new URL(`../${file}`, import.meta.url);
  const lock = JSON.parse(readFileSync(url, 'utf8')) as Lock;
  const problems = repair(file, lock);
  if (problems.length === 0) {
    console.log(`${file}: ${Object.keys(lock.packages).length} entries, complete, no resolved URLs`);
  } else if (process.argv.includes('--check')) {
    console.error(`${file}:\n  ${problems.join('\n  ')}\nFix: npm run lock`);
    process.exitCode = 1;
  } else {
    const sorted = Object.entries(lock.packages).sort(([a], [b]) => a.localeCompare(b, 'en'));
    writeFileSync(url, `${JSON.stringify({ ...lock, packages: Object.fromEntries(sorted) }, null, 2)}\n`);
    console.log(`${file}: repaired ${problems.length}`);
  }
}
