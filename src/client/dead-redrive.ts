import { PawlError } from '../core/errors.ts';
import { runIdText } from '../core/ids.ts';
import { REQUEST_MS } from '../core/kernel/reset.ts';
import { checkOptions } from '../core/options.ts';
import { shown } from '../core/graph/problems.ts';
import type { Store } from '../store/store.ts';
import type { Seen } from './act-parts.ts';
import { DEFAULT_ACTOR, type Acts } from './acts.ts';
import type { ClientWriter } from './client.ts';
import type { DeadLetter, DeadLetters, DeadQuery, DeadRedriven, DeadRedriveOptions } from './dead.ts';
import { OPTIONS } from './options.ts';
import { lettersOf, type LetterToSend } from './letters-to-send.ts';

interface Parts {
  readonly letters: DeadLetters;
  readonly acts: Acts;
  readonly store: Store;
  readonly writer: ClientWriter;
}

/** So many are gathered before the first is sent, so that those of a run go together although others died between them. */
const GATHERED = 10_000;
/** Letters of one act. Each act loads its run; the audit keeps the names of all. */
const AT_ONCE = 1_000;
/** Characters of the names of one act, below what the audit keeps of it. */
const NAMES_LENGTH = 12_000;
/** With a rate, letters go in so many parts of a second's worth. */
const PARTS_OF_A_SECOND = 5;
const AUDIT_PAGE = 500;

export async function* redriveMany(parts: Parts, query: DeadQuery, options: DeadRedriveOptions): AsyncGenerator<DeadRedriven> {
  checkOptions(query, 'dead.redrive', OPTIONS.dead);
  checkOptions(options, 'dead.redrive', OPTIONS.deadRedrive);
  const { limit = Infinity, perSecond, item } = options;
  if (limit !== Infinity && (!Number.isInteger(limit) || limit < 1))
    throw new PawlError('CONFIG_OPTION', `limit: must be a whole number from 1, not ${shown(limit)}.`);
  if (perSecond !== undefined && !(typeof perSecond === 'number' && perSecond > 0))
    throw new PawlError('CONFIG_OPTION', `perSecond: must be a number above 0, not ${shown(perSecond)}.`);
  if (item !== undefined && (!Number.isInteger(item) || item < 0))
    throw new PawlError('CONFIG_OPTION', `item: must be a whole number from 0, not ${shown(item)}.`);
  const sender = new Sender(parts, options, await doneBefore(parts, options));
  yield* sender.all(query, limit);
}

/** What earlier calls with this request id have done: the acts themselves say so, in the audit. */
interface Before {
  readonly sent: ReadonlySet<string>;
  /** The number of the next act. */
  readonly next: number;
  /** When the first act was done; later deaths are none of this request. */
  readonly beganAt: number;
}

async function doneBefore({ store, writer }: Parts, { requestId, actor = DEFAULT_ACTOR }: DeadRedriveOptions): Promise<Before> {
  const sent = new Set<string>();
  let next = 0;
  if (typeof requestId !== 'string' || (await writer.doneRequest(actor, `${requestId}#0`)) === null)
    return { sent, next, beganAt: Infinity };
  const since = writer.now() - REQUEST_MS;
  for (let before: number | undefined; ;) {
    const page = await store.audit({ limit: AUDIT_PAGE, ...(before === undefined ? {} : { before }) });
    for (const row of page) {
      before = row.id;
      const number = row.actor === actor && row.request?.startsWith(`${requestId}#`) ? row.request.slice(requestId.length + 1) : '';
      if (row.at < since) return { sent, next, beganAt: Infinity };
      if (!/^\d+$/.test(number)) continue;
      next = Math.max(next, Number(number) + 1);
      if (row.uid === null) continue;
      const facts = JSON.parse(row.facts) as { readonly letters?: unknown };
      for (const id of lettersOf(runIdText(row.uid), facts.letters)) sent.add(id);
      if (number === '0') return { sent, next, beganAt: row.at };
    }
    if (page.length < AUDIT_PAGE) return { sent, next, beganAt: Infinity };
  }
}

class Sender {
  private readonly parts: Parts;
  private readonly options: DeadRedriveOptions;
  private readonly before: Before;
  private next: number;
  /** When the next letters may go. */
  private freeAt = -Infinity;

  constructor(parts: Parts, options: DeadRedriveOptions, before: Before) {
    this.parts = parts;
    this.options = options;
    this.before = before;
    this.next = before.next;
  }

