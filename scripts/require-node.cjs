// Runs on any Node, so plain old CommonJS. The repository brings its own Node (devDependency `node`), which
// arrives through an install script: with `npm ci --ignore-scripts` npm silently falls back to whatever Node the machine has.
'use strict';

const wanted = [22, 23];
const parts = process.versions.node.split('.');
const major = Number(parts[0]);
const minor = Number(parts[1]);

if (major < wanted[0] || (major === wanted[0] && minor < wanted[1])) {
  process.stderr.write(
    '\npawl: this needs Node ' +
      wanted.join('.') +
      ' or newer, but Node ' +
      process.versions.node +
      ' is running.\n' +
      "Why: the repository's own Node was not installed; it comes with an install script, which `--ignore-scripts` skips,\n" +
      '     or the script was run without npm.\n' +
      'Fix: run `npm ci` (without --ignore-scripts), then start scripts through npm, for example `npm test`.\n\n',
  );
  process.exit(1);
}
