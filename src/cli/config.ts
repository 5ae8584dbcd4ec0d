import { existsSync, readFileSync } from 'node:fs';
import { dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { PawlError } from '../core/errors.ts';
import type { Io } from './io.ts';

export const DEFAULT_STORE = 'sqlite:./.pawl/dev.db';
export const ENTRY_NAMES = ['pawl.ts', 'src/pawl.ts', 'pawl.js', 'src/pawl.js'] as const;

interface Project {
  /** The folder of the nearest package.json; the current one where there is none. */
  readonly folder: string;
  readonly store?: string;
  readonly entry?: string;
}

/** The address of the store: the option, PAWL_STORE, package.json, or the default beside package.json. Its path is absolute. */
export function storeAddress(option: string | undefined, io: Io): string {
  const given = option ?? filled(io.env['PAWL_STORE']);
  if (given !== undefined) return absolute(given, io.cwd);
  const project = findProject(io.cwd);
  return absolute(project.store ?? DEFAULT_STORE, project.folder);
}

/** The file of an address; null where it is none. */
export function storeFile(address: string): string | null {
  const path = /^sqlite:(.+)$/s.exec(address)?.[1];
  return path === undefined || path === ':memory:' ? null : path;
}

function absolute(address: string, folder: string): string {
  const path = storeFile(address);
  return path === null || isAbsolute(path) ? address : `sqlite:${resolve(folder, path)}`;
}

/** The module whose exports are registered. Throws `CONFIG_ENTRY` where there is none. */
export function entryFile(option: string | undefined, io: Io): string {
  const found = findEntry(option, io);
  if (found !== null) return found;
  const project = findProject(io.cwd);
  throw new PawlError('CONFIG_ENTRY', `There is no entry: none of ${ENTRY_NAMES.join(', ')} is in ${project.folder}.`, {
    fix: 'Write a module that exports your workflows and tasks, and name it with --entry <file> or as "pawl": { "entry": … } in package.json.',
  });
}

/** Whether one is named or found. */
export const hasEntry = (option: string | undefined, io: Io): boolean => findEntry(option, io) !== null;

function findEntry(option: string | undefined, io: Io): string | null {
  const given = option ?? filled(io.env['PAWL_ENTRY']);
  if (given !== undefined) return existing(resolve(io.cwd, given), given);
  const project = findProject(io.cwd);
  if (project.entry !== undefined) return existing(resolve(project.folder, project.entry), `${project.entry} (of package.json)`);
  const paths = [io.cwd, project.folder].flatMap((folder) => ENTRY_NAMES.map((name) => join(folder, name)));
  return paths.find((path) => existsSync(path)) ?? null;
}

function existing(path: string, given: string): string {
  if (!existsSync(path)) throw new PawlError('CONFIG_ENTRY', `The entry ${given} does not exist.`, { details: { path } });
  return path;
}

/** How a path is shown: relative where that is shorter. */
export function shownPath(path: string, cwd: string): string {
  const short = relative(cwd, path);
  return short !== '' && short.length < path.length ? short : path;
}

const filled = (value: string | undefined): string | undefined => (value === '' ? undefined : value);

function findProject(cwd: string): Project {
  for (let folder = cwd; ; folder = dirname(folder)) {
    const file = join(folder, 'package.json');
    if (existsSync(file)) return { folder, ...readSettings(file) };
    if (dirname(folder) === folder) return { folder: cwd };
  }
}

function readSettings(file: string): { readonly store?: string; readonly entry?: string } {
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new PawlError('CONFIG_OPTION', `${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
  const settings = isBag(parsed) ? parsed['pawl'] : undefined;
  if (settings === undefined) return {};
  if (!isBag(settings)) throw new PawlError('CONFIG_OPTION', `${file}: "pawl" must be an object with "store" and "entry".`);
  const text = (key: string): string | undefined => {
    const value = settings[key];
    if (value === undefined || (typeof value === 'string' && value !== '')) return value;
    throw new PawlError('CONFIG_OPTION', `${file}: "pawl.${key}" must be a text.`);
  };
  const [store, entry] = [text('store'), text('entry')];
  return { ...(store === undefined ? {} : { store }), ...(entry === undefined ? {} : { entry }) };
}

const isBag = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
