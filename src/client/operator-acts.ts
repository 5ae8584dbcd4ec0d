import { encode } from '../core/values/codec.ts';
import type { OperatorAct } from '../store/acts.ts';
import { DEFAULT_ACTOR } from './acts.ts';
import { checkText } from './act-parts.ts';

/** Who acts, and what they say of it. */
export interface ActorOptions {
  /** Who does it, for the audit. Default `'api'`. */
  readonly actor?: string;
  /** Kept with the act. */
  readonly note?: string;
}

/** What an act is about that is about no run. */
export interface ActSubject {
  readonly kind: 'queue' | 'workflow' | 'limit' | 'schedule';
  readonly name: string;
}

const KINDS: readonly ActSubject['kind'][] = ['queue', 'workflow', 'limit', 'schedule'];

export const subjectText = ({ kind, name }: ActSubject): string => `${kind}:${name}`;

/** `queue:media`; null for what names no such thing. */
export function subjectOf(text: string): ActSubject | null {
  const at = text.indexOf(':');
  const kind = KINDS.find((one) => one === text.slice(0, at));
  return kind === undefined || at === text.length - 1 ? null : { kind, name: text.slice(at + 1) };
}

/** `facts`: what was asked for. */
export function operatorAct(
  on: ActSubject,
  action: string,
  { actor = DEFAULT_ACTOR, note }: ActorOptions,
  facts: object = {},
): OperatorAct {
  checkText('actor', actor);
  checkText('note', note ?? null);
  return { actor, action, subject: subjectText(on), facts: encode(facts, { root: action }) ?? '{}', note: note ?? null };
}
