import { canonical, encode } from '../core/values/codec.ts';
import { isWorkflow, singleTask } from '../core/define/child-verbs.ts';
import { validate } from '../core/values/schema.ts';
import { isTask } from '../core/define/task.ts';
import type { Callable } from './attempt.ts';
import { compileGraph, type CompiledGraph } from '../core/kernel/compile.ts';
import { isBag } from '../core/define/contract.ts';
import { PawlError } from '../core/errors.ts';
import type { Graph } from '../core/graph/graph.ts';
import { shown } from '../core/graph/problems.ts';
import type { AnyTask, Ctx, NodeCode, Signal, Workflow } from '../core/types/types.ts';
import type { BodyPlace } from '../store/capacity.ts';
import type { ClaimableDefinition, Store, StoredDefinition } from '../store/store.ts';

/** Anything that may be registered: workflows, implementations of contracts, contracts, signals. */
export type Registrable = Workflow<never, unknown> | AnyTask | Signal<never, unknown>;

/** A definition as this process knows it: its graph, and the code it has for it. */
export interface Known {
  readonly stored: StoredDefinition;
  readonly compiled: CompiledGraph;
  /** By node; undefined where this process has no code for it. */
  readonly code: readonly (RunnableCode | undefined)[];
}

export interface RunnableCode extends NodeCode {
  readonly body: AnyBody | undefined;
}

/** A body whose types were checked where it was defined. */
export type AnyBody = (input: unknown, ctx: Ctx) => unknown;

export interface RegisteredWorkflow {
  readonly name: string;
  readonly version: string;
  readonly tasks: number;
  readonly graph: Graph;
  /** Tasks whose body is registered nowhere in this process. */
  readonly withoutBody: readonly string[];
}

export interface RegisteredDefinitions {
  readonly workflows: readonly RegisteredWorkflow[];
  readonly tasks: readonly string[];
  readonly signals: readonly string[];
}

type AnyWorkflow = Workflow<never, unknown>;

interface Registered {
  readonly workflow: AnyWorkflow;
  readonly version: string;
  readonly hash: string;
  /** Of another one: the part that runs per item of a map. */
  readonly isPart: boolean;
  known: Known | null;
}

/** What is registered under which name, and which bodies of which definitions this process can run. */
export class Registry {
  readonly claimable = new Map<number, ClaimableDefinition>();
  readonly bodies = new Set<number>();
  /** Where they belong. */
  readonly places = new Map<number, BodyPlace>();
  /** Those whose claims take more than a slot: they never go on locally. */
  readonly needy = new Set<number>();
  /** Queues that the worker of this process serves; null: all of them. */
  private queues: ReadonlySet<string> | null = null;
  private readonly workflows = new Map<string, Registered>();
  /** Names of declared schedules, and the workflows that declare them. */
  private readonly schedules = new Map<string, string>();
  /** By name of the task. */
  private readonly alone = new Map<string, AnyWorkflow>();
  private readonly implementations = new Map<string, AnyBody>();
  private readonly signals = new Map<string, Signal<never, unknown>>();
  private readonly known = new Map<number, Known>();

  constructor(use: readonly Registrable[], digest: (text: string) => string) {
    if (!Array.isArray(use))
      throw new PawlError('CONFIG_OPTION', `use: must be a list of workflows, tasks and signals, not ${shown(use)}.`);
    for (const [i, one] of use.entries()) {
      // Two modules that import each other give undefined here, whatever the types say.
      if (!isRegistrable(one))
        throw new PawlError('CONFIG_OPTION', `use[${i}]: must be a workflow, a task or a signal, not ${shown(one)}.`);
      if (one.kind === 'workflow') this.addWorkflow(one, digest);
      else if (one.kind === 'signal') this.addSignal(one);
      else {
        this.addTask(one);
        this.addAlone(one, digest);
      }
    }
  }

