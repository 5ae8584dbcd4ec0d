/** The package's own files, as sources and as built. Bundling moves code from file to file: nothing but this module may ask where it lies. */

/** Where the code is: `src` or `dist`. */
export const codeFolder = new URL('./', import.meta.url);

/** Where `package.json` and the pages of the errors are. */
export const packageFolder = new URL('../', import.meta.url);

/** A module that a thread or a process starts with, named by its path in the code's folder. */
export const ownModule = (name: string): URL => new URL(`${name}${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, codeFolder);
