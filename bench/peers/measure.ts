import { spawn } from 'node:child_process';
import { openSync, readFileSync, writeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { edges, mustBe, percentile, sorted, type Metrics } from '../workload.ts';
import type { Flow, OpenPeer, Output, PeerEngine, Place, Ran } from './peer.ts';

/** The workloads on any peer: the same flows, warm-ups and clocks as Pawl's. */
export interface PeerRound {
  readonly open: OpenPeer;
  readonly place: Place;
  readonly size: number;
  /** The arguments with which a process of this round is started again: w5. */
  readonly again: readonly string[];
}

const TASKS = 3;
const W1_WARM_UP = 200;
const W2_WARM_UP = 2;
/** w2 ends after so long, with fewer runs: a peer that polls for results once a second would take minutes. */
const W2_LIMIT_MS = 15_000;
const W3_WINDOW = 100;

const chains = (count: number, from: number, size = TASKS): Flow[] =>
  Array.from({ length: count }, (_, i) => ({ kind: 'chain', size, run: from + i }));

const silent: Ran = () => undefined;

async function w1({ open, place, size }: PeerRound): Promise<Metrics> {
  const engine = await open(place, silent);
  const warmUp = Math.min(size, W1_WARM_UP);
  await engine.runAll(chains(warmUp, 0));
  const flows = chains(size, warmUp);
  const startMs = performance.now();
  const outputs = await engine.runAll(flows);
  const seconds = (performance.now() - startMs) / 1_000;
  for (const output of outputs) mustBe(output, { n: TASKS }, 'the output of a run');
  await engine.close();
  return { runs: size, runsPerSecond: size / seconds, tasksPerSecond: (size * TASKS) / seconds };
}

async function w2({ open, place, size }: PeerRound): Promise<Metrics> {
  const engine = await open(place, silent);
  const times: number[] = [];
  const beganMs = performance.now();
  for (let i = 0; i < W2_WARM_UP + size; i++) {
    const startMs = performance.now();
    if (times.length > 0 && startMs - beganMs > W2_LIMIT_MS) break;
    const output = await engine.runOne({ kind: 'chain', size: 1, run: i });
    if (i >= W2_WARM_UP) times.push(performance.now() - startMs);
    mustBe(output, { n: 1 }, 'the output of a run');
  }
  await engine.close();
  const inOrder = sorted(times);
  return { runs: times.length, p50Ms: percentile(inOrder, 0.5), p95Ms: percentile(inOrder, 0.95), p99Ms: percentile(inOrder, 0.99) };
}

/** One run to warm up, one that counts. */
async function twice(engine: PeerEngine, flow: Flow, ran: number[]): Promise<{ output: Output | undefined; totalMs: number }> {
  await engine.runAll([flow]);
  ran.length = 0;
  const startMs = performance.now();
  const [output] = await engine.runAll([{ ...flow, run: flow.run + 1 }]);
  return { output, totalMs: performance.now() - startMs };
}

async function w3({ open, place, size }: PeerRound): Promise<Metrics> {
  const ran: number[] = [];
  const engine = await open(place, () => ran.push(performance.now()));
  const { output, totalMs } = await twice(engine, { kind: 'chain', size, run: 0 }, ran);
  mustBe(output, { n: size }, 'the output of the chain');
  await engine.close();
  return { tasks: size, totalMs, ...edges(ran, W3_WINDOW) };
}

async function w4({ open, place, size }: PeerRound): Promise<Metrics> {
  const ran: number[] = [];
  const engine = await open(place, () => ran.push(performance.now()));
  const { output, totalMs } = await twice(engine, { kind: 'fan', size, run: 0 }, ran);
  mustBe(output, { n: size }, 'the output of the map');
  await engine.close();
  return { items: size, totalMs, perItemUs: (totalMs / size) * 1_000, ...edges(ran, Math.ceil(size / 10)) };
}

/**
 * A process submits all runs and kills itself (SIGKILL) in the body that is half of all; another is started at once on the same place,
 * with the same settings. Bodies leave a line in a file: what stands there twice was repeated, what is missing was lost.
 */
async function w5({ place, size, again }: PeerRound): Promise<Metrics> {
  const first = await life([...again, 'first']);
  if (first !== 'SIGKILL') throw new Error(`the process that was to be killed ended with ${first}`);
  const startMs = performance.now();
  const second = await life([...again, 'second']);
  const recoveryMs = performance.now() - startMs;
  if (second !== 0) throw new Error(`the process after the kill ended with ${second}`);
  const ran = readFileSync(bodiesFile(place), 'utf8').trim().split('\n');
  const distinct = new Set(ran).size;
  return { runs: size, recoveryMs, repeated: ran.length - distinct, lost: size * TASKS - distinct };
}

const bodiesFile = ({ folder }: Place): string => `${folder}/bodies.txt`;

function life(args: readonly string[]): Promise<number | NodeJS.Signals | null> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [fileURLToPath(import.meta.resolve('./round.ts')), ...args], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(signal ?? code));
  });
}

/** One of the two processes of w5. */
export async function live({ open, place, size }: PeerRound, which: string): Promise<void> {
  const file = openSync(bodiesFile(place), 'a');
  let bodies = 0;
  const engine = await open(place, (key) => {
    writeSync(file, `${key}\n`);
    bodies++;
    if (which === 'first' && bodies >= (size * TASKS) / 2) process.kill(process.pid, 'SIGKILL');
  });
  const flows = chains(size, 0);
  if (which === 'first') await engine.runAll(flows);
  await engine.ended(flows);
  // The end of this process is what is waited for; how long a peer takes to close is no part of recovery.
  process.exit(0);
}

export const measures: Readonly<Record<string, (round: PeerRound) => Promise<Metrics>>> = { w1, w2, w3, w4, w5 };
