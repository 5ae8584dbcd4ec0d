import { Argument, type Command } from 'commander';
import type { Act } from '../commands.ts';

const SHELLS = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof SHELLS)[number];

export function define(command: Command, act: Act): void {
  command
    .addArgument(new Argument('<shell>', 'which shell').choices(SHELLS))
    .addHelpText(
      'after',
      '\nbash: source <(pawl completion bash)\nzsh:  source <(pawl completion zsh)\nfish: pawl completion fish | source',
    )
    .action(
      act(async ({ out }, shell: Shell) => {
        const words = wordsOf(command.parent ?? command);
        out.line(SCRIPTS[shell](words));
      }),
    );
}

interface Words {
  readonly commands: readonly { readonly name: string; readonly summary: string; readonly options: readonly string[] }[];
  readonly global: readonly string[];
}

function wordsOf(program: Command): Words {
  const longs = (command: Command): string[] => [
    ...command.options.map((option) => option.long).filter((long) => typeof long === 'string'),
    '--help',
  ];
  return {
    global: longs(program),
    commands: program.commands.map((command) => ({ name: command.name(), summary: command.summary(), options: longs(command) })),
  };
}

const SCRIPTS: Readonly<Record<Shell, (words: Words) => string>> = { bash, zsh, fish };

function bash({ commands, global }: Words): string {
  const cases = commands.map(({ name, options }) => `    ${name}) words="${[...options, ...global].join(' ')}" ;;`);
  return `_pawl() {
  local word=\${COMP_WORDS[COMP_CWORD]} words
  case "\${COMP_WORDS[1]}" in
${cases.join('\n')}
    *) words="" ;;
  esac
  if [ "$COMP_CWORD" -eq 1 ]; then words="${[...commands.map((one) => one.name), ...global].join(' ')}"; fi
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o default -F _pawl pawl`;
}

function zsh({ commands, global }: Words): string {
  const described = commands.map(({ name, summary }) => `    '${name}:${summary.replaceAll("'", "'\\''").replaceAll(':', '\\:')}'`);
  const cases = commands.map(({ name, options }) => `    ${name}) compadd -- ${[...options, ...global].join(' ')} ;;`);
  return `_pawl() {
  local -a commands=(
${described.join('\n')}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    compadd -- ${global.join(' ')}
    return
  fi
  [[ $words[CURRENT] == -* ]] || { _files; return }
  case $words[2] in
${cases.join('\n')}
  esac
}
compdef _pawl pawl`;
}

function fish({ commands, global }: Words): string {
  const lines = commands.flatMap(({ name, summary, options }) => [
    `complete -c pawl -n __fish_use_subcommand -a ${name} -d '${summary.replaceAll("'", "\\'")}'`,
    ...options.map((option) => `complete -c pawl -n '__fish_seen_subcommand_from ${name}' -l ${option.slice(2)}`),
  ]);
  return [...lines, ...global.map((option) => `complete -c pawl -l ${option.slice(2)}`)].join('\n');
}
