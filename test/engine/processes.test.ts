import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { createEngine, type Engine } from '../../src/index.ts';
import { LIMITS, workflows } from '../fixtures/processes/workflows.ts';

/** Real processes on one file: what only they can show. */
const worker = fileURLToPath(new URL('../fixtures/processes/worker.ts', import.meta.url));
const children: ChildProcess[] = [];
const engines: Engine[] = [];
const folders: string[] = [];

afterEach(async () => {
  await Promise.all(engines.splice(0).map((engine) => engine.close()));
  for (const child of children.splice(0)) child.kill('SIGKILL');
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'pawl-processes-'));
  folders.push(made);
  return made;
}

/** Starts a worker process and waits until it says that it works. */
async function startWorker(at: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, [worker, at], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  await once(child.stdout as NodeJS.ReadableStream, 'data');
  return child;
}

function engineAt(at: string): { engine: Engine; flows: ReturnType<typeof workflows> } {
  const flows = workflows(at);
  const engine = createEngine({ store: `sqlite:${at}/app.db`, use: flows.all, limits: LIMITS, lease: '6s', sweep: '200ms', drain: '1s' });
  engines.push(engine);
  return { engine, flows };
}

const log = (at: string): string[] => readFileSync(join(at, 'log'), 'utf8').trim().split('\n');

/** Resolves when a line of this kind is in the log. */
async function logged(at: string, start: string): Promise<string> {
  for (;;) {
    try {
      const line = log(at).find((one) => one.startsWith(start));
      if (line !== undefined) return line;
    } catch {
      // not written yet
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe('a process that works', () => {
  test('hands back what it cannot finish on SIGTERM; the same attempt goes on elsewhere', async () => {
    const at = folder();
    const first = await startWorker(at);
    const { engine, flows } = engineAt(at);
    const run = await engine.start(flows.patient);
    const begun = await logged(at, 'patient');
    first.kill('SIGTERM');
    const [, signal] = (await once(first, 'exit')) as [number | null, string | null];
    expect(signal).toBe('SIGTERM');
    await engine.work();
    expect(await run.result({ timeout: '20s' })).toEqual({ attempt: 1 });
    expect(log(at).filter((line) => line.startsWith('patient'))).toHaveLength(2);
    expect(begun).toBe(`patient ${first.pid ?? 0} 1`);
  });

  test('that is killed loses its lease at once on this host, and the work is done again', async () => {
    const at = folder();
    const first = await startWorker(at);
    const { engine, flows } = engineAt(at);
    const run = await engine.start(flows.patient);
    await logged(at, 'patient');
    first.kill('SIGKILL');
    await once(first, 'exit');
    const before = performance.now();
    await engine.work();
    expect(await run.result({ timeout: '20s' })).toEqual({ attempt: 2 });
    expect(performance.now() - before).toBeLessThan(2_000);
  });

  test('whose main thread hangs gives back what it claimed and never began', { timeout: 120_000 }, async () => {
    const at = folder();
    await startWorker(at);
    const { engine, flows } = engineAt(at);
    const { hang, quick } = flows;
    const started = await engine.startMany(hang, [{ input: undefined }, ...Array.from({ length: 5 }, () => ({ input: undefined }))]);
    const quickly = await engine.start(quick);
    await logged(at, 'hang');
    await engine.work();
    // The hanging body blocks its process for good; the rest of its commit's claims is done by this one.
    const others = await Promise.all(started.slice(1).flatMap(({ run }) => (run === undefined ? [] : [run.result({ timeout: '100s' })])));
    expect(others).toHaveLength(5);
    expect(await quickly.result({ timeout: '100s' })).toEqual({ done: true });
    expect((await started[0]?.run?.status())?.status).toBe('running');
  });

  test('gives a body the abort signal when another process cancels its run', async () => {
    const at = folder();
    await startWorker(at);
    const { engine, flows } = engineAt(at);
    const run = await engine.start(flows.patient);
    await logged(at, 'patient');
    expect(await run.cancel()).toBe(true);
    await expect(run.result()).rejects.toMatchObject({ code: 'RUN_CANCELLED' });
    expect(await logged(at, 'aborted')).toMatch(/^aborted /);
  });
});