  async *all(query: DeadQuery, limit: number): AsyncGenerator<DeadRedriven> {
    let left = limit - this.before.sent.size;
    let gathered: DeadLetter[] = [];
    for await (const { letter } of this.parts.letters.scan(query)) {
      if (left <= 0) break;
      if (!this.isMeant(letter)) continue;
      gathered.push(letter);
      left--;
      if (gathered.length < GATHERED) continue;
      yield* this.byRun(gathered);
      gathered = [];
    }
    yield* this.byRun(gathered);
  }

  private isMeant(letter: DeadLetter): boolean {
    const { item } = this.options;
    const { sent, beganAt } = this.before;
    return (item === undefined || letter.item === item) && letter.diedAt.getTime() <= beganAt && !sent.has(letter.id);
  }

  private async *byRun(letters: readonly DeadLetter[]): AsyncGenerator<DeadRedriven> {
    for (const [runId, of] of Map.groupBy(letters, (letter) => letter.runId)) {
      const details = this.options.edit === undefined ? null : this.parts.letters.detailsOf(runId);
      // Awaited where it is used: until then a failure of it is nobody's.
      details?.catch(() => undefined);
      // A large run is not loaded for each of them.
      const seen: Seen = { run: null };
      for (const part of this.portions(of)) {
        await this.pace(part.length);
        yield* this.send(runId, part, details, seen);
      }
    }
  }

  private portions(letters: readonly DeadLetter[]): DeadLetter[][] {
    const { perSecond, dryRun } = this.options;
    const most =
      perSecond === undefined || dryRun === true ? AT_ONCE : Math.max(1, Math.min(AT_ONCE, Math.floor(perSecond / PARTS_OF_A_SECOND)));
    const portions: DeadLetter[][] = [];
    let portion: DeadLetter[] = [];
    let names = new Set<string>();
    let length = 0;
    for (const letter of letters) {
      length += 12 + (names.has(letter.task) ? 0 : JSON.stringify(letter.task).length);
      if (portion.length === most || (portion.length > 0 && length > NAMES_LENGTH)) {
        portions.push(portion);
        portion = [];
        names = new Set();
        length = 12 + JSON.stringify(letter.task).length;
      }
      names.add(letter.task);
      portion.push(letter);
    }
    return portion.length === 0 ? portions : [...portions, portion];
  }

  private async pace(count: number): Promise<void> {
    const { perSecond, dryRun } = this.options;
    const { writer } = this.parts;
    if (perSecond === undefined || dryRun === true) return;
    const now = writer.now();
    if (this.freeAt > now) await writer.delay(this.freeAt - now);
    this.freeAt = Math.max(now, this.freeAt) + (count * 1_000) / perSecond;
  }

  private async *send(
    runId: string,
    letters: readonly DeadLetter[],
    details: ReturnType<DeadLetters['detailsOf']> | null,
    seen: Seen,
  ): AsyncGenerator<DeadRedriven> {
    const { edit: _, limit: __, perSecond: ___, item: ____, requestId, ...rest } = this.options;
    const request = requestId === undefined ? {} : { requestId: `${requestId}#${this.next}` };
    const names = new Map<LetterToSend, DeadLetter>();
    for (const letter of letters) {
      try {
        names.set(await this.named(letter, details), letter);
      } catch (error) {
        if (!(error instanceof PawlError)) throw error;
        yield { runId, letters: [letter], error };
      }
    }
    if (names.size === 0) return;
    try {
      const { report, refused } = await this.parts.acts.redriveLetters(runId, [...names.keys()], { ...rest, ...request }, seen);
      const left = [...refused].flatMap(([one, error]) => {
        const letter = names.get(one);
        return letter === undefined ? [] : [{ runId, letters: [letter], error }];
      });
      if (report !== null) {
        this.next++;
        yield { runId, letters: [...names].flatMap(([one, letter]) => (refused.has(one) ? [] : [letter])), report };
      }
      yield* left;
    } catch (error) {
      if (!(error instanceof PawlError)) throw error;
      yield { runId, letters: [...names.values()], error };
    }
  }

  private async named(letter: DeadLetter, details: ReturnType<DeadLetters['detailsOf']> | null): Promise<LetterToSend> {
    const { task, item } = letter;
    const name = { task, ...(item === undefined ? {} : { item }) };
    const { edit } = this.options;
    if (edit === undefined || details === null) return name;
    const detail = await (await details)(letter);
    try {
      return { ...name, edited: { input: await edit(detail.input, detail) } };
    } catch (error) {
      throw new PawlError('TASK_INPUT_INVALID', `${letter.id}: the edit threw: ${String(error)}`, { cause: error });
    }
  }
}
