/**
 * One round of one peer, in a process of its own: `node bench/peers/round.ts openworkflow-sqlite w1 2000 <folder>`; its metrics go to
 * stdout as JSON. `clean` in place of a workload removes what rounds with that folder left on the server.
 */
import { createHash } from 'node:crypto';
import { live, measures } from './measure.ts';
import type { OpenPeer, Place } from './peer.ts';
import { keyOf, peers } from './peers.ts';
import { checkDurable, dropSchema } from './postgres.ts';

const [key = '', workload = '', size = '', folder = '', life] = process.argv.slice(2);
const peer = peers.find((one) => keyOf(one) === key);
if (peer === undefined || folder === '') throw new Error(`no such round: ${process.argv.slice(2).join(' ')}`);

const url = peer.server === undefined ? '' : (process.env[peer.server] ?? '');
if (peer.server !== undefined && url === '') throw new Error(`${peer.server} is not set`);
// The folder of a round has a name of its own, and so have its tables and keys.
const space = `pawl_bench_${createHash('sha256').update(folder).digest('hex').slice(0, 12)}`;
const place: Place = { folder, url, space };

async function opener(): Promise<OpenPeer> {
  switch (key) {
    case 'openworkflow-sqlite':
      return (await import('./openworkflow.ts')).openOnSqlite;
    case 'openworkflow-postgres':
      return (await import('./openworkflow.ts')).openOnPostgres;
    case 'dbos-postgres':
      return (await import('./dbos.ts')).open;
    case 'pg-boss-postgres':
      return (await import('./pg-boss.ts')).open;
    case 'bullmq-redis':
      return (await import('./bullmq.ts')).open;
    default:
      throw new Error(`nothing opens ${key}`);
  }
}

if (workload === 'clean') {
  if (peer.store === 'postgres') await dropSchema(place);
  if (peer.store === 'redis') await (await import('./bullmq.ts')).remove(place);
} else {
  const measure = measures[workload];
  if (measure === undefined) throw new Error(`no peer is measured on ${workload}`);
  if (peer.store === 'postgres' && life === undefined) await checkDurable(place);
  const round = { open: await opener(), place, size: Number(size), again: [key, workload, size, folder] };
  if (life === undefined) process.stdout.write(JSON.stringify(await measure(round)), () => process.exit(0));
  else await live(round, life);
}
