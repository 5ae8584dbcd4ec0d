import type { CompiledGraph } from '../core/kernel/compile.ts';
import { PawlError } from '../core/errors.ts';
import { isRefusal, planReset, type ResetRefusal, type ResetTarget } from '../core/kernel/reset.ts';
import type { RunState } from '../core/kernel/run-state.ts';

/** A dead letter by its names, with another input where it gets one. */
export interface LetterToSend {
  readonly task: string;
  readonly item?: number;
  readonly edited?: { readonly input: unknown };
}

/** Of the letters that were asked for those that can be sent on, in the same order as their targets, and why the others cannot. */
export interface Sendable {
  readonly targets: readonly ResetTarget[];
  readonly letters: readonly LetterToSend[];
  readonly refused: ReadonlyMap<LetterToSend, PawlError>;
}

/** No letter is left: an act without a target would mean all of the run. */
export class NoneToSend extends Error {}

interface How {
  readonly target: (letter: LetterToSend) => ResetTarget;
  readonly edited: (target: ResetTarget, input: unknown) => Promise<ResetTarget>;
  readonly refusal: (why: ResetRefusal) => PawlError;
}

export async function sendable(
  { graph, state }: { readonly graph: CompiledGraph; readonly state: RunState },
  letters: readonly LetterToSend[],
  options: { readonly keep?: readonly string[]; readonly acceptUnknown?: boolean; readonly sameKey?: boolean },
  how: How,
): Promise<Sendable> {
  const refused = new Map<LetterToSend, PawlError>();
  let left: { readonly letter: LetterToSend; readonly target: ResetTarget }[] = [];
  for (const letter of letters) {
    try {
      const target = how.target(letter);
      left.push({ letter, target: letter.edited === undefined ? target : await how.edited(target, letter.edited.input) });
    } catch (error) {
      if (!(error instanceof PawlError)) throw error;
      refused.set(letter, error);
    }
  }
  const keep = (options.keep ?? []).flatMap((name) => graph.byId.get(name)?.index ?? []);
  const flags = { keep, acceptUnknown: options.acceptUnknown === true, sameKey: options.sameKey === true };
  while (left.length > 0) {
    const plan = planReset(graph, state, { kind: 'redrive', targets: left.map(({ target }) => target), ...flags });
    if (!isRefusal(plan)) break;
    const isMeant = ({ node, item }: ResetTarget): boolean => node === plan.node && (plan.item < 0 || item === plan.item);
    const meant = left.filter(({ target }) => isMeant(target));
    // What stands in the way is not one of them, but another task that would be reset with them.
    if (meant.length === 0) throw how.refusal(plan);
    for (const { letter } of meant) refused.set(letter, how.refusal(plan));
    left = left.filter(({ target }) => !isMeant(target));
  }
  return { targets: left.map(({ target }) => target), letters: left.map(({ letter }) => letter), refused };
}

/** As the audit keeps them: each task once, with the items that are meant. */
export function lettersAsked(letters: readonly LetterToSend[]): (readonly (string | number)[])[] {
  const byTask = Map.groupBy(letters, ({ task }) => task);
  return [...byTask].map(([task, of]) => [task, ...of.flatMap(({ item }) => item ?? [])]);
}

/** The ids of the dead letters in what {@link lettersAsked} gave. */
export function lettersOf(runId: string, asked: unknown): string[] {
  if (!Array.isArray(asked)) return [];
  return asked.flatMap((entry: unknown) => {
    if (!Array.isArray(entry)) return [];
    const [task, ...items] = entry as readonly unknown[];
    return items.length === 0 ? [`${runId}/${String(task)}`] : items.map((item) => `${runId}/${String(task)}[${String(item)}]`);
  });
}
