import type { Command } from 'commander';
import type { Cli } from './cli.ts';

/** Makes a command's action of a function that gets the CLI first and may give an exit code. */
export type Act = <A extends readonly unknown[]>(work: (cli: Cli, ...args: A) => Promise<number | void>) => (...args: A) => Promise<void>;

interface CommandModule {
  /** Adds arguments, options, help and action. */
  readonly define: (command: Command, act: Act) => void;
}

interface Listed {
  readonly group: string;
  readonly summary: string;
  readonly load: () => Promise<CommandModule>;
}

/** Every command: what the help lists, and the file that holds the rest, loaded when the command is called. */
export const COMMANDS: Readonly<Record<string, Listed>> = {
  dev: { group: 'Work:', summary: 'a worker that restarts when your code changes', load: () => import('./commands/dev.ts') },
  work: { group: 'Work:', summary: 'a worker for production', load: () => import('./commands/work.ts') },
  workers: { group: 'Work:', summary: 'which workers live, and what they hold', load: () => import('./commands/workers.ts') },
  start: { group: 'Runs:', summary: 'start a run', load: () => import('./commands/start.ts') },
  ls: { group: 'Runs:', summary: 'list runs, newest first', load: () => import('./commands/ls.ts') },
  show: { group: 'Runs:', summary: 'one run with its tasks', load: () => import('./commands/show.ts') },
  watch: { group: 'Runs:', summary: 'follow a run until it ends', load: () => import('./commands/watch.ts') },
  cancel: { group: 'Acts on runs:', summary: 'cancel a run, or all that a query finds', load: () => import('./commands/cancel.ts') },
  why: { group: 'Runs:', summary: 'what a run waits for, or how it ended, in one sentence', load: () => import('./commands/why.ts') },
  pause: { group: 'Acts on runs:', summary: 'claim nothing new of a run', load: () => import('./commands/pause.ts') },
  resume: { group: 'Acts on runs:', summary: 'let a paused run go on', load: () => import('./commands/resume.ts') },
  redrive: {
    group: 'Acts on runs:',
    summary: 'send the dead letters of a run on, finished work kept',
    load: () => import('./commands/redrive.ts'),
  },
  rerun: { group: 'Acts on runs:', summary: 'do a task over, and what depends on it', load: () => import('./commands/rerun.ts') },
  restart: { group: 'Acts on runs:', summary: 'a new run from nothing', load: () => import('./commands/restart.ts') },
  fork: { group: 'Acts on runs:', summary: 'a new run that takes over finished work', load: () => import('./commands/fork.ts') },
  mark: {
    group: 'Acts on runs:',
    summary: 'count a task as success or skipped, a run as failed',
    load: () => import('./commands/mark.ts'),
  },
  dead: { group: 'Needs a person:', summary: 'dead letters: list, show, redrive, discard', load: () => import('./commands/dead.ts') },
  quarantine: {
    group: 'Needs a person:',
    summary: 'runs that were set aside: list, retry, fail',
    load: () => import('./commands/quarantine.ts'),
  },
  check: { group: 'Definitions:', summary: 'build every workflow, and list all problems', load: () => import('./commands/check.ts') },
  sql: { group: 'Store:', summary: 'query the store, read-only', load: () => import('./commands/sql.ts') },
  migrate: { group: 'Store:', summary: 'bring the store to the schema of this version', load: () => import('./commands/migrate.ts') },
  explain: { group: 'Help:', summary: 'what an error code means', load: () => import('./commands/explain.ts') },
  completion: { group: 'Help:', summary: 'a completion script for your shell', load: () => import('./commands/completion.ts') },
};
