import { PawlError } from '../core/errors.ts';
import { shellWord } from './args.ts';
import { count } from './text.ts';

/** More than these are not acted on without a word. */
export const UNASKED = 10;

interface Matched {
  readonly matched: number;
  readonly query: readonly string[];
  /** The command, and the one that only lists what it would act on. */
  readonly command: string;
  readonly list: string;
  readonly yes: boolean;
}

/** Throws `RUN_UNCONFIRMED` where more was found than a person may have meant, with the commands to type. */
export function confirm({ matched, query, command, list, yes }: Matched): void {
  if (matched <= UNASKED || yes) return;
  const words = query.map(shellWord).join(' ');
  throw new PawlError('RUN_UNCONFIRMED', `${count(matched, 'run')} match ${words}; nothing was changed.`, {
    fix: `Look at them: ${list} ${words}. Then, if all of them are meant: ${command} ${words} --yes.`,
    details: { matched },
  });
}
