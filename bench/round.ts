/** One round of one part of a workload, in a process of its own: `node bench/round.ts w1 engine 10000 <folder>`; its metrics go to stdout as JSON. */
import { workloads } from './workloads.ts';

const [workload = '', part = '', size = '', folder = ''] = process.argv.slice(2);
const measure = workloads[workload]?.parts[part];
if (measure === undefined || folder === '') throw new Error(`no such round: ${process.argv.slice(2).join(' ')}`);
process.stdout.write(JSON.stringify(await measure({ folder, size: Number(size) })));
