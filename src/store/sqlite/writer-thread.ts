import { parentPort, workerData } from 'node:worker_threads';
import { answering } from './answering.ts';
import { SqliteStore } from './store.ts';
import type { Asked, ThreadData } from './wire.ts';

/** Owns the connection that writes, and nothing else. */
const { options } = workerData as ThreadData;
const answer = answering(new SqliteStore(options), (message) => parentPort?.postMessage(message));
parentPort?.on('message', (asked: Asked) => void answer(asked));
