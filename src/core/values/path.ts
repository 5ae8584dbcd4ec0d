/** A step into a value as messages show it: a key, an index, or (for the insides of a Map or Set) text that stands as it is. */
export type PathStep = string | number | { readonly shown: string };

const IDENTIFIER = /^[A-Za-z_$][\w$]*$/;
const MAX_SHOWN = 80;

/** `output.lines[3].at`. Odd keys come as `["…"]` with escapes, so that the text itself can always be stored; an empty root starts with the first key. */
export function pathText(root: string, steps: readonly PathStep[]): string {
  let text = root;
  for (const step of steps) {
    if (typeof step === 'number') text += `[${step}]`;
    else if (typeof step === 'object') text += step.shown;
    else if (!IDENTIFIER.test(step) || step.length > MAX_SHOWN) text += `[${quoted(step)}]`;
    else text += text === '' ? step : `.${step}`;
  }
  return text;
}

/** A string in quotes, escaped and at most 80 characters of it: for messages. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN - 1)}…` : text);
}

/**
 * What stands at the path: own properties, array indices and `length`; `undefined` where there is nothing. Never throws, and never
 * reaches a prototype, so that a path from outside cannot read what is no data.
 */
export function readPath(value: unknown, path: readonly (string | number)[]): unknown {
  let at = value;
  try {
    for (const key of path) {
      if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return undefined;
      at = (at as Record<string | number, unknown>)[key];
    }
  } catch {
    // A getter or a proxy that throws: nothing can be read there.
    return undefined;
  }
  return at;
}
