import { Help, type HelpConfiguration } from 'commander';
import { chunks, width } from './text.ts';

/** How help is written: values of options without quotes, the version by the help of the whole only. */
export const HELP: HelpConfiguration = {
  showGlobalOptions: true,
  subcommandTerm: (command) => command.name(),
  optionDescription: (option) =>
    new Help()
      .optionDescription(option)
      .replace(/ \(default: \[\]\)$/, '')
      .replace(/\((?:choices|default): [^()]*\)$/, (values) => values.replaceAll('"', '')),
  visibleGlobalOptions: ({ parent }) => (parent?.options ?? []).filter((option) => !option.hidden && option.long !== '--version'),
};

/** No line wider than the columns: what goes on stands under what it goes on from. */
export function wrapped(text: string, columns: number): string {
  return text
    .split('\n')
    .flatMap((line) => wrappedLine(line, columns))
    .join('\n');
}

function wrappedLine(line: string, columns: number): string[] {
  if (width(line) <= columns) return [line];
  // Of `term    what it means` the meaning is a column of its own, unless it would be too narrow to read.
  const term = /^ +.{1,30}? {2,}(?=\S)|^ */.exec(line)?.[0] ?? '';
  const indent = term.length > columns / 2 ? line.search(/\S|$/) : term.length;
  const lines: string[] = [];
  let now = line.slice(0, indent);
  for (const word of line.slice(indent).split(' ')) {
    const isFirst = now.trim() === '' || now.length === indent;
    const next = isFirst ? now + word : `${now} ${word}`;
    if (width(next) <= columns || isFirst) now = next;
    else {
      lines.push(now.trimEnd());
      now = ' '.repeat(indent) + word;
    }
  }
  return [...lines, now].flatMap((one) => chunks(one, columns));
}
