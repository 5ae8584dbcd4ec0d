import { Help, type HelpConfiguration } from 'commander';
import { width } from './text.ts';
import { hanging } from './wrap.ts';

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
    .flatMap((line) => (width(line) <= columns ? [line] : wrappedLine(line, columns)))
    .join('\n');
}

/** Of `term    what it means` the meaning is a column of its own. */
function wrappedLine(line: string, columns: number): string[] {
  const term = /^ +.{1,30}? {2,}(?=\S)|^ */.exec(line)?.[0] ?? '';
  return hanging(term, line.slice(term.length), columns);
}
