import { workerData } from 'node:worker_threads';
import type { HeartData } from './beating.ts';

/** What the heart's thread starts with: nothing. What it loads it needs a while later, and the first run of a process wants the processor now. */
const data = workerData as HeartData;
setTimeout(() => void import('./beating.ts').then(({ keepBeating }) => keepBeating(data)), Math.min(1_000, data.leaseMs / 4));
