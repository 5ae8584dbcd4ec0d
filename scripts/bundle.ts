/**
 * The published code: src/ in few files. Node takes about half a millisecond to find, read and link a module, whatever is in it, and the library has
 * hundreds; what is parsed and not used costs too, so what is loaded later stays apart. Names stay as they are written, since they are in stacks.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown, type OutputChunk } from 'rolldown';

const root = fileURLToPath(new URL('../', import.meta.url));
const src = `${root}src/`;

/** What package.json names. */
const ENTRIES = ['index', 'testing/index', 'lint/index', 'observe/pino', 'cli/main'];

/** What threads and processes begin with: named where they are begun. */
function ownModules(): string[] {
  const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
  return files.flatMap((name) =>
    [...readFileSync(`${src}${name}`, 'utf8').matchAll(/\bownModule\('([^']+)'\)/g)].map(([, module = '']) => module),
  );
}

interface Graph {
  getModuleInfo(id: string): { readonly importedIds: readonly string[] } | null;
}

/** A module's path in src. */
const nameOf = (id: string): string => relative(src, id).replace(/\.ts$/, '');

/**
 * In which file a module goes that several need. Each file holds a set of modules with all that these import, but for what an earlier one holds:
 * so no two files need each other, and whoever loads the library, a thread or a command reads little that it does not run.
 */
function filesOf(graph: Graph): (id: string) => string | null {
  const closure = (...modules: readonly string[]): ReadonlySet<string> => {
    const reached = new Set(modules.map((module) => `${src}${module}.ts`));
    for (const id of reached) for (const imported of graph.getModuleInfo(id)?.importedIds ?? []) reached.add(imported);
    return reached;
  };
  const library = closure('index', 'testing/index');
  const thread = closure('beating');
  const store = closure('store/sqlite/split', 'store/sqlite/store');
  const start = closure('cli/main');
  const commands = closure('cli/program', 'cli/errors', 'cli/args', 'cli/find', 'cli/table', 'cli/time');
  return (id) => {
    if (library.has(id)) return thread.has(id) || start.has(id) ? 'base' : 'library';
    if (thread.has(id)) return 'file';
    if (store.has(id)) return 'store';
    if (start.has(id)) return 'command-line';
    return commands.has(id) ? 'commands' : null;
  };
}

/** Writes the code into a folder. */
export async function bundle(folder: string): Promise<void> {
  const entries = [...new Set([...ENTRIES, ...ownModules()])];
  let fileOf: ((id: string) => string | null) | null = null;
  const build = await rolldown({
    cwd: root,
    platform: 'node',
    tsconfig: false,
    // Packages come from where the user has them.
    external: /^[a-z@]/,
    // why: 'strict' does not go with files that are chosen module by module; an entry grows only by what others need of it, and nothing imports one
    preserveEntrySignatures: 'allow-extension',
    input: Object.fromEntries(entries.map((name) => [name, `./src/${name}.ts`])),
    onLog: (level, log) => {
      // why: what is loaded when needed and is here already costs nothing
      if (level === 'warn' && log.code !== 'INEFFECTIVE_DYNAMIC_IMPORT') throw new Error(log.message);
    },
  });
  const { output } = await build.write({
    dir: folder,
    format: 'esm',
    entryFileNames: '[name].js',
    chunkFileNames: ({ moduleIds }) => (moduleIds.some((id) => nameOf(id).startsWith('cli/')) ? 'cli/[name].js' : '[name].js'),
    sourcemap: true,
    comments: false,
    codeSplitting: {
      includeDependenciesRecursively: false,
      groups: [
        {
          debugName: 'what loads it',
          name: (id, graph) => (entries.includes(nameOf(id)) ? null : (fileOf ??= filesOf(graph))(id)),
        },
      ],
    },
  });
  await build.close();
  const holder = output.find(
    (file): file is OutputChunk => file.type === 'chunk' && file.moduleIds.some((id) => nameOf(id) === 'own-files'),
  );
  if (holder === undefined || holder.fileName.includes('/'))
    throw new Error('src/own-files.ts must stay at the top of dist/: it tells where the rest is.');
}