  /** `partOf`: the version of the workflow that it is a part of. */
  private addWorkflow(workflow: AnyWorkflow, digest: (text: string) => string, partOf?: string): void {
    const hash = digest(canonical(workflow.graph));
    const version = partOf ?? workflow.version ?? hash.slice(0, 12);
    const before = this.workflows.get(workflow.name);
    if (before !== undefined) {
      if (before.workflow === workflow) return;
      throw new PawlError(
        'CONFIG_DUPLICATE',
        `Two workflows are registered as "${workflow.name}" (versions ${before.version} and ${version}).`,
      );
    }
    for (const { name } of workflow.schedules ?? []) {
      const other = this.schedules.get(name);
      if (other !== undefined)
        throw new PawlError('CONFIG_DUPLICATE', `The workflows "${other}" and "${workflow.name}" both declare a schedule "${name}".`);
      this.schedules.set(name, workflow.name);
    }
    this.workflows.set(workflow.name, { workflow, version, hash, known: null, isPart: partOf !== undefined });
    // why: what it starts must be in the store before its first run
    for (const [id, { workflow: child }] of workflow.code) {
      const isPart = workflow.graph.tasks.some((task) => task.id === id && task.kind === 'map' && task.graph !== undefined);
      if (child !== undefined) this.addWorkflow(child as AnyWorkflow, digest, isPart ? version : undefined);
    }
    for (const hook of workflow.hooks?.values() ?? []) this.addWorkflow(hook as AnyWorkflow, digest, version);
    for (const { signal } of workflow.code.values()) if (signal !== undefined) this.addSignal(signal as Signal<never, unknown>);
  }

  /** What a task is called where it is run by itself: a workflow of that one task. */
  private addAlone(task: AnyTask, digest: (text: string) => string): void {
    const alone = this.alone.get(task.name) ?? singleTask(task);
    this.alone.set(task.name, alone);
    if (!this.workflows.has(alone.name)) this.addWorkflow(alone, digest, digest(canonical(alone.graph)).slice(0, 12));
  }

  /** What a body may run: workflows and tasks that are registered. Input is checked by the schema of a workflow; a task's body checks its own. */
  async callable(target: unknown, given: unknown, maxBytes: number): Promise<Callable> {
    const unknown = (what: string): Callable => ({
      code: 'RUN_UNKNOWN_WORKFLOW',
      problem: `${what} is not registered with this engine: give it to createEngine in \`use\`.`,
    });
    if (isTask(target)) {
      const alone = this.alone.get(target.name);
      if (alone === undefined) return unknown(`the task ${shown(target.name)}`);
      return { workflow: alone.name, input: encode(given, { maxBytes, root: 'input' }) ?? null };
    }
    if (!isWorkflow(target)) return unknown(shown(target));
    if (this.workflows.get(target.name)?.workflow !== target) return unknown(`the workflow ${shown(target.name)}`);
    if (target.input === undefined) return { workflow: target.name, input: encode(given, { maxBytes, root: 'input' }) ?? null };
    const checked = await validate(target.input, given);
    if (!checked.ok) {
      const issues = checked.issues.map((issue) => `input${issue.path === '' ? '' : `.${issue.path}`}: ${issue.message}`);
      return { code: 'RUN_INPUT_INVALID', problem: `the input of workflow ${shown(target.name)} does not fit: ${issues.join('; ')}` };
    }
    return { workflow: target.name, input: encode(checked.value, { maxBytes, root: 'input' }) ?? null };
  }

  private addTask(task: AnyTask): void {
    if (task.run === undefined) return;
    const before = this.implementations.get(task.name);
    if (before !== undefined && before !== task.run) {
      throw new PawlError('CONFIG_DUPLICATE', `Two bodies are registered for the task "${task.name}".`);
    }
    this.implementations.set(task.name, task.run as AnyBody);
  }

  private addSignal(signal: Signal<never, unknown>): void {
    const before = this.signals.get(signal.name);
    if (before !== undefined && before !== signal)
      throw new PawlError('CONFIG_DUPLICATE', `Two signals are registered as "${signal.name}".`);
    this.signals.set(signal.name, signal);
  }

