import { width } from '../text.ts';

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** Besides the five, two characters that XML does not know at all. */
export function xml(text: string): string {
  return text.replace(/[&<>"'\ufffe\uffff]/g, (char) => ENTITIES[char] ?? '\ufffd');
}

/** Ems of a bold sans serif, rather too much than too little: whoever reads the drawing has fonts of their own. */
const EMS: readonly (readonly [RegExp, number])[] = [
  [/[MWmw@%—…]/, 0.95],
  [/[\p{Lu}_#&+=<>~]/u, 0.78],
  [/[.,:;'|!iljItf()[\]{} -]/, 0.42],
];

/** Estimated: there is no font to measure with. */
export function textWidth(text: string, pixels: number): number {
  let ems = 0;
  for (const char of text) ems += (EMS.find(([kind]) => kind.test(char))?.[1] ?? 0.68) * width(char);
  return ems * pixels;
}
