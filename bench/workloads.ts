import { w1 } from './w1.ts';
import { w2 } from './w2.ts';
import { w3 } from './w3.ts';
import { w4 } from './w4.ts';
import type { Workload } from './workload.ts';

export const workloads: Readonly<Record<string, Workload>> = { w1, w2, w3, w4 };
