import type { RunQuery } from '../client/client.ts';
import { tryDurationMs } from '../core/duration-text.ts';
import { instantIn } from './args.ts';
import { RUN_STATUSES, type RunStatus } from '../core/kernel/states.ts';
import { usage } from './errors.ts';

const TOKENS = ['wf', 'status', 'tag', 'since', 'key'] as const;
type Token = (typeof TOKENS)[number];

export const QUERY_HELP = `A query is made of tokens; all of them must fit:
  wf:order            runs of this workflow
  status:failed       in this status; several: status:failed,partial
  tag:eu              with this tag
  since:2h            accepted so long ago at most, or since an instant: since:2026-01-31T08:00Z
  key:o-81            started with this key; with blanks: key:"order 81"`;

type Filter = Omit<RunQuery, 'limit' | 'cursor'>;

/** Whether the words are a query, rather than an id or a key. */
export function isQuery(words: readonly string[]): boolean {
  return words.length > 0 && words.every((word) => TOKENS.some((token) => word.startsWith(`${token}:`)));
}

/** `wf:order status:failed,partial since:2h`, in one argument or in several. */
export function parseQuery(words: readonly string[]): Filter {
  const given = new Map<Token, string>();
  for (const [name, value] of words.flatMap(tokensOf)) {
    if (given.has(name)) throw usage(`${name}: stands twice in the query.`);
    given.set(name, value);
  }
  const [workflow, status, tag, since, key] = TOKENS.map((token) => given.get(token));
  return {
    ...(workflow === undefined ? {} : { workflow }),
    ...(status === undefined ? {} : { status: status.split(',').map(statusOf) }),
    ...(tag === undefined ? {} : { tag }),
    ...(since === undefined ? {} : { since: sinceOf(since) }),
    ...(key === undefined ? {} : { key }),
  };
}

function tokensOf(words: string): [Token, string][] {
  const parts = [...words.matchAll(/(\w+):(?:"([^"]*)"|(\S*))|(\S+)/g)];
  return parts.map(([whole, name, quoted, bare, other]) => {
    const token = TOKENS.find((one) => one === name);
    if (other !== undefined || token === undefined)
      throw usage(
        `The query has ${JSON.stringify(whole)}, which is none of its tokens: ${TOKENS.map((one) => `${one}:`).join(' ')}`,
        'See pawl ls --help.',
      );
    const value = quoted ?? bare ?? '';
    if (value === '') throw usage(`${token}: has no value.`, 'See pawl ls --help.');
    return [token, value];
  });
}

function statusOf(word: string): RunStatus {
  const status = RUN_STATUSES.find((one) => one === word);
  if (status === undefined) throw usage(`status:${word} is no status of a run.`, `Give one of ${RUN_STATUSES.join(', ')}.`);
  return status;
}

function sinceOf(text: string): Date | number {
  const ms = tryDurationMs(text);
  if (ms !== null) return ms;
  const at = instantIn(text);
  if (at === null)
    throw usage(`since:${text} is neither a duration nor an instant.`, "Give '90s', '2h', '14d', or an instant such as 2026-01-31T08:00Z.");
  return at;
}
