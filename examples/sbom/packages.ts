/** What the disk says about installed packages: where they are, what is in them, under which licence. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { NonRetryableError } from '../../src/index.ts';
import type { Inspection, Package } from './workflow.ts';

type Manifest = Readonly<Record<string, unknown>>;

/** By code units: the same order on every machine, whatever its language. */
export function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** A manifest with a name and a version; null where there is none. Folders inside packages may hold a package.json that is no package. */
export async function readManifest(folder: string): Promise<(Manifest & { name: string; version: string }) | null> {
  let manifest: unknown;
  try {
    manifest = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
  } catch (error) {
    if (error instanceof SyntaxError || codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return null;
    throw error;
  }
  const { name, version } = isObject(manifest) ? manifest : {};
  return typeof name === 'string' && name !== '' && typeof version === 'string' && version !== ''
    ? { ...(manifest as Manifest), name, version }
    : null;
}

/** Every package in a folder of packages, those of scopes and the nested ones too. Links are not followed. */
export async function findPackages(root: string, folder: string): Promise<Package[]> {
  const found: Package[] = [];
  for (const name of await foldersIn(join(root, folder))) {
    if (name.startsWith('.')) continue;
    const path = `${folder}/${name}`;
    const inside = name.startsWith('@') ? (await foldersIn(join(root, path))).map((each) => `${path}/${each}`) : [path];
    for (const each of inside) {
      const manifest = await readManifest(join(root, each));
      if (manifest !== null) found.push({ path: each, name: manifest.name, version: manifest.version });
      found.push(...(await findPackages(root, `${each}/node_modules`)));
    }
  }
  return found;
}

async function foldersIn(folder: string): Promise<string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw error;
  }
}

/** One hash over the names and contents of all files of a package, in a stable order; packages nested in it are their own. */
export async function hashFiles(folder: string, signal: AbortSignal): Promise<Pick<Inspection, 'files' | 'bytes' | 'sha256'>> {
  const all = createHash('sha256');
  let bytes = 0;
  const files = (await filesIn(folder, '')).sort(byText);
  for (const file of files) {
    const one = createHash('sha256');
    for await (const chunk of createReadStream(join(folder, file), { signal, highWaterMark: 1 << 18 }) as AsyncIterable<Buffer>) {
      one.update(chunk);
      bytes += chunk.length;
    }
    all.update(`${one.digest('hex')}  ${file}\n`);
  }
  return { files: files.length, bytes, sha256: all.digest('hex') };
}

async function filesIn(folder: string, prefix: string): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await readdir(join(folder, prefix), { withFileTypes: true })) {
    const name = `${prefix}${entry.name}`;
    if (entry.isFile()) found.push(name);
    else if (entry.isDirectory() && name !== 'node_modules') found.push(...(await filesIn(folder, `${name}/`)));
  }
  return found;
}

/** From the manifest, or from a licence file. Throws, for good, where neither tells: that package fails, the others go on. */
export async function findLicence(folder: string, manifest: Manifest): Promise<Pick<Inspection, 'licence' | 'licenceFrom'>> {
  const told = licenceField(manifest);
  if (told === 'UNLICENSED') {
    throw new NonRetryableError('The manifest says UNLICENSED: nobody is given any right to use it.', { code: 'LICENCE_NOT_GRANTED' });
  }
  const elsewhere = /^SEE LICEN[CS]E IN (.+)$/i.exec(told)?.[1];
  if (told !== '' && elsewhere === undefined) return { licence: told.slice(0, 200), licenceFrom: 'package.json' };
  const names = await readdir(folder);
  const file = names.sort(byText).find((name) => (elsewhere === undefined ? /^(licen[cs]e|copying)/i.test(name) : name === elsewhere));
  if (file === undefined) {
    const why =
      elsewhere === undefined
        ? 'The manifest names no licence and there is no licence file.'
        : `The manifest points to ${elsewhere}, which is not there.`;
    throw new NonRetryableError(why, { code: 'LICENCE_NOT_FOUND' });
  }
  return { licence: licenceOfText(await readFile(join(folder, file), 'utf8')) ?? `see ${file}`, licenceFrom: file };
}

/** Today's `license: "MIT"`, and the forms of long ago: `license: { type }`, `licenses: [{ type }]`. */
function licenceField({ license, licenses }: Manifest): string {
  const nameOf = (value: unknown): string => (typeof value === 'string' ? value.trim() : isObject(value) ? nameOf(value['type']) : '');
  if (!Array.isArray(licenses) || nameOf(license) !== '') return nameOf(license);
  const names = licenses.map(nameOf).filter((name) => name !== '');
  return names.length > 1 ? `(${names.join(' OR ')})` : (names[0] ?? '');
}

const PHRASES: readonly (readonly [licence: string, phrases: readonly string[]])[] = [
  ['Apache-2.0', ['apache license', 'version 2.0']],
  ['MPL-2.0', ['mozilla public license', 'version 2.0']],
  [
    'MIT',
    [
      'permission is hereby granted, free of charge, to any person obtaining a copy',
      'the above copyright notice and this permission notice',
    ],
  ],
  ['ISC', ['permission to use, copy, modify, and/or distribute this software', 'provided that the above copyright notice']],
  ['0BSD', ['permission to use, copy, modify, and/or distribute this software for any purpose']],
  ['BSD-3-Clause', ['redistribution and use in source and binary forms', 'endorse or promote']],
  ['BSD-2-Clause', ['redistribution and use in source and binary forms']],
];

function licenceOfText(text: string): string | undefined {
  const plain = text.toLowerCase().replace(/\s+/g, ' ');
  return PHRASES.find(([, phrases]) => phrases.every((phrase) => plain.includes(phrase)))?.[0];
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

function codeOf(error: unknown): unknown {
  return isObject(error) ? error['code'] : undefined;
}
