import type { Command } from 'commander';
import type { Act } from '../commands.ts';
import { NOTE_OPTION, DRY_OPTION } from '../act.ts';
import { WORKFLOW_OPTION } from '../find.ts';
import { discardLetter, listLetters, redriveLetters, showLetter } from '../dead.ts';

/** Options that say which dead letters are meant. */
function filters(command: Command): Command {
  return command
    .option(WORKFLOW_OPTION[0], 'of this workflow')
    .option('--run <id>', 'of this run')
    .option('--task <task>', 'of this task, by its id in the graph')
    .option('--code <code>', 'whose error has this code')
    .option('--since <duration|instant>', 'that died so long ago at most, or since an instant');
}

export function define(command: Command, act: Act): void {
  command.addHelpText(
    'after',
    '\nA dead letter is a task that failed for good and waits for a decision. Its id is <run>/<task>, of an item <run>/<task>[<n>];\n<run> may be the start of the id.',
  );
  filters(command.command('ls', { isDefault: true }).description('The last to die first.'))
    .option('--limit <n>', 'at most so many', '50')
    .action(act(listLetters));
  command.command('show').description('One, with input, error and attempts.').argument('<letter>', 'its id').action(act(showLetter));
  filters(command.command('redrive').description('Sends on what matches, run by run; finished work is kept.'))
    .option('--limit <n>', 'at most so many')
    .option('--rate <n/s>', 'at most so many a second: 20/s')
    .option('--edit <@module>', 'its default export makes a new input: (input, letter) => input; needs the entry, for the schemas')
    .option('--accept-unknown', 'also what is unsafe and may have happened already')
    .option('--same-key', 'leaves the idempotency keys as they are')
    .option(...DRY_OPTION)
    .option(...NOTE_OPTION)
    .addHelpText('after', '\nMore than 10 matches need --yes.')
    .action(act(redriveLetters));
  command
    .command('discard')
    .description('It stays failed, and is no longer listed.')
    .argument('<letter>', 'its id')
    .requiredOption(...NOTE_OPTION)
    .action(act(discardLetter));
}
