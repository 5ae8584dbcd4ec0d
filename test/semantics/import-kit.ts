import { afterEach, expect } from 'vitest';
import type { Run } from '../../src/index.ts';
import { exportRun, importRun } from '../../src/client/transfer.ts';
import type { RunDocument } from '../../src/core/documents/run-document.ts';
import { realPorts } from '../../src/engine/ports.ts';
import { testEngine, type TestEngine, type TestEngineOptions } from '../../src/testing/index.ts';

const open: TestEngine[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((engine) => engine.close()));
});

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

export function engineWith(options: TestEngineOptions): TestEngine {
  const engine = testEngine({ logger: silent, ...options });
  open.push(engine);
  return engine;
}

/** Two stores with the same code: one to export from, one to import to. */
export function two(options: TestEngineOptions): { readonly from: TestEngine; readonly to: TestEngine } {
  return { from: engineWith(options), to: engineWith(options) };
}

export async function exported(from: TestEngine, { id }: { readonly id: string }): Promise<RunDocument> {
  return JSON.parse(JSON.stringify(await exportRun(await from.storeOf, id))) as RunDocument;
}

export async function imported(to: TestEngine, document: unknown): Promise<Run<unknown>> {
  const how = { now: to.clock.now().getTime(), digest: (text: string) => realPorts.digest(text) };
  return to.get((await importRun(await to.storeOf, document, how)).id);
}

/** Carries a run over as it is now, and lets it go on there. The store it came from is closed: what it ran is lost. */
export async function carried(from: TestEngine, to: TestEngine, run: { readonly id: string }): Promise<Run<unknown>> {
  await from.settle();
  const document = await exported(from, run);
  await from.close();
  const copy = await imported(to, document);
  expect((await copy.status()).quarantined).toContain('imported');
  expect(await copy.release()).toBe(true);
  await to.settle();
  return copy;
}

/** Each run of the store as its workflow and status, the newest first. */
export async function runsOf(engine: TestEngine): Promise<string[]> {
  const { runs } = await engine.runs.list({ parts: true });
  return runs.map(({ workflow, status, quarantined }) => `${workflow} ${status}${quarantined === undefined ? '' : ' aside'}`);
}
