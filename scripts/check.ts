/**
 * Everything that must hold before a change is merged: `npm run check`. All stages run even when one fails; each prints a line with
 * its time, a failed one also its output. The last line is the sum `N passed, N failed`: every test counts, and every other stage as one.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

type Stage = { readonly name: string; readonly command: readonly string[] };
type Count = { passed: number; failed: number };
type Report = { testResults: { name: string; status: string; message: string; assertionResults: { status: string }[] }[] };

const root = fileURLToPath(new URL('../', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'pawl-check-'));

/** A tool of the repository, by path: started by the Node that runs this file, whatever PATH says. */
const tool = (path: string, ...args: string[]): readonly string[] => [process.execPath, `node_modules/${path}`, ...args];

/** Stages of one group run two at a time; a group starts when the one before it has ended. */
const groups: readonly (readonly Stage[])[] = [
  [
    { name: 'types', command: tool('ts7/bin/tsc', '-p', 'tsconfig.json') },
    { name: 'types of core, without Node', command: tool('ts7/bin/tsc', '-p', 'tsconfig.core.json') },
    { name: 'lint', command: tool('oxlint/bin/oxlint') },
    { name: 'format', command: tool('oxfmt/bin/oxfmt', '--check') },
    { name: 'boundaries', command: [process.execPath, 'scripts/boundaries.ts'] },
    { name: 'lock file', command: [process.execPath, 'scripts/lock.ts', '--check'] },
    { name: 'build', command: [process.execPath, 'scripts/build.ts'] },
  ],
  [
    { name: 'package: types resolve (attw)', command: tool('@arethetypeswrong/cli/dist/index.js', '--pack', '.', '--profile', 'esm-only') },
    { name: 'package: exports (publint)', command: tool('publint/src/cli.js', '--strict') },
    { name: 'unused files, exports, dependencies (knip)', command: tool('knip/bin/knip.js', '--no-progress', '--no-config-hints') },
  ],
];

const sum: Count = { passed: 0, failed: 0 };

function run(command: readonly string[], show: boolean): Promise<{ code: number; output: string }> {
  const [program = '', ...args] = command;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: root, stdio: ['ignore', show ? 'inherit' : 'pipe', show ? 'inherit' : 'pipe'] });
    let output = '';
    const collect = (chunk: Buffer): void => void (output += chunk.toString());
    child.stdout?.on('data', collect);
    child.stderr?.on('data', collect);
    child.on('error', reject);
    child.on('close', (code) => resolve({ code: code ?? 1, output }));
  });
}

function line(ok: boolean, name: string, sinceMs: number, note = ''): void {
  console.log(`${ok ? 'ok  ' : 'FAIL'}  ${name.padEnd(44)} ${((performance.now() - sinceMs) / 1000).toFixed(1).padStart(6)} s${note}`);
}

async function runStage({ name, command }: Stage): Promise<void> {
  const startMs = performance.now();
  const { code, output } = await run(command, false);
  sum[code === 0 ? 'passed' : 'failed'] += 1;
  line(code === 0, name, startMs);
  if (code !== 0) console.log(output.trimEnd().replace(/^/gm, '      '));
}

async function runGroup(stages: readonly Stage[]): Promise<void> {
  const waiting = [...stages];
  const lane = async (): Promise<void> => {
    for (let stage = waiting.shift(); stage !== undefined; stage = waiting.shift()) await runStage(stage);
  };
  await Promise.all([lane(), lane()]);
}

/** A test file that could not even be loaded has no tests: it counts as one failure. */
function count(report: Report): Count {
  const tests = report.testResults.flatMap((file) => file.assertionResults.map((test) => test.status));
  const broken = report.testResults.filter(
    (file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
  );
  return {
    passed: tests.filter((status) => status === 'passed').length,
    failed: tests.filter((status) => status === 'failed').length + broken.length,
  };
}

async function runTests(): Promise<void> {
  const startMs = performance.now();
  const file = join(scratch, 'tests.json');
  const { code } = await run(tool('vitest/vitest.mjs', 'run', '--reporter=default', '--reporter=json', `--outputFile.json=${file}`), true);
  let tests: Count = { passed: 0, failed: 0 };
  try {
    tests = count(JSON.parse(readFileSync(file, 'utf8')) as Report);
  } catch {
    console.log('vitest left no report');
  }
  // No test at all, or an error outside any test (an unhandled rejection, a crashed worker), is a failure too.
  if (tests.failed === 0 && (code !== 0 || tests.passed === 0)) tests.failed = 1;
  sum.passed += tests.passed;
  sum.failed += tests.failed;
  line(tests.failed === 0, 'tests', startMs, `  ${tests.passed} passed, ${tests.failed} failed`);
}

try {
  for (const group of groups) await runGroup(group);
  await runTests();
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
process.exitCode = sum.failed === 0 ? 0 : 1;
console.log(`\n${sum.passed} passed, ${sum.failed} failed`);
