/** One round of one part of a workload, in a process of its own: `node bench/round.ts w1 engine 10000 <folder> [variant] [asked, as JSON]`; its metrics go to stdout as JSON. */
import { ask, type Asked, type Workload } from './workload.ts';

const [name = '', part = '', size = '', folder = '', variant = '', asked = '{}'] = process.argv.slice(2);
ask(JSON.parse(asked) as Asked);
// why: what other workloads need would count in the memory of this one
const { [name]: workload } = (await import(`./${name}.ts`)) as Readonly<Record<string, Workload | undefined>>;
const measure = workload?.parts[part] ?? workload?.before?.[part];
if (measure === undefined || folder === '') throw new Error(`no such round: ${process.argv.slice(2).join(' ')}`);
process.stdout.write(JSON.stringify(await measure({ folder, size: Number(size), variant })));
