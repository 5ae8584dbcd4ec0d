/**
 * An agent that makes 200 calls of tools, in a real file; its process is killed after a hundred.
 *
 *   node examples/agent/demo.ts
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createEngine } from '../../src/index.ts';
import { research } from './workflow.ts';

const folder = mkdtempSync(join(tmpdir(), 'pawl-agent-'));
const calls = (): string[] => readFileSync(join(folder, 'calls.log'), 'utf8').trimEnd().split('\n');
const worker = fileURLToPath(new URL('worker.ts', import.meta.url));
const employ = (...fate: string[]): ChildProcess =>
  spawn(process.execPath, [worker, folder, ...fate], { stdio: ['ignore', 'ignore', 'inherit'] });

// Only a client: it starts the run and asks about it, and has no bodies.
const engine = createEngine({ store: `sqlite:${join(folder, 'agent.db')}`, use: [research] });
const run = await engine.start(research, { goal: 'the answer', maxTokens: 1_000 }, { key: 'demo' });

const first = employ('dies');
const [, signal] = (await once(first, 'exit')) as [number | null, string | null];
console.log(`worker 1 ended by ${signal} after ${calls().length} calls`);

const second = employ();
let [asked] = (await engine.approvals.list()).approvals;
for (; asked === undefined; [asked] = (await engine.approvals.list()).approvals) await sleep(50);
console.log(`worker 2 has made ${calls().length - 100} more; ${asked.who.join()} is asked about`, asked.show);
await engine.approvals.approve(asked.runId, { actor: 'olga' });

console.log(await run.result());
console.log(`${calls().length} calls, ${new Set(calls()).size} different ones`);
second.kill();
await once(second, 'exit');
await engine.close();
rmSync(folder, { recursive: true });
