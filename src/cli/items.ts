import type { ItemName } from '../client/acts.ts';

/** An item as it is named on the command line: digits are an index, anything else a key; a key of digits stands in quotes. */
export function itemName(text: string): ItemName;
export function itemName(text: string | undefined): ItemName | undefined;
export function itemName(text: string | undefined): ItemName | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  return /^".*"$/s.test(text) ? text.slice(1, -1) : text;
}
