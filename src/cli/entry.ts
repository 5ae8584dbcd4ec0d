import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Registrable } from '../compose.ts';
import { PawlError, type ErrorCode, ERRORS } from '../core/errors.ts';
import type { Workflow } from '../core/types/types.ts';
import { codeFolder } from '../own-files.ts';
import { shownPath } from './config.ts';

export type AnyWorkflow = Workflow<never, unknown>;

export interface Entry {
  readonly file: string;
  /** Every exported workflow, task and signal, also out of exported lists. */
  readonly use: readonly Registrable[];
  readonly workflows: readonly AnyWorkflow[];
}

/** Imports the module. Throws `CONFIG_ENTRY` with the place where it throws or exports nothing to register, or the builder's own error. */
export async function loadEntry(file: string, cwd: string): Promise<Entry> {
  const name = shownPath(file, cwd);
  let module: Readonly<Record<string, unknown>>;
  try {
    module = (await import(pathToFileURL(file).href)) as Readonly<Record<string, unknown>>;
  } catch (error) {
    throw isPawlLike(error) ? error : entryError(error, name, cwd);
  }
  const use = [...new Set(Object.values(module).flatMap((value) => (Array.isArray(value) ? (value as unknown[]) : [value])))].filter(
    isRegistrable,
  );
  if (use.length === 0) {
    throw new PawlError('CONFIG_ENTRY', `${name} exports no workflow, task or signal.`, {
      fix: 'Export what is to be registered: export const order = workflow(…).',
      details: { file, exports: Object.keys(module) },
    });
  }
  return { file, use, workflows: use.filter((one): one is AnyWorkflow => one.kind === 'workflow') };
}

const KINDS = ['workflow', 'task', 'signal'];

function isRegistrable(value: unknown): value is Registrable {
  if (typeof value !== 'object' || value === null || !('kind' in value) || !('name' in value)) return false;
  return typeof value.name === 'string' && KINDS.includes(String(value.kind));
}

/** One of Pawl's errors, also of another copy of the package. */
export function isPawlLike(error: unknown): error is PawlError {
  return error instanceof Error && error.name === 'PawlError' && 'code' in error && Object.hasOwn(ERRORS, error.code as ErrorCode);
}

function entryError(error: unknown, name: string, cwd: string): PawlError {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : `thrown: ${String(error)}`;
  const place = error instanceof Error ? placeOf(error, cwd) : null;
  return new PawlError('CONFIG_ENTRY', `${place ?? name}: ${text}`, {
    cause: error,
    details: { entry: name, ...(place === null ? {} : { place }) },
  });
}

const OWN_FOLDER = fileURLToPath(codeFolder);

/** The first line of the stack that is in a file of the user: for a syntax error the file stands alone above the stack. */
function placeOf(error: Error, cwd: string): string | null {
  for (const [, url = '', position = ''] of String(error.stack).matchAll(/(?:^|\(|at )((?:file:\/\/)?\/[^()\n]*?):(\d+(?::\d+)?)\)?$/gm)) {
    const path = url.startsWith('file:') ? fileURLToPath(url) : url;
    if (!/[\\/]node_modules[\\/]/.test(path) && !path.startsWith(OWN_FOLDER)) return `${shownPath(path, cwd)}:${position}`;
  }
  return null;
}
