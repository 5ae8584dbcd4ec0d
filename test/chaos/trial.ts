/** One trial of a harness: a store in a folder of its own, the processes on it, and what is seen of them. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startClient, startWorker, type Child } from './children.ts';
import type { History, Life, Snapshot, Violation } from './history.ts';
import type { KillPlan, KillReport } from './kill-switch.ts';
import { readRecords, type BodyRecord, type ClientRecord } from './records.ts';
import { StoreReader } from './snapshot.ts';

/** Attempts at the same time in one worker. */
export const CONCURRENCY = 128;
/** Everything that is left must end in this time. */
const DRAIN_MS = 60_000;
const CLOSE_MS = 15_000;

export interface TrialOptions {
  /** The engine under test: `src`, or a copy with a planted fault. */
  readonly src: string;
  readonly drainMs?: number;
}

export class Trial {
  readonly folder = mkdtempSync(join(tmpdir(), 'pawl-chaos-'));
  readonly snapshots: Snapshot[] = [];
  readonly kills: KillReport[] = [];
  private readonly options: TrialOptions;
  private readonly reader = new StoreReader(join(this.folder, 'app.db'));
  private readonly workers: { readonly child: Child; readonly slot: number }[] = [];
  private readonly clients: Child[] = [];
  private readonly complaints: Violation[] = [];

  private readonly openRuns: number;

  /** `openRuns`: so many the client keeps open, enough that most slots are taken. */
  constructor(options: TrialOptions, openRuns: number) {
    this.options = options;
    this.openRuns = openRuns;
  }

  /** Starts of a worker or client that took the place of a dead one. */
  get restarts(): number {
    return this.workers.length - new Set(this.workers.map(({ slot }) => slot)).size + this.clients.length - 1;
  }

  startWorker(slot: number, kill: KillPlan | null): Child {
    const { src } = this.options;
    const life = `worker-${this.workers.length + 1}`;
    const child = startWorker({ folder: this.folder, src, life, concurrency: CONCURRENCY, kill });
    this.workers.push({ child, slot });
    return child;
  }

  /** The client, which there is one of at a time. */
  ensureClient(): Child {
    const last = this.clients.at(-1);
    if (last !== undefined && last.exit === null) return last;
    const { src } = this.options;
    const child = startClient({ folder: this.folder, src, life: `client-${this.clients.length + 1}`, open: this.openRuns });
    this.clients.push(child);
    return child;
  }

  async killClient(): Promise<void> {
    const client = this.clients.at(-1);
    client?.kill();
    await client?.exited;
  }

  /** After the death of a worker, before another takes its place. */
  look(dead: Child): void {
    this.snapshots.push(this.reader.snapshot(dead.pid));
    const report = this.killReport(dead);
    if (report !== null) this.kills.push(report);
  }

  private killReport({ life }: Child): KillReport | null {
    const file = join(this.folder, `${life}.kill`);
    return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as KillReport) : null;
  }

  complain(rule: string, text: string): void {
    this.complaints.push({ rule, text });
  }

  /** The client starts nothing more; what is open ends; workers close. */
  async drain(workers: readonly Child[]): Promise<void> {
    const client = this.ensureClient();
    client.finish();
    if (!(await client.endsWithin(this.options.drainMs ?? DRAIN_MS)))
      this.complain('not-drained', 'runs were still open when the time was over');
    for (const worker of workers) worker.finish();
    for (const worker of workers) {
      if (!(await worker.endsWithin(CLOSE_MS))) this.complain('not-closed', `${worker.life} was told to close, and did not end`);
    }
    await this.killAll();
  }

  /** Whatever still runs, runs no more. */
  async killAll(): Promise<void> {
    for (const child of this.children) child.kill();
    await Promise.all(this.children.map((child) => child.exited));
  }

  /** After the end of all processes. */
  history(mustShare: boolean): History {
    return {
      concurrency: CONCURRENCY,
      lives: this.workers.map(({ child, slot }) => this.life(child, slot)),
      client: this.clients.flatMap((child) => readRecords<ClientRecord>(join(this.folder, `${child.life}.log`))),
      snapshots: this.snapshots,
      final: this.reader.final(),
      complaints: [...this.complaints, ...this.crashes(), ...this.logged()],
      mustShare,
    };
  }

  private life(child: Child, slot: number): Life {
    const bodies = readRecords<BodyRecord>(join(this.folder, `${child.life}.log`));
    const diedAt = this.killReport(child)?.time ?? child.killedAt ?? child.exit?.at ?? 0;
    return { name: child.life, slot, readyAt: child.readyAt, aliveUntil: Math.max(diedAt, bodies.at(-1)?.at ?? 0), bodies };
  }

  private get children(): Child[] {
    return [...this.workers.map(({ child }) => child), ...this.clients];
  }

  /** Deaths of their own. */
  private crashes(): Violation[] {
    const wasKilled = (child: Child): boolean => child.exit?.signal === 'SIGKILL' && (child.killedAt ?? this.killReport(child)) !== null;
    return this.children
      .filter((child) => child.exit?.code !== 0 && !wasKilled(child))
      .map(({ life, exit }) => {
        const lastWords = this.logOf(life).trimEnd().split('\n').slice(-4).join(' | ');
        return { rule: 'crashed', text: `${life} died (${exit?.signal ?? exit?.code}), and nobody had killed it: ${lastWords}` };
      });
  }

  /** Errors in the logs of the processes. */
  private logged(): Violation[] {
    return this.children.flatMap(({ life }) =>
      this.logOf(life)
        .split('\n')
        .filter((line) => line.includes('"level":"error"'))
        .map((line) => ({ rule: 'logged-error', text: `${life}: ${line}` })),
    );
  }

  private logOf(life: string): string {
    return readFileSync(join(this.folder, `${life}.err`), 'utf8');
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
