/** The engine under test: a copy of the sources, so that an edit during a trial changes nothing; with a planted fault where asked. */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SRC = fileURLToPath(new URL('../../src', import.meta.url));

export interface Patch {
  /** Under src. */
  readonly file: string;
  /** Must occur exactly once: a patch that no longer applies is an error, not a fault that was not found. */
  readonly find: string;
  readonly replace: string;
}

/** Calls back with the folder of the copy, which then is removed. */
export async function withSources<T>(patch: Patch | null, use: (src: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'pawl-sources-'));
  try {
    const src = join(folder, 'src');
    cpSync(SRC, src, { recursive: true });
    symlinkSync(join(SRC, '../node_modules'), join(folder, 'node_modules'));
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module' }));
    if (patch !== null) plant(src, patch);
    return await use(src);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function plant(src: string, { file, find, replace }: Patch): void {
  const path = join(src, file);
  const [before, after, ...more] = readFileSync(path, 'utf8').split(find);
  if (before === undefined || after === undefined || more.length > 0) {
    throw new Error(
      `the planted fault in ${file} does not apply: its place is ${more.length === 0 ? 'not there' : 'there more than once'}`,
    );
  }
  writeFileSync(path, before + replace + after);
}
