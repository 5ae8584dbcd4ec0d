import type { SqliteStore } from './store.ts';
import { packedResult } from './packing.ts';
import { ask } from './routes.ts';
import type { LoadRequest } from '../store.ts';
import { receivedBatch, sentError, sentLoaded, type Answer, type Asked, type SentBatch, type Serves } from './wire.ts';

/** Does with a store what the other side asks, in the order in which that was asked, and tells it what came of it. */
export function answering(store: SqliteStore, reply: (answer: Answer) => void): (asked: Asked) => Promise<void> {
  let serves: Serves | null = null;
  const done = ({ part, method, args }: Asked): Promise<unknown> => {
    if (part === null && method === 'load') return store.load(args[0] as readonly LoadRequest[]).then(sentLoaded);
    if (part !== null || method !== 'commit') return ask(store, part, method, args);
    const batch = args[0] as SentBatch;
    serves = batch.serves ?? serves;
    return store.commit(receivedBatch(batch, serves)).then(packedResult);
  };
  return async (asked) => {
    const { id } = asked;
    try {
      reply({ id, value: await done(asked) });
    } catch (error) {
      reply({ id, failed: sentError(error) });
    }
  };
}
