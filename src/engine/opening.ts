import type { Logger } from '../core/log.ts';
import type { StoreInfo } from '../store/store.ts';

/** What whoever runs the process should know of a store that was opened. */
export function noteOpened(logger: Logger, { path, isImmutable, writer }: StoreInfo): void {
  if (isImmutable) logger.warn('the store cannot be read beside a writer: what is committed from now on is not seen', { path });
  const { in: place, flushMs, refused } = writer;
  logger.debug('the store is open', { path, writer: place, flushMs });
  if (refused !== undefined)
    logger.warn('commits hold up the event loop: flushes are slow, and no thread could be started', { path, flushMs, error: refused });
}
