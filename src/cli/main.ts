#!/usr/bin/env node
import { processIo } from './io.ts';
import { run } from './run.ts';

// Node's notes about what it calls experimental are not the user's business; its other warnings are.
process.removeAllListeners('warning');
process.on('warning', (warning) => {
  if (warning.name !== 'ExperimentalWarning') process.stderr.write(`${warning.name}: ${warning.message}\n`);
});

// `pawl ls | head -1` reads as much as it wants.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
}

const exitCode = await run(process.argv.slice(2), processIo());
// What the user's module left open must not keep a finished command alive, and what was written must be out first.
for (const stream of [process.stdout, process.stderr]) await new Promise<void>((resolve) => stream.write('', () => resolve()));
process.exit(exitCode);
