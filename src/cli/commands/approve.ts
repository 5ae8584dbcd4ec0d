import type { Command } from 'commander';
import { answer, answerOptions, type AnswerFlags } from '../answers.ts';
import type { Act } from '../commands.ts';
import { ID_HELP } from '../find.ts';

export function define(command: Command, act: Act): void {
  answerOptions(command)
    .addHelpText('after', `\n${ID_HELP}`)
    .action(act((cli, id: string, options: AnswerFlags) => answer(cli, id, 'approved', options)));
}
