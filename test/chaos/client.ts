/** A client process: starts runs with keys, asks for results, and writes both down. Goes on where a killed one before it stopped. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { Bodies } from './bodies.ts';
import { clock, DurableLog, readRecords, type ClientRecord } from './records.ts';
import { expectedOutput, KINDS, makeWorkload, MIX, type Kind, type Pawl } from './workload.ts';

export interface ClientTask {
  readonly folder: string;
  readonly src: string;
  readonly life: string;
  /** Runs that are open at the same time. */
  readonly open: number;
}

const { folder, src, life, open } = JSON.parse(process.argv[2] ?? '') as ClientTask;
const earlier = readdirSync(folder)
  .filter((name) => /^client-\d+\.log$/.test(name))
  .flatMap((name) => readRecords<ClientRecord>(join(folder, name)));
const log = new DurableLog<ClientRecord>(join(folder, `${life}.log`));

const pawl = (await import(pathToFileURL(join(src, 'index.ts')).href)) as Pawl;
// Bodies run in workers only; here they are part of the definitions.
const workload = makeWorkload(pawl, new Bodies(new DurableLog(join(folder, `${life}.bodies`))));
const engine = pawl.createEngine({ store: `sqlite:${join(folder, 'app.db')}`, use: Object.values(workload) });

/** Every so many asks repeat an older key. */
const REPEAT_EVERY = 8;
/** Between two asks of a store that cannot be written. */
const REFUSED_PAUSE_MS = 20;
const known: string[] = [];
let asked = 0;
let isDraining = false;

/** `chain-12`: the key says what is started, so that whoever finds it in the records can ask again. */
function parseKey(key: string): { kind: Kind; n: number } {
  const [name, n] = key.split('-');
  const kind = KINDS.find((one) => one === name);
  if (kind === undefined) throw new Error(`${key} is no key of this workload`);
  return { kind, n: Number(n) };
}

function nextKey(): string {
  asked++;
  const repeated = asked % REPEAT_EVERY === 0 ? known[Math.floor(Math.random() * known.length)] : undefined;
  return repeated ?? `${MIX[asked % MIX.length] ?? MIX[0]}-${asked}`;
}

const codeOf = (error: unknown): string => (pawl.isPawlError(error) ? error.code : String(error));

/** Asks until the answer is yes: after an error the outcome is unknown, and the key makes it safe to ask again. */
async function start(key: string): Promise<string> {
  const { kind, n } = parseKey(key);
  for (;;) {
    void log.append({ type: 'ask', key, at: clock() });
    try {
      const run = await engine.start(workload[kind], { n }, { key });
      await log.append({ type: 'ack', key, run: run.id, created: run.created, at: clock() });
      return run.id;
    } catch (error) {
      await log.append({ type: 'refused', key, code: codeOf(error), at: clock() });
      if (!codeOf(error).startsWith('STORE_')) throw error;
      await pause(REFUSED_PAUSE_MS);
    }
  }
}

async function awaitResult(key: string, run: string): Promise<void> {
  const { kind, n } = parseKey(key);
  let problem: string | null = null;
  let at = 0;
  try {
    const handle = await engine.get(run);
    const output = await handle.result();
    at = clock();
    if (output !== expectedOutput[kind](n)) problem = `${JSON.stringify(output)} instead of ${expectedOutput[kind](n)}`;
  } catch (error) {
    at = clock();
    problem = codeOf(error);
  }
  await log.append({ type: 'result', run, at, ...(problem === null ? {} : { problem }) });
}

async function oneAfterTheOther(keys: Iterator<string, undefined>): Promise<void> {
  for (let next = keys.next(); next.done !== true; next = keys.next()) {
    const key = next.value;
    const run = await start(key);
    known.push(key);
    await awaitResult(key, run);
  }
}

/** First what an earlier client left open, then new ones. */
function* keysToStart(): Generator<string, undefined> {
  const ended = new Set(earlier.map((record) => (record.type === 'result' ? record.run : '')));
  const closed = new Set(earlier.map((record) => (record.type === 'ack' && ended.has(record.run) ? record.key : '')));
  const before = new Set(earlier.flatMap((record) => ('key' in record ? [record.key] : [])));
  asked = before.size === 0 ? 0 : Math.max(...[...before].map((key) => parseKey(key).n));
  yield* [...before].filter((key) => !closed.has(key));
  while (!isDraining) yield nextKey();
  return undefined;
}

process.on('disconnect', () => process.exit(1));
process.on('message', () => {
  isDraining = true;
});

const keys = keysToStart();
await Promise.all(Array.from({ length: open }, () => oneAfterTheOther(keys)));
await engine.close();
process.removeAllListeners('disconnect');
process.disconnect();
