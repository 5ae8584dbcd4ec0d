import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Beside } from '../bench/peers/beside.ts';
import { wantedVersions } from '../bench/peers/install.ts';
import { measures } from '../bench/peers/measure.ts';
import { flowInSteps, type Flow, type OpenPeer, type Output } from '../bench/peers/peer.ts';
import { keyOf, peers, type Peer } from '../bench/peers/peers.ts';
import { answerOf } from '../bench/peers/rounds.ts';
import { peerLines } from '../bench/peers/table.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pawl-bench-peers-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const openworkflow = peers[0] as Peer;
const place = { folder: '', url: '', space: '' };

/** A peer that runs every step at once and remembers nothing. */
const inMemory =
  (change: (output: Output) => Output = (output) => output): OpenPeer =>
  async (_, ran) => {
    const runOne = async (flow: Flow): Promise<Output> => change(await flowInSteps(flow, (_name, body) => body(), ran));
    return {
      runOne,
      runAll: (flows) => Promise.all(flows.map(runOne)),
      ended: () => Promise.resolve(),
      close: () => Promise.resolve(),
    };
  };

describe('the peers of the benchmark', () => {
  test('are described by packages of exact versions, and told apart', () => {
    for (const { packageName } of peers) expect(wantedVersions()[packageName]).toMatch(/^\d+\.\d+\.\d+$/);
    expect(new Set(peers.map(keyOf)).size).toBe(peers.length);
  });

  test.each([
    ['w1', 20, { runs: 20, tasksPerSecond: expect.any(Number) as number, runsPerSecond: expect.any(Number) as number }],
    ['w2', 5, { runs: 5, p50Ms: expect.any(Number) as number, p99Ms: expect.any(Number) as number }],
    ['w3', 300, { tasks: 300, totalMs: expect.any(Number) as number, perTaskLastUs: expect.any(Number) as number }],
    ['w4', 100, { items: 100, totalMs: expect.any(Number) as number, perItemUs: expect.any(Number) as number }],
  ])('report on %s the metrics that Pawl reports', async (workload, size, expected) => {
    expect(await measures[workload]?.({ open: inMemory(), place, size, again: [] })).toMatchObject(expected);
  });

  test.each(['w1', 'w2', 'w3', 'w4'])('fail on %s where they compute something else', async (workload) => {
    const open = inMemory(({ n }) => ({ n: n + 1 }));
    await expect(measures[workload]?.({ open, place, size: 3, again: [] })).rejects.toThrow('instead of');
  });

  test('are compared by rate or by time, and one that fails is reported and not tried again', async () => {
    const asked: string[] = [];
    const failing: Peer = { ...openworkflow, store: 'postgres' };
    const beside = new Beside([openworkflow, failing], async (key, workload, size) => {
      asked.push(`${key} ${workload} ${size}`);
      if (key === keyOf(failing)) throw new Error('did not finish in 120 s');
      return workload === 'w1' ? { runs: size, runsPerSecond: 50 } : { runs: size, p50Ms: 3 };
    });
    for (const workload of ['w1', 'w1', 'w2']) await beside.repetition(workload, [200, 40]);
    expect(asked).toEqual([
      'openworkflow-sqlite w1 40',
      'openworkflow-postgres w1 40',
      'openworkflow-sqlite w1 40',
      'openworkflow-sqlite w2 40',
      'openworkflow-postgres w2 40',
    ]);
    const [first, second] = beside.results('w1', { runsPerSecond: 5_000 });
    expect(first).toMatchObject({ engine: 'openworkflow', store: 'sqlite', metrics: { runs: 40, runsPerSecond: 50, timesAsFast: 100 } });
    expect(first?.repetitions).toHaveLength(2);
    expect(second).toMatchObject({ store: 'postgres', metrics: {}, peer: { failed: 'did not finish in 120 s' } });
    expect(beside.results('w2', { p50Ms: 0.5 })[0]?.metrics).toMatchObject({ timesAsFast: 6 });
    expect(peerLines(beside.results('w1', { runsPerSecond: 1_000 })).map((line) => line.replaceAll(/ +/g, ' '))).toEqual([
      ' peers, and how many times as fast Pawl is',
      ` OpenWorkflow ${wantedVersions()['openworkflow']}, SQLite 50 runs/s × 20 of 2 target × ≥ 40: MISSED`,
      ` OpenWorkflow ${wantedVersions()['openworkflow']}, Postgres FAILED: did not finish in 120 s`,
    ]);
  });

  test('get no more of a workload than they are given, and none of those they are not measured on', async () => {
    const asked: string[] = [];
    const beside = new Beside([{ ...openworkflow, most: { w1: 30 } }], async (_, workload, size) => {
      asked.push(`${workload} ${size}`);
      return { runsPerSecond: 1 };
    });
    for (const workload of ['w1', 'w4', 'w10']) await beside.repetition(workload, [10_000]);
    expect(asked).toEqual(['w1 30']);
    expect(beside.results('w4', {})).toEqual([]);
  });

  test('are left out where no server is at hand, which is said', () => {
    vi.stubEnv('PAWL_BENCH_POSTGRES_URL', 'postgres://somewhere/bench');
    vi.stubEnv('PAWL_BENCH_REDIS_URL', '');
    const said = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    const measured = new Beside().results('w1', { runsPerSecond: 1 }).map(({ peer }) => peer?.key);
    expect(measured).toEqual(['openworkflow-sqlite', 'openworkflow-postgres', 'dbos-postgres', 'pg-boss-postgres']);
    expect(said.mock.calls).toEqual([['peers: bullmq on redis is not measured: PAWL_BENCH_REDIS_URL is not set\n']]);
    vi.unstubAllEnvs();
    said.mockRestore();
  });
});

describe('the process of a round', () => {
  const script = (text: string): string => {
    const path = join(folder, 'round.mjs');
    writeFileSync(path, text);
    return path;
  };
  const patience = (): AbortSignal => AbortSignal.timeout(60_000);

  test('answers on stdout', async () => {
    expect(await answerOf([script('process.stdout.write("1"); console.error("a warning")')], patience())).toBe('1');
  });

  test('tells by its error why it failed', async () => {
    const path = script('console.error("before"); throw new TypeError("no such column")');
    await expect(answerOf([path], patience())).rejects.toThrow('ended with exit code 1: TypeError: no such column');
  });

  test('is killed at its limit with all that it started', async () => {
    const pids = join(folder, 'pids');
    const path = script(`
      import { spawn } from 'node:child_process';
      import { appendFileSync } from 'node:fs';
      appendFileSync(${JSON.stringify(pids)}, process.pid + '\\n');
      if (!process.argv.includes('below')) spawn(process.execPath, [import.meta.filename, 'below']);
      setInterval(() => {}, 1_000);
    `);
    const limit = new AbortController();
    const answer = answerOf([path], limit.signal).catch((error: unknown) => String(error));
    const started = (): number[] => (existsSync(pids) ? readFileSync(pids, 'utf8').trim().split('\n').map(Number) : []);
    await vi.waitFor(() => expect(started()).toHaveLength(2), { timeout: 30_000, interval: 20 });
    limit.abort();
    expect(await answer).toContain('did not finish');
    await vi.waitFor(() => expect(started().filter(isAlive)).toEqual([]), { timeout: 30_000, interval: 20 });
  }, 60_000);
});

/** A process that has ended and that nobody has waited for yet is not alive. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  const status = `/proc/${pid}/status`;
  return !existsSync(status) || !/^State:\s+Z/m.test(readFileSync(status, 'utf8'));
}
