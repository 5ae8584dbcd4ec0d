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
  limit: { group: 'Work:', summary: 'pools, keys and rates: ls, set, clear', load: () => import('./commands/limit.ts') },
  start: { group: 'Runs:', summary: 'start a run', load: () => import('./commands/start.ts') },
  ls: { group: 'Runs:', summary: 'list runs, newest first', load: () => import('./commands/ls.ts') },
  show: { group: 'Runs:', summary: 'one run with its tasks', load: () => import('./commands/show.ts') },
  watch: { group: 'Runs:', summary: 'follow a run until it ends', load: () => import('./commands/watch.ts') },
  logs: { group: 'Runs:', summary: 'what the bodies of a run wrote to ctx.log', load: () => import('./commands/logs.ts') },
  cancel: { group: 'Runs:', summary: 'cancel a run, or all that a query finds', load: () => import('./commands/cancel.ts') },
  why: { group: 'Runs:', summary: 'one sentence: what a run or task waits for, or why it ended', load: () => import('./commands/why.ts') },
  pause: { group: 'Runs:', summary: 'claim nothing new of a run, queue or workflow', load: () => import('./commands/pause.ts') },
  resume: { group: 'Runs:', summary: 'let go on what was paused', load: () => import('./commands/resume.ts') },
  schedule: {
    group: 'Runs:',
    summary: 'schedules: ls, show, next, run, pause, resume, backfill',
    load: () => import('./commands/schedule.ts'),
  },
  signal: { group: 'Runs:', summary: 'send a message to who waits for it', load: () => import('./commands/signal.ts') },
  approve: { group: 'Runs:', summary: 'say yes to an approval that a run waits for', load: () => import('./commands/approve.ts') },
  reject: { group: 'Runs:', summary: 'say no to one', load: () => import('./commands/reject.ts') },
  dead: { group: 'Mending:', summary: 'dead letters: ls, show, redrive, discard', load: () => import('./commands/dead.ts') },
  redrive: {
    group: 'Mending:',
    summary: 'send a run’s dead letters on; finished work is kept',
    load: () => import('./commands/redrive.ts'),
  },
  rerun: { group: 'Mending:', summary: 'do a task over, with all that depends on it', load: () => import('./commands/rerun.ts') },
  fork: { group: 'Mending:', summary: 'a new run that takes over earlier outputs', load: () => import('./commands/fork.ts') },
  restart: { group: 'Mending:', summary: 'a new run from nothing, linked to the old', load: () => import('./commands/restart.ts') },
  move: {
    group: 'Mending:',
    summary: 'let open runs go on as runs of another version',
    load: () => import('./commands/move.ts'),
  },
  mark: { group: 'Mending:', summary: 'mark a task as success or skipped, or a run as failed', load: () => import('./commands/mark.ts') },
  quarantine: {
    group: 'Mending:',
    summary: 'runs that were set aside: ls, retry, fail',
    load: () => import('./commands/quarantine.ts'),
  },
  audit: { group: 'Mending:', summary: 'who did what to which run', load: () => import('./commands/audit.ts') },
  check: { group: 'Definitions:', summary: 'build every workflow, and list all problems', load: () => import('./commands/check.ts') },
  graph: { group: 'Definitions:', summary: "draw a workflow's graph, or a run's", load: () => import('./commands/graph.ts') },
  sql: { group: 'Store:', summary: 'query the store, read-only', load: () => import('./commands/sql.ts') },
  migrate: { group: 'Store:', summary: 'bring the store to the schema of this version', load: () => import('./commands/migrate.ts') },
  doctor: { group: 'Store:', summary: 'check the store, its file and its workers', load: () => import('./commands/doctor.ts') },
  prune: { group: 'Store:', summary: 'delete old finished runs', load: () => import('./commands/prune.ts') },
  backup: { group: 'Store:', summary: 'copy the store while it is in use', load: () => import('./commands/backup.ts') },
  export: { group: 'Store:', summary: 'one run as a document', load: () => import('./commands/export.ts') },
  import: { group: 'Store:', summary: 'add a run that was exported', load: () => import('./commands/import.ts') },
  explain: { group: 'Help:', summary: 'what an error code means', load: () => import('./commands/explain.ts') },
  completion: { group: 'Help:', summary: 'a completion script for your shell', load: () => import('./commands/completion.ts') },
};
