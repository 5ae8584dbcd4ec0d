/** What a builder has made so far: tasks, their code, the places where they were written, and everything that is wrong. */
import { callSite, inParens, siteText, type CallSite } from './call-site.ts';
import { contractOf, isBag, mergeOpts, TASK_OPTIONS, type Contract } from './contract.ts';
import { PawlError } from '../errors.ts';
import { exprRefs } from '../graph/expr.ts';
import type { CaseKey, Expr, GraphTask, HandlerTask, Path } from '../graph/graph.ts';
import { nameProblem, shown, type Problem, type ProblemCode, type Report } from '../graph/problems.ts';
import { makeRef, refInfo, refText, type RefInfo, type RefSource } from './refs.ts';
import { withSchemas } from './task.ts';
import { taskExprs } from '../graph/task-exprs.ts';
import { partOf, treeExpr } from './tree.ts';
import type { AnyTask, NodeCode, RefBase, TaskOpts } from '../types/types.ts';

interface Branch {
  readonly when: string;
  readonly is: CaseKey;
  /** Ids of the tasks made directly in it. */
  readonly made: string[];
}

/** A call of a verb: what it makes is called `name` in messages, and stands at `site`. */
export interface Call {
  readonly id: string;
  readonly name: string;
  readonly site: CallSite | undefined;
  readonly report: (code: ProblemCode, message: string) => void;
}

/** Of a part of a graph that runs once per item of a map. */
interface Outer {
  readonly building: Building;
  readonly call: Pick<Call, 'report'>;
  /** Gives the key under which the input of an item's run holds the value of this expression. */
  readonly capture: (name: string, expr: Expr) => string;
}

export class Building {
  readonly workflow: string;
  readonly problems: Problem[] = [];
  readonly tasks: GraphTask[] = [];
  readonly code = new Map<string, NodeCode>();
  readonly sites = new Map<string, CallSite | undefined>();
  #branch: Branch | undefined;
  /** The setup whose function is being called. */
  #bracket: string | undefined;
  /** The map whose functions are being called: only there its item may be used. */
  #mapping: object | undefined;
  #open = true;

  /** The building that this one makes a part for: refs from there become parts of its input. */
  readonly #outer: Outer | undefined;

  constructor(workflow: string, outer?: Outer) {
    this.workflow = workflow;
    this.#outer = outer;
  }

  close(): void {
    this.#open = false;
  }

