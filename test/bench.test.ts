import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../', import.meta.url));

let temp: string;
/** Every round is a process: half of what a short one takes is reading the sources. */
let cache: string;
beforeAll(() => {
  temp = mkdtempSync(join(tmpdir(), 'pawl-bench-test-'));
  cache = mkdtempSync(join(tmpdir(), 'pawl-bench-cache-'));
});
afterAll(() => {
  for (const folder of [temp, cache]) rmSync(folder, { recursive: true, force: true });
});

function bench(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['bench/main.ts', ...args], {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, TMPDIR: temp, NODE_COMPILE_CACHE: cache },
    timeout: 230_000,
  });
  return { status, stdout, stderr };
}

const some = expect.any(Number) as number;

describe('the benchmark', () => {
  test('prints one JSON document with the metrics that are compared over time, and leaves nothing behind', { timeout: 60_000 }, () => {
    const { status, stdout, stderr } = bench('--json', '--only', 'w1,w2', '--runs', '1', '--size', 'w1=50,w2=5');
    expect({ status, stderr }).toEqual({ status: 0, stderr: 'w1: repetition 1 of 1\nw2: repetition 1 of 1\n' });
    const answer = JSON.parse(stdout) as { commit: unknown; results: { metrics: Record<string, number> }[] };
    expect(answer).toEqual({
      v: 1,
      machine: {
        cpus: some,
        node: process.versions.node,
        sqlite: process.versions.sqlite,
        platform: `${process.platform}-${process.arch}`,
      },
      commit: existsSync(`${root}.git`) ? expect.any(String) : null,
      results: [
        {
          workload: 'w1',
          engine: 'pawl',
          store: 'sqlite',
          metrics: {
            runs: 50,
            concurrency: 100,
            runsPerSecond: some,
            tasksPerSecond: some,
            rawLimitTasksPerSecond: some,
            rawRowsPerSecond: some,
            // 50 runs with an insert and an end, 150 tasks likewise, and a journal row in each of the 4 commits that these take.
            rawRows: 404,
            batchSize: 100,
            flushMs: some,
            ratioToRaw: some,
          },
        },
        { workload: 'w2', engine: 'pawl', store: 'sqlite', metrics: { runs: 5, concurrency: 100, p50Ms: some, p95Ms: some, p99Ms: some } },
      ],
    });
    for (const { metrics } of answer.results) for (const value of Object.values(metrics)) expect(value).toBeGreaterThan(0);
    expect(readdirSync(temp)).toEqual([]);
  });

  test('measures every workload, each in all its variants', { timeout: 240_000 }, () => {
    const names = ['w3', 'w4', 'w5', 'w6', 'w7', 'w8', 'w10', 'w11', 'w12', 'w13'];
    const sizes = 'w3=20,w4=30,w5=20,w6=1,w7=50,w8=64,w10=30,w11=1,w12=50,w13=50';
    const history = join(temp, 'history.jsonl');
    const { status, stdout, stderr } = bench('--json', '--keep', history, '--runs', '1', '--only', names.join(','), '--size', sizes);
    expect({ status, stderr }).toEqual({
      status: 0,
      stderr: names.map((name) => `${name}: repetition 1 of 1\n`).join(''),
    });
    const answer = JSON.parse(stdout) as { results: { workload: string; metrics: Record<string, unknown> }[] };
    const edges = { perTaskFirstUs: some, perTaskLastUs: some };
    const ofPattern = { concurrency: 100, metgUs: some, flushMs: some, metgToFlush: some };
    const ofBound = { w1TasksPerSecond: some, flushMs: some, boundMs: some, ratioToBound: some };
    const ofFile = { runs: 1, concurrency: 100, makespanMs: some, tasksPerSecond: some, ...ofBound };
    const ofPruning = {
      retentionTasksPerSecond: some,
      retentionPruned: some,
      retentionRatio: some,
      retentionCpuRatio: some,
      askedTasksPerSecond: some,
      askedPruned: some,
      askedRatio: some,
      askedCpuRatio: some,
    };
    const ofBacklog = {
      storeMb: some,
      submittedPerSecond: some,
      emptyMb: some,
      submitPeakMb: some,
      workPeakMb: some,
      workedTasksPerSecond: some,
    };
    expect(answer.results.map(({ workload, metrics }) => [workload, metrics])).toEqual([
      ['w3', { tasks: 20, concurrency: 100, readyMs: some, totalMs: some, perTaskUs: some, ...edges, lastToFirst: some, growth: some }],
      ['w4', { items: 30, concurrency: 100, totalMs: some, perItemUs: some, ...edges, growth: some, peakMb: some }],
      ['w5', { runs: 20, concurrency: 100, recoveryMs: some, bodiesBeforeKill: some, inFlight: some, repeated: some, lost: 0 }],
      ['w6', { runs: 1, concurrency: 100, peakRssMb: some, bytesPerRun: some, coldStartMs: some, packages: some, installedMb: some }],
      [
        'w7',
        {
          runs: 50,
          finishedRuns: 50,
          concurrency: 100,
          storeMb: some,
          emptyTasksPerSecond: some,
          tasksPerSecond: some,
          ratioToEmpty: some,
        },
      ],
      ['w8', { pattern: 'chain', width: 64, levels: 1, tasks: 64, ...ofPattern }],
      ['w8', { pattern: 'stencil', width: 64, levels: 1, tasks: 64, ...ofPattern }],
      ['w8', { pattern: 'fan', width: 64, levels: 2, tasks: 65, ...ofPattern }],
      ['w8', { pattern: 'single', width: 1, levels: 64, tasks: 64, ...ofPattern }],
      ['w10', { runs: 30, concurrency: 100, seconds: some, statementsPerSecond: some, cpuPercent: some }],
      ['w11', { file: '1000genome-chameleon-2ch-100k-001', tasks: 52, levels: 3, ...ofFile }],
      ['w11', { file: 'blast-chameleon-small-001', tasks: 43, levels: 3, ...ofFile }],
      ['w11', { file: 'helloworld-forkjoin-10-chameleon', tasks: 10, levels: 3, ...ofFile }],
      ['w11', { file: 'rnaseq-dirt02-001', tasks: 197, levels: 10, ...ofFile }],
      ['w12', { runs: 50, finishedRuns: 50, concurrency: 100, tasksPerSecond: some, ...ofPruning }],
      ['w13', { nodeMemory: 'default', runs: 50, concurrency: 100, ...ofBacklog }],
      ['w13', { nodeMemory: 'semi-space 16 MB', runs: 50, concurrency: 100, ...ofBacklog }],
    ]);
    // What a history keeps is what was printed, and when.
    const kept = readFileSync(history, 'utf8');
    expect(kept.split('\n')).toHaveLength(2);
    expect(JSON.parse(kept)).toEqual({ at: expect.stringMatching(/^\d{4}-/) as string, ...answer });
    rmSync(history);
    expect(readdirSync(temp)).toEqual([]);
  });

  test('a map of 50,000 items needs little memory beside the rows: what ends leaves no more than its output', { timeout: 120_000 }, () => {
    const folder = mkdtempSync(join(temp, 'map-'));
    // Node ends with SIGABRT where what is alive does not fit. Kept whole, 40,000 ended items did not fit into as much.
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      ['--max-old-space-size=28', 'bench/round.ts', 'w4', 'engine', '50000', folder],
      { cwd: root, encoding: 'utf8', timeout: 110_000 },
    );
    rmSync(folder, { recursive: true });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(JSON.parse(stdout)).toMatchObject({ items: 50_000, peakMb: some });
  });

  test('refuses a workload that does not exist', () => {
    const { status, stdout, stderr } = bench('--only', 'w99');
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toContain('there is no workload w99');
  });
});
