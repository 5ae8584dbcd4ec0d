/**
 * Faults, and whether Pawl keeps its promises under them: `npm run chaos -- kill [--rounds N]`, `-- multi [--seconds N]`, both with
 * `[--seed N] [--json]`. Ends with 0 only without violation, and when every planted fault was found.
 */
import { rmSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { CONTROLS, runControl } from './controls.ts';
import { kill } from './kill.ts';
import { multi } from './multi.ts';
import { asText, type Report } from './report.ts';
import { withSources } from './sources.ts';

const USAGE = 'usage: npm run chaos -- <kill [--rounds N] | multi [--seconds N]> [--seed N] [--json]\n';

interface Wanted {
  readonly harness: Report['harness'];
  readonly rounds: number;
  readonly seconds: number;
  readonly seed: number;
  readonly json: boolean;
}

function wanted(): Wanted | null {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rounds: { type: 'string', default: '100' },
      seconds: { type: 'string', default: '60' },
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
      json: { type: 'boolean', default: false },
    },
  });
  const [harness, ...more] = positionals;
  const [rounds, seconds, seed] = [Number(values.rounds), Number(values.seconds), Number(values.seed)];
  const fine = [rounds, seconds].every((value) => Number.isInteger(value) && value > 0) && Number.isInteger(seed);
  if ((harness !== 'kill' && harness !== 'multi') || more.length > 0 || !fine) return null;
  return { harness, rounds, seconds, seed, json: values.json };
}

const say = (line: string): void => void process.stderr.write(`${line}\n`);

async function runControls(harness: Report['harness']): Promise<boolean> {
  let all = true;
  for (const control of CONTROLS.filter((one) => one.harness === harness)) {
    const { found, report } = await runControl(control);
    const rules = [...new Set(report.violations.map(({ rule }) => rule))].join(', ');
    say(`control: ${control.name}: ${found ? 'found' : 'NOT FOUND'} (${rules === '' ? 'no violation' : rules})`);
    rmSync(report.folder, { recursive: true, force: true });
    all &&= found;
  }
  return all;
}

async function main({ harness, rounds, seconds, seed, json }: Wanted): Promise<number> {
  const started = performance.now();
  say(`${harness}: seed ${seed}`);
  const onRound = (round: number): void => {
    if (round % 10 === 0) say(`  ${round} kills, ${((performance.now() - started) / 1_000).toFixed(0)} s`);
  };
  const options = { seed, onRound };
  const report = await withSources(null, (src) =>
    harness === 'kill' ? kill({ ...options, src, rounds }) : multi({ ...options, src, seconds }),
  );
  const controlsFailedAsTheyMust = await runControls(harness);
  if (report.violations.length === 0) rmSync(report.folder, { recursive: true, force: true });
  process.stdout.write(`${json ? asJson(report, controlsFailedAsTheyMust) : asText(report)}\n`);
  say(`${((performance.now() - started) / 1_000).toFixed(0)} s`);
  return report.violations.length === 0 && controlsFailedAsTheyMust ? 0 : 1;
}

function asJson({ violations, folder: _, ...figures }: Report, controlsFailedAsTheyMust: boolean): string {
  const result = { ...figures, violations: violations.length, found: violations.slice(0, 50), controlsFailedAsTheyMust };
  return JSON.stringify({ v: 1, results: [result] });
}

const what = wanted();
if (what === null) {
  process.stderr.write(USAGE);
  process.exitCode = 2;
} else process.exitCode = await main(what);