  /** Where a verb was called. Throws after the end: what comes then would be in no graph. */
  enter(verb: string): CallSite | undefined {
    const site = callSite();
    if (this.#open) return site;
    const message = `w.${verb} was called after the builder of workflow "${this.workflow}" had returned${inParens(site)}.`;
    throw new PawlError('BUILD_INVALID', message, { fix: 'Make all tasks inside the builder, before it returns.' });
  }

  /** A call of a verb that makes a task. */
  call(verb: string, id: unknown, words = 'task'): Call {
    const site = this.enter(verb);
    const name = `${words} ${shown(id)}${inParens(site)}`;
    const report: Call['report'] = (code, message) => void this.problems.push({ code, at: [], message: `${name}: ${message}` });
    // What is wrong with a text is found in the finished graph.
    if (typeof id !== 'string') report('bad_name', `the id ${nameProblem(id)}`);
    if (this.#mapping)
      report(
        'item_outside',
        `w.${verb} inside a function that maps an item; such a function only puts the input of the map's task together`,
      );
    return { id: this.#freeId(String(id), site, report), name, site, report };
  }

  /** A second use of an id is refused; the builder goes on under another one, so that the second task's own problems are found too. */
  #freeId(id: string, site: CallSite | undefined, report: Call['report']): string {
    if (!this.sites.has(id)) return id;
    const first = siteText(this.sites.get(id));
    report('duplicate_id', `there is another task with this id${first && `, at ${first}`}; give one of them its own: { id: '…' }`);
    let other = `${id}${inParens(site)}`;
    for (let n = 2; this.sites.has(other); n++) other = `${id} #${n}`;
    return other;
  }

  add(task: GraphTask, code: NodeCode | undefined, site: CallSite | undefined): void {
    this.sites.set(task.id, site);
    if (code) this.code.set(task.id, code);
    this.#branch?.made.push(task.id);
    this.tasks.push({
      ...task,
      ...(this.#branch ? { if: { when: this.#branch.when, is: this.#branch.is } } : {}),
      ...(this.#bracket === undefined ? {} : { using: this.#bracket }),
    });
  }

  /** A handler goes with the task that it serves: it belongs to no branch and no bracket. */
  addHandler(task: HandlerTask, code: NodeCode, site: CallSite | undefined): void {
    this.sites.set(task.id, site);
    this.code.set(task.id, code);
    this.tasks.push(task);
  }

  /** Runs a function of the author, in which tasks belong to the bracket of that setup. */
  bracket<T>(setup: string, make: () => T): T {
    const outer = this.#bracket;
    this.#bracket = setup;
    try {
      return make();
    } finally {
      this.#bracket = outer;
    }
  }

  /** Runs a function of the author, in which tasks belong to the branch. */
  branch<T>(when: string, is: CaseKey, make: () => T): { readonly value: T; readonly made: readonly string[] } {
    const outer = this.#branch;
    const branch: Branch = { when, is, made: [] };
    this.#branch = branch;
    try {
      return { value: make(), made: branch.made };
    } finally {
      this.#branch = outer;
    }
  }

  /** Runs a function of the author that gets the item of a map. */
  mapping<T>(map: string, make: (item: RefBase<unknown>) => T): T {
    const outer = this.#mapping;
    const scope = {};
    this.#mapping = scope;
    try {
      return make(this.ref({ kind: 'item', of: map, scope }));
    } finally {
      this.#mapping = outer;
    }
  }

  ref(source: RefSource, path: Path = []): RefBase<unknown> {
    return makeRef({ owner: this, source, path });
  }

  /** This building, or the one around it, where that owns a ref. */
  around(owner: object): Building | undefined {
    return owner === this ? this : this.#outer?.building.around(owner);
  }

  /** The expression of a tree of values and refs. */
  expr(tree: unknown, name: string, call: Pick<Call, 'report'>): Expr {
    const report: Report = (code, _at, message) => call.report(code, message);
    return treeExpr(tree, { name, report, refExpr: (info) => this.#refExpr(info, name, call) });
  }

  #refExpr(info: RefInfo, name: string, call: Pick<Call, 'report'>): Expr {
    const { source, path } = info;
    if (info.owner !== this && this.#outer !== undefined && this.around(info.owner) !== undefined) {
      return { $input: [this.#outer.capture(refText(info), this.#outer.building.#refExpr(info, name, call))] };
    }
    if (info.owner !== this) {
      call.report(
        'foreign_ref',
        `${name} uses "${refText(info)}" of workflow "${info.owner.workflow}"; a ref is good in the builder that made it only`,
      );
      return null;
    }
    const inner = 'path' in source && source.path.length > 0 ? { path: source.path } : {};
    const outer = path.length > 0 ? { path } : {};
    switch (source.kind) {
      case 'lost':
        return null;
      case 'input':
        return { $input: path };
      case 'item':
        if (source.scope !== this.#mapping) call.report('item_outside', `${name} uses "${refText(info)}" outside the functions of its map`);
        return { $item: path };
      case 'task':
        return { $ref: source.id, ...outer };
      case 'settle':
        return { $settle: { $ref: source.id, ...inner }, ...outer };
      case 'optional':
        return this.#optionalExpr(info);
    }
  }

  #optionalExpr({ source, path }: RefInfo): Expr {
    if (source.kind !== 'optional') return null;
    const whole = [...source.path, ...path];
    const otherwise = source.otherwise === undefined ? undefined : partOf(source.otherwise, path);
    return {
      $optional: { $ref: source.id, ...(whole.length > 0 ? { path: whole } : {}) },
      ...(otherwise === undefined ? {} : { default: otherwise }),
    };
  }

  /** The ids that `after` names. */
  after(value: unknown, call: Call): readonly string[] {
    if (value === undefined) return [];
    if (!Array.isArray(value)) {
      call.report('bad_type', `after must be a list of refs, not ${shown(value)}`);
      return [];
    }
    return [...new Set((value as unknown[]).flatMap((each) => this.#upstream(each, call)))];
  }

  #upstream(value: unknown, call: Call): readonly string[] {
    const info = refInfo(value);
    if (info === undefined) call.report('bad_type', `after takes refs of tasks, not ${shown(value)}`);
    else if (info.owner !== this && this.around(info.owner) !== undefined)
      call.report('foreign_ref', `after names "${refText(info)}", which is outside its map: give it to the map, w.map(…, { after: […] })`);
    else if (info.owner !== this) this.#refExpr(info, 'after', call);
    else if ('id' in info.source) return [info.source.id];
    else if (info.source.kind !== 'lost') call.report('bad_type', `after takes refs of tasks; "${refText(info)}" is there from the start`);
    return [];
  }

  /** The key of a limit may be put together from refs: as an expression it can stand in a graph. */
  withKey<T extends { readonly concurrency?: unknown }>(options: T, call: Pick<Call, 'report'>): T {
    const { concurrency } = options;
    if (!isBag(concurrency) || concurrency['key'] === undefined) return options;
    return { ...options, concurrency: { ...concurrency, key: this.expr(concurrency['key'], 'concurrency.key', call) } };
  }

  contract(options: TaskOpts, call: Call, task?: AnyTask): Contract {
    const changes = TASK_OPTIONS.some((key) => options[key] !== undefined);
    if (task && !changes) return { contract: task.contract, rules: task.rules };
    const given = mergeOpts(task?.options ?? {}, this.withKey(options, call));
    const made = contractOf(given, (code, _at, message) => call.report(code, message));
    return task ? { ...made, contract: withSchemas(made.contract, task) } : made;
  }
}

/** What the result of a branch waits for: those of its tasks that no other one waits for, and all that its value reads, also from outside. */
export function membersOf(made: readonly string[], value: Expr, tasks: readonly GraphTask[]): string[] {
  const mine = new Set(made);
  const waitedFor = new Set(tasks.filter((task) => mine.has(task.id)).flatMap(waitsFor));
  const read = new Set(exprRefs(value).map((ref) => ref.id));
  return [...made.filter((id) => !waitedFor.has(id) || read.has(id)), ...[...read].filter((id) => !mine.has(id))];
}

function waitsFor(task: GraphTask): string[] {
  const parts = task.kind === 'branch' ? [task.when, ...task.cases.flatMap(({ members }) => members)] : [];
  return [...(task.after ?? []), ...parts, ...taskExprs(task).flatMap(({ reads }) => reads.map((read) => read.id))];
}

/** What a function of the author returned, which must be there now: throws `BUILD_ASYNC` for a promise. */
export function settledNow(value: unknown, what: string): unknown {
  if (typeof value !== 'object' || value === null || !('then' in value) || typeof value.then !== 'function') return value;
  // Its rejection (often the refusal to await a ref) says less than the error below, and nobody else takes it.
  if (value instanceof Promise) value.catch(() => undefined);
  throw new PawlError('BUILD_ASYNC', `${what} is an async function.`);
}