  /** Replaces the body of a task, for tests. */
  implement(name: string, run: AnyBody): void {
    this.implementations.set(name, run);
    for (const entry of this.workflows.values()) if (entry.known !== null) entry.known = this.adopt(entry.workflow, entry.known.stored);
  }

  /** Stores the definitions and learns their numbers. */
  async define(store: Store, at: number): Promise<void> {
    const entries = [...this.workflows.values()];
    const stored = await store.define(
      entries.map(({ workflow, version, hash }) => ({ workflow: workflow.name, version, hash, graph: workflow.graph, at })),
    );
    entries.forEach((entry, i) => {
      const row = stored[i];
      if (row === undefined) return;
      if (row.hash !== entry.hash) {
        throw new PawlError(
          'CONFIG_VERSION_CHANGED',
          `Workflow "${entry.workflow.name}" version "${entry.version}" is in the store with another graph than the one that is registered.`,
        );
      }
      entry.known = this.adopt(entry.workflow, row);
    });
  }

  private adopt(workflow: AnyWorkflow, stored: StoredDefinition): Known {
    const compiled = this.known.get(stored.id)?.compiled ?? compileGraph(stored.graph);
    const code = compiled.nodes.map((node): RunnableCode | undefined => {
      const own = workflow.code.get(node.id);
      if (own === undefined) return undefined;
      const named = own.task === undefined ? undefined : (this.implementations.get(own.task.name) ?? own.task.run);
      return { ...own, body: (named ?? own.run) as AnyBody | undefined };
    });
    const known: Known = { stored, compiled, code };
    this.known.set(stored.id, known);
    this.offer(known);
    return known;
  }

  /** What of a definition this process can run, of the queues that it serves. */
  private offer(known: Known): void {
    const { stored, compiled } = known;
    const runs = compiled.nodes.map((node) => canRun(known, node.index) && (this.queues?.has(node.queue) ?? true));
    compiled.nodes.forEach((node, i) => {
      const body = stored.firstBody + node.index;
      if (!runs[i]) return;
      this.bodies.add(body);
      this.places.set(body, { queue: node.queue, workflow: stored.workflow });
      if (node.needs !== null) this.needy.add(body);
    });
    const roots = compiled.plainRoots;
    if (roots !== null && roots.every((root) => runs[root])) this.claimable.set(stored.id, { firstBody: stored.firstBody, roots });
  }

  /** From now on only tasks of these queues are taken on; null: of all. */
  serve(queues: ReadonlySet<string> | null): void {
    this.queues = queues;
    this.bodies.clear();
    this.claimable.clear();
    for (const known of this.known.values()) if (known.code.length > 0) this.offer(known);
  }

  /** What a start names: a workflow, or a task, which stands for a workflow of itself. */
  startable(target: AnyWorkflow | AnyTask): AnyWorkflow {
    if (!isTask(target)) return target;
    const alone = this.alone.get(target.name);
    if (alone !== undefined) return alone;
    const fix = 'Give the task to createEngine in `use`.';
    throw new PawlError('RUN_UNKNOWN_WORKFLOW', `The task ${shown(target.name)} is not registered with this engine.`, { fix });
  }

  /** The registered version of a workflow. */
  current(workflow: AnyWorkflow | string): { readonly workflow: AnyWorkflow; readonly known: Known } {
    const name: unknown = typeof workflow === 'object' && workflow !== null ? workflow.name : workflow;
    if (typeof name !== 'string') throw new PawlError('CONFIG_OPTION', `workflow: must be a workflow or its name, not ${shown(workflow)}.`);
    const entry = this.workflows.get(name);
    if (entry?.known == null || (typeof workflow !== 'string' && entry.workflow !== workflow)) {
      if (entry === undefined || entry.isPart)
        throw new PawlError('RUN_UNKNOWN_WORKFLOW', `Workflow ${shown(name)} is not registered with this engine; ${this.registered()}.`);
      const message = `Another workflow than the given one is registered as ${shown(name)} (version ${entry.version}) with this engine.`;
      const fix = 'Make the workflow once, in a module of its own, and give that object to createEngine and to start.';
      throw new PawlError('RUN_UNKNOWN_WORKFLOW', message, { fix });
    }
    return { workflow: entry.workflow, known: entry.known };
  }

