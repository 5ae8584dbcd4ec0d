/**
 * The boundaries between the folders of src/. A rule names what a folder MAY import; everything else is a violation.
 * Every rule is proved to fire by a planted violation under test/fixtures/boundaries (scripts/boundaries.ts compares the names).
 */

// What counts as public inside src/. Change these lines, not the rules, when a file moves.
const CORE = '^src/core/';
const STORE_PORT = '^src/store/[^/]+\\.ts$'; // store.ts and small files beside it; the adapters are folders
const STORE_PROGRAMS = '^src/store/sql/'; // what a store does in statements, whatever its database
const RUNNER_INTERFACE = '^src/runners/runner\\.ts$';
const ENGINE_PUBLIC = '^src/engine/(engine|ports)\\.ts$';
const WIRE = '^src/server/wire\\.ts$';
const ENTRIES = '^src/(index|testing/index|lint/index|observe/pino)\\.ts$';

const OWN_FILES = '^src/own-files\\.ts$'; // where threads find the modules that they start with
const NODE = 'core'; // Node's own modules: a type of dependency, for dependency-cruiser reports node:fs as `fs`
const CRON = '(^|/)node_modules/croner/'; // arithmetic over the calendar: it is given the instant, and asks no clock
const LIBRARIES = '(^|/)node_modules/'; // which of them is settled by `no-dev-dependency`, `driver-only-in-its-store` and package.json

const TEST = '\\.(test|test-d)\\.ts$';

/** Files of `folder` may import `allowed` and nothing else. Tests beside their file may reach further. */
const only = (name, folder, allowed, comment) => ({
  name,
  comment,
  severity: 'error',
  from: { path: folder, pathNot: TEST },
  to: { pathNot: allowed.filter((each) => each !== NODE), ...(allowed.includes(NODE) && { dependencyTypesNot: [NODE] }) },
});

const never = (name, from, to, comment) => ({ name, comment, severity: 'error', from, to });

