/** A copy of the sources with a planted fault. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const SRC = fileURLToPath(new URL('../../src', import.meta.url));

export interface Patch {
  /** Under src. */
  readonly file: string;
  /** Must occur exactly once: a patch that no longer applies is an error, not a fault that was not found. */
  readonly find: string;
  readonly replace: string;
}

/** Calls back with the folder of the copy, which then is removed. */
export async function withPlanted<T>(patch: Patch, use: (src: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'pawl-planted-'));
  try {
    const src = join(folder, 'src');
    cpSync(SRC, src, { recursive: true });
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module' }));
    const file = join(src, patch.file);
    const [before, after, ...more] = readFileSync(file, 'utf8').split(patch.find);
    if (before === undefined || after === undefined || more.length > 0) {
      throw new Error(
        `the planted fault in ${patch.file} does not apply: its place is there ${more.length === 0 ? 'not' : 'more than once'}`,
      );
    }
    writeFileSync(file, before + patch.replace + after);
    return await use(src);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
