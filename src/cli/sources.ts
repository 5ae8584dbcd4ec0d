import { readdirSync, watch, type FSWatcher } from 'node:fs';
import { join } from 'node:path';

const CODE = /\.([cm]?[jt]sx?|json)$/;

/**
 * Calls back when a file of code under the folder changes. Folders of packages and hidden ones are left out: they are large, and one of
 * them holds the store. Each folder is watched by itself, since Node's recursive watching goes into all of them.
 */
export function watchSources(folder: string, onChange: (file: string) => void): () => void {
  const watchers = new Map<string, FSWatcher>();
  const add = (at: string): void => {
    if (watchers.has(at)) return;
    let names: string[];
    try {
      names = readdirSync(at, { withFileTypes: true }).flatMap((one) => (one.isDirectory() && isWatched(one.name) ? [one.name] : []));
      const watcher = watch(at, (_, name) => seen(at, name));
      watcher.on('error', () => drop(at));
      watchers.set(at, watcher);
    } catch {
      // Gone, or no folder: what is in it cannot change.
      return;
    }
    for (const name of names) add(join(at, name));
  };
  const seen = (at: string, name: string | null): void => {
    if (name === null || !isWatched(name)) return;
    if (CODE.test(name)) onChange(join(at, name));
    else add(join(at, name));
  };
  const drop = (at: string): void => {
    watchers.get(at)?.close();
    watchers.delete(at);
  };
  add(folder);
  return () => [...watchers.keys()].forEach(drop);
}

const isWatched = (name: string): boolean => !name.startsWith('.') && name !== 'node_modules';
