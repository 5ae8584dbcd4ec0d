/** A worker process: works on the store until it is told to close, or killed. */
import { flushCompileCache } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Bodies } from './bodies.ts';
import { armKillSwitch, type KillPlan } from './kill-switch.ts';
import { DurableLog } from './records.ts';
import { makeWorkload, type Pawl } from './workload.ts';

export interface WorkerTask {
  /** Where store and records lie. */
  readonly folder: string;
  /** The engine under test. */
  readonly src: string;
  /** Names this life of a worker; its files begin with it. */
  readonly life: string;
  readonly concurrency: number;
  readonly kill: KillPlan | null;
}

const { folder, src, life, concurrency, kill } = JSON.parse(process.argv[2] ?? '') as WorkerTask;
const bodies = new Bodies(new DurableLog(join(folder, `${life}.log`)));
if (kill !== null) armKillSwitch(kill, () => bodies.running, join(folder, `${life}.kill`));

const pawl = (await import(pathToFileURL(join(src, 'index.ts')).href)) as Pawl;
const engine = pawl.createEngine({
  store: `sqlite:${join(folder, 'app.db')}`,
  use: Object.values(makeWorkload(pawl, bodies)),
  concurrency,
  // why: the kill switch is in this thread
  writer: 'main',
  // why: the same task may be in flight at many kills, and must succeed all the same
  maxLost: 1_000,
  // why: on a loaded machine a process may stand still for long; only a proven death may hand its work on
  lease: '60s',
});

// The harness is gone: so is its worker.
process.on('disconnect', () => process.exit(1));
process.on('message', () => {
  void engine.close().then(() => {
    process.removeAllListeners('disconnect');
    process.disconnect();
  });
});

await engine.work();
process.send?.('ready');
// why: a killed process saves nothing at its exit, and every restart would compile anew
flushCompileCache();