  /** The registered version of a workflow, where there is one. */
  find(workflow: string): Known | undefined {
    return this.workflows.get(workflow)?.known ?? undefined;
  }

  /** Whether it is the registered version of its workflow: where that is not the newest one, the process of the newest takes its runs. */
  isCurrent(definition: number): boolean {
    const known = this.known.get(definition);
    return known !== undefined && this.find(known.stored.workflow) === known;
  }

  /** Names of the workflows that are registered. */
  get names(): readonly string[] {
    return [...this.workflows.keys()];
  }

  get all(): readonly AnyWorkflow[] {
    return [...this.workflows.values()].map(({ workflow }) => workflow);
  }

  /** A registered workflow with its code. */
  entry(workflow: string): { readonly workflow: AnyWorkflow; readonly known: Known } | undefined {
    const entry = this.workflows.get(workflow);
    return entry?.known == null ? undefined : { workflow: entry.workflow, known: entry.known };
  }

  /** What is registered, as it is stored. */
  definitions(): Known[] {
    return [...this.workflows.values()].flatMap(({ known }) => known ?? []);
  }

  private registered(): string {
    const names = [...this.workflows].flatMap(([name, { isPart }]) => (isPart ? [] : [shown(name)]));
    return names.length === 0 ? 'no workflow is' : `registered: ${names.slice(0, 20).join(', ')}${names.length > 20 ? ', …' : ''}`;
  }

  get(definition: number): Known | undefined {
    return this.known.get(definition);
  }

  signal(name: string): Signal<never, unknown> | undefined {
    return this.signals.get(name);
  }

  /** A definition of another version or process: enough to advance its runs. */
  async learn(store: Store, definition: number): Promise<Known | null> {
    const known = this.known.get(definition);
    if (known !== undefined) return known;
    const stored = await store.definition(definition);
    if (stored === null) return null;
    const learned: Known = { stored, compiled: compileGraph(stored.graph), code: [] };
    this.known.set(definition, learned);
    return learned;
  }

  /** Of a workflow and of the parts of it that run per item. */
  private withoutBody(workflow: AnyWorkflow): string[] {
    return [...workflow.code].flatMap(([id, { task, workflow: child }]) => {
      if (child !== undefined && this.workflows.get(child.name)?.isPart === true)
        return this.withoutBody(child as AnyWorkflow).map((inner) => `${id}/${inner}`);
      return task !== undefined && task.run === undefined && !this.implementations.has(task.name) ? [id] : [];
    });
  }

  list(): RegisteredDefinitions {
    return {
      workflows: [...this.workflows.values()]
        .filter(({ isPart }) => !isPart)
        .map(({ workflow, version }) => ({
          name: workflow.name,
          version,
          tasks: workflow.graph.tasks.length,
          graph: workflow.graph,
          withoutBody: this.withoutBody(workflow),
        })),
      tasks: [...this.implementations.keys()],
      signals: [...this.signals.keys()],
    };
  }
}

function isRegistrable(value: unknown): boolean {
  return isBag(value) && ['workflow', 'signal', 'task'].includes(String(value['kind']));
}

function canRun(known: Known, node: number): boolean {
  const code = known.code[node];
  if (code === undefined) return false;
  const { task, child } = known.compiled.nodes[node] ?? {};
  const kind = task?.kind;
  if (child != null) return kind === 'map' || code.when !== undefined || code.input !== undefined;
  if (kind === 'switch') return code.cases !== undefined;
  return kind === 'when' || kind === 'guard' ? code.when !== undefined : code.body !== undefined;
}
