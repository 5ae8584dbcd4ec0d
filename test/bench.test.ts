import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../', import.meta.url));

let temp: string;
beforeAll(() => {
  temp = mkdtempSync(join(tmpdir(), 'pawl-bench-test-'));
});
afterAll(() => rmSync(temp, { recursive: true, force: true }));

function bench(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['bench/main.ts', ...args], {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, TMPDIR: temp },
    timeout: 60_000,
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

  test('a map of 100,000 items needs little memory beside the rows: what ends leaves no more than its output', { timeout: 120_000 }, () => {
    const folder = mkdtempSync(join(temp, 'map-'));
    // Node ends with SIGABRT where what is alive does not fit. Kept whole, the ended items alone would not.
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      ['--max-old-space-size=40', 'bench/round.ts', 'w4', 'engine', '100000', folder],
      { cwd: root, encoding: 'utf8', timeout: 110_000 },
    );
    rmSync(folder, { recursive: true });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(JSON.parse(stdout)).toMatchObject({ items: 100_000, peakMb: some });
  });

  test('refuses a workload that does not exist', () => {
    const { status, stdout, stderr } = bench('--only', 'w99');
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toContain('there is no workload w99');
  });
});
