/**
 * The boundaries of src/ (.dependency-cruiser.cjs), checked so that a green result means something:
 *
 * 1. The real tree has no violation, and every source file was really read. dependency-cruiser needs the API of TypeScript 6; with
 *    TypeScript 7 alone it finds no modules at all and calls that a success.
 * 2. test/fixtures/boundaries is a small tree with one planted violation per rule. Every rule must be reported there, so a rule
 *    that has stopped matching, or one added without a plant, fails.
 */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

type Violation = { from: string; to: string; rule: { name: string } };
type Cruise = {
  modules: { source: string }[];
  summary: {
    violations: Violation[];
    totalCruised: number;
    totalDependenciesCruised: number;
    ruleSetUsed: { forbidden: { name: string; comment?: string }[] };
  };
};

const root = fileURLToPath(new URL('../', import.meta.url));
const fixture = `${root}test/fixtures/boundaries`;
const folders = ['src', 'test', 'bench', 'examples', 'scripts', 'dashboard'];

function sourcesUnder(base: string): string[] {
  return readdirSync(base, { recursive: true, encoding: 'utf8' })
    .map((name) => name.replaceAll('\\', '/'))
    .filter((name) => /\.tsx?$/.test(name) && !/(^|\/)(node_modules|dist)\//.test(name));
}

function cruise(cwd: string): Promise<Cruise> {
  const bin = `${root}node_modules/dependency-cruiser/bin/dependency-cruiser.mjs`;
  const present = folders.filter((folder) => existsSync(`${cwd}/${folder}`));
  const args = [bin, '--config', `${root}.dependency-cruiser.cjs`, '--output-type', 'json', ...present];
  return new Promise((resolve, reject) => {
    execFile(process.execPath, args, { cwd, maxBuffer: 256 * 1024 * 1024 }, (error, stdout, stderr) => {
      // The exit code is the number of violations, so only an answer that is no JSON is a failure of the tool.
      try {
        resolve(JSON.parse(stdout) as Cruise);
      } catch {
        reject(new Error(`dependency-cruiser gave no report in ${cwd}: ${stderr || (error?.message ?? 'no output')}`));
      }
    });
  });
}

const [real, planted] = await Promise.all([cruise(root), cruise(fixture)]);
const problems: string[] = [];
const rules = real.summary.ruleSetUsed.forbidden;
const whys = new Map(rules.map((rule) => [rule.name, rule.comment ?? '']));

for (const { rule, from, to } of real.summary.violations) {
  problems.push(`${from} -> ${to}\n    ${rule.name}: ${whys.get(rule.name) ?? ''}`);
}

const read = new Set(real.modules.map((module) => module.source));
const sources = sourcesUnder(`${root}src`).map((name) => `src/${name}`);
const unread = sources.filter((name) => !read.has(name));
if (sources.length === 0 || unread.length > 0 || real.summary.totalDependenciesCruised === 0) {
  problems.push(
    `only ${sources.length - unread.length} of ${sources.length} files in src/ were read, ` +
      `${real.summary.totalDependenciesCruised} imports found: dependency-cruiser is blind (is typescript 6 installed?) ${unread.join(' ')}`,
  );
}

const reported = new Set(planted.summary.violations.map((violation) => violation.rule.name));
for (const { name } of rules) {
  if (!reported.has(name)) problems.push(`the violation of "${name}" planted in test/fixtures/boundaries was not reported`);
}
// A plant says in its first line which rules it violates: no more and no fewer may be reported for it.
for (const name of sourcesUnder(fixture)) {
  const expected = /^\/\/ violates: (.*)$/m.exec(readFileSync(`${fixture}/${name}`, 'utf8'))?.[1]?.split(', ') ?? [];
  const found = [...new Set(planted.summary.violations.filter(({ from }) => from === name).map(({ rule }) => rule.name))];
  if (expected.toSorted().join() !== found.toSorted().join()) {
    problems.push(`planted ${name}: expected [${expected.toSorted().join(', ')}], reported [${found.toSorted().join(', ')}]`);
  }
}

if (problems.length > 0) {
  console.error(`boundaries: ${problems.length} problem(s)\n\n  ${problems.join('\n  ')}`);
  process.exitCode = 1;
} else {
  const { totalCruised, totalDependenciesCruised } = real.summary;
  console.log(
    `boundaries: ${totalCruised} modules (all ${sources.length} of src), ${totalDependenciesCruised} imports, no violation; ` +
      `${rules.length} rules proved on planted violations`,
  );
}