module.exports = {
  forbidden: [
    only('core-is-alone', CORE, [CORE, CRON], 'src/core imports only src/core: no node:*, no library but cron arithmetic.'),
    never(
      'cron-in-one-place',
      { path: '^src/', pathNot: '^src/core/schedules/cron\\.ts$' },
      { path: CRON },
      'The cron library answers when an expression is due, behind src/core/schedules/cron.ts; nothing else of it is used.',
    ),
    only('store-port', STORE_PORT, [CORE, STORE_PORT], 'The port imports core, never a driver or an adapter.'),
    only(
      'store-sql',
      STORE_PROGRAMS,
      [CORE, STORE_PORT, STORE_PROGRAMS],
      'What stores have in common imports core and the port; never a driver or an adapter.',
    ),
    only(
      'store-sqlite',
      '^src/store/sqlite/',
      [CORE, STORE_PORT, STORE_PROGRAMS, OWN_FILES, '^src/store/sqlite/', NODE, '(^|/)node_modules/better-sqlite3/'],
      'An adapter imports core, the port, what stores have in common, and its own driver; never the other adapter or the engine.',
    ),
    only(
      'store-postgres',
      '^src/store/postgres/',
      [CORE, STORE_PORT, STORE_PROGRAMS, '^src/store/postgres/', NODE, '(^|/)node_modules/(@types/)?pg/'],
      'An adapter imports core, the port, what stores have in common, and its own driver; never the other adapter or the engine.',
    ),
    only(
      'engine',
      '^src/engine/',
      [CORE, STORE_PORT, RUNNER_INTERFACE, '^src/engine/', NODE],
      "The engine imports core, the store's port and the runners' interface; never an adapter.",
    ),
    never(
      'engine-takes-time-from-ports',
      { path: '^src/engine/', pathNot: [TEST, '^src/engine/ports\\.ts$'] },
      { path: '^(node:)?(timers|perf_hooks)(/|$)' },
      'Wall clock and timers come in as ports; the real ones live in src/engine/ports.ts.',
    ),
    only(
      'runners',
      '^src/runners/',
      [CORE, ENGINE_PUBLIC, '^src/runners/', NODE, LIBRARIES],
      "Core, own libraries, the engine's public interface.",
    ),
    only(
      'intake',
      '^src/intake/',
      [CORE, ENGINE_PUBLIC, '^src/intake/', NODE, LIBRARIES],
      "Core, own libraries, the engine's public interface.",
    ),
    only(
      'observe',
      '^src/observe/',
      [CORE, ENGINE_PUBLIC, '^src/observe/', NODE, LIBRARIES],
      "Core, own libraries, the engine's public interface.",
    ),
    only(
      'client',
      '^src/client/',
      [CORE, STORE_PORT, '^src/client/'],
      'Core and the port; the committer of the engine comes in as an argument.',
    ),
    only(
      'server',
      '^src/server/',
      [CORE, '^src/client/', '^src/observe/', ENGINE_PUBLIC, '^src/server/', NODE, LIBRARIES],
      "Core, client, observe, the engine's public interface; no store, no engine internals.",
    ),
    only('lint', '^src/lint/', [CORE, '^src/lint/', NODE], 'The lint plugin is loaded by a linter: it brings nothing else along.'),
    never(
      'cli-and-testing-use-what-is-public',
      { path: '^src/(cli|testing)/', pathNot: TEST },
      { path: '^src/(engine|store|runners|intake|server)/', pathNot: [ENGINE_PUBLIC, STORE_PORT, RUNNER_INTERFACE, WIRE] },
      'No engine internals, no adapters: compose.ts picks those.',
    ),
    never(
      'adapters-when-needed',
      { path: '^src/(index|compose)\\.ts$' },
      {
        path: '^src/(store/[^/]+|server)/',
        dependencyTypesNot: ['dynamic-import', 'type-only'],
      },
      'index.ts and compose.ts load adapters and the server by `await import()`, when first needed.',
    ),
    never(
      'driver-only-in-its-store',
      { path: '^src/', pathNot: ['^src/store/(sqlite|postgres)/', TEST] },
      { path: ['^(node:)?sqlite$', '(^|/)node_modules/(better-sqlite3|pg|postgres)/'] },
      'Drivers belong to their adapter.',
    ),
    never(
      'entries-are-leaves',
      { path: '^src/', pathNot: ['^src/(cli|testing)/', TEST] },
      { path: '^src/(index\\.ts|cli/|testing/)' },
      'The library does not import its own entry, its command line or its test kit.',
    ),
    never(
      'dashboard-knows-the-wire',
      { path: '^dashboard/' },
      { path: '^src/', pathNot: WIRE },
      'The dashboard talks HTTP only: of src/ it may import the types of server/wire.ts.',
    ),
    never(
      'dashboard-takes-types-only',
      { path: '^dashboard/' },
      { path: WIRE, dependencyTypesNot: ['type-only'] },
      '`import type` only: no server code in the browser.',
    ),
    never('nothing-imports-the-dashboard', { path: '^src/' }, { path: '^dashboard/' }, 'The server serves its built files.'),
    never(
      'examples-are-users',
      { path: '^examples/' },
      { path: '^src/', pathNot: ENTRIES },
      'An example shows what a user can write: it imports the published entries only.',
    ),
    never(
      'src-is-published',
      { path: '^src/', pathNot: TEST },
      { path: ['^(test|bench|examples|scripts)/', TEST] },
      'What is published cannot import what is not.',
    ),
    never(
      'no-dev-dependency',
      { path: '^src/', pathNot: TEST },
      { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'] },
      'A user does not have our development dependencies.',
    ),
    never(
      'unresolvable',
      { pathNot: '^bench/peers/' }, // whose packages are installed when peers are measured; the type check knows what they use
      { couldNotResolve: true },
      'This import leads nowhere.',
    ),
    never(
      'no-circles',
      { path: '^src/' },
      { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
      'Two files that need each other are one file, or lack a third.',
    ),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(dist|test/fixtures|examples/sbom/out|coverage)/' },
    tsPreCompilationDeps: true, // an import of a type crosses a boundary as well
    tsConfig: { fileName: `${__dirname}/tsconfig.json` },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
      extensions: ['.ts', '.js', '.json'],
    },
  },
};
