import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { workflowOf, type Work } from '../../examples/wfcommons/graph.ts';
import { parseInstance } from '../../examples/wfcommons/wfformat.ts';
import { isPawlError, NonRetryableError } from '../../src/index.ts';
import { testEngine, type TestEngine } from '../../src/testing/index.ts';

const data = fileURLToPath(new URL('../../examples/wfcommons/data/', import.meta.url));
const files = readdirSync(data).filter((name) => name.endsWith('.json'));
const sizes: Readonly<Record<string, number>> = {
  '1000genome-chameleon-2ch-100k-001.json': 52,
  'blast-chameleon-small-001.json': 43,
  'helloworld-forkjoin-10-chameleon.json': 10,
  'rnaseq-dirt02-001.json': 197,
};

/** Runs of one file at most that fail at a task of their own; those of a larger file are spread over it. */
const FAILURES_TRIED = 40;

interface Raw {
  readonly workflow: {
    readonly specification: { readonly tasks: readonly { readonly id: string; readonly parents: string[]; readonly children: string[] }[] };
  };
}

const textOf = (file: string): string => readFileSync(data + file, 'utf8');
const rawTasks = (file: string): Raw['workflow']['specification']['tasks'] =>
  (JSON.parse(textOf(file)) as Raw).workflow.specification.tasks;

/** What a failure reaches, found by the file's `children`, which the import does not use. */
function reachedFrom(file: string, start: string): string[] {
  const children = new Map(rawTasks(file).map((task) => [task.id, task.children]));
  const reached = new Set<string>();
  for (const open = [...(children.get(start) ?? [])]; open.length > 0;) {
    const id = open.pop() ?? '';
    if (reached.has(id)) continue;
    reached.add(id);
    open.push(...(children.get(id) ?? []));
  }
  return [...reached].toSorted();
}

let engine: TestEngine | undefined;
afterEach(async () => engine?.close());

function engineOf(file: string, work: Work): { readonly engine: TestEngine; readonly dag: ReturnType<typeof workflowOf> } {
  const dag = workflowOf(file.replace('.json', ''), parseInstance(textOf(file)), work);
  engine = testEngine({ use: [dag], concurrency: 16 });
  return { engine, dag };
}

describe('DAGs of WfInstances', () => {
  test('are the files that the example is about', () => {
    expect(Object.fromEntries(files.map((file) => [file, rawTasks(file).length]))).toEqual(sizes);
  });

  test.each(files)('%s runs to success, no task before its parents', async (file) => {
    const ended = new Set<string>();
    const early: string[] = [];
    const parents = new Map(rawTasks(file).map((task) => [task.id, task.parents]));
    const { engine: kit, dag } = engineOf(file, async (id) => {
      early.push(...(parents.get(id) ?? []).filter((parent) => !ended.has(parent)).map((parent) => `${id} before ${parent}`));
      // Some bodies take longer than others, so that the order of ends is not the order of the file.
      for (let turn = 0; turn < id.length % 7; turn++) await Promise.resolve();
      ended.add(id);
    });
    const run = await kit.start(dag);
    await run.result();
    expect(early).toEqual([]);
    expect(ended.size).toBe(sizes[file]);
    const tasks = await run.tasks();
    expect(tasks.map((task) => task.status)).toEqual(Array.from({ length: tasks.length }, () => 'success'));
    expect(tasks).toHaveLength(sizes[file] ?? -1);
  });

  test.each(files)('%s with a task that fails: upstream_failed is what the file leads to from it, the rest succeeds', async (file) => {
    const ids = rawTasks(file).map((task) => task.id);
    let failing = '';
    const { engine: kit, dag } = engineOf(file, (id) => {
      if (id === failing) throw new NonRetryableError('told to fail');
    });
    const step = Math.ceil(ids.length / FAILURES_TRIED);
    const reaches: number[] = [];
    for (let at = 0; at < ids.length; at += step) {
      failing = ids[at] ?? '';
      const run = await kit.start(dag);
      await expect(run.result()).rejects.toThrow(/failed/);
      const by = Map.groupBy(await run.tasks(), (task) => task.status);
      const idsOf = (status: string): string[] =>
        [...by].flatMap(([one, tasks]) => (one === status ? tasks.map((task) => task.task) : [])).toSorted();
      const reached = reachedFrom(file, failing);
      expect(idsOf('upstream_failed'), failing).toEqual(reached);
      expect(idsOf('failed')).toEqual([failing]);
      expect(idsOf('success')).toHaveLength(ids.length - 1 - reached.length);
      reaches.push(reached.length);
    }
    expect(Math.max(...reaches), 'some failure reaches others').toBeGreaterThan(0);
    expect(Math.min(...reaches), 'some failure reaches nothing').toBe(0);
  });
});

describe('an instance that is none', () => {
  const file = 'helloworld-forkjoin-10-chameleon.json';
  const changed = (change: (raw: Raw) => void): string => {
    const raw = JSON.parse(textOf(file)) as Raw;
    change(raw);
    return JSON.stringify(raw);
  };
  const first = (raw: Raw) => raw.workflow.specification.tasks[0] ?? expect.fail('no task');
  const last = (raw: Raw) => raw.workflow.specification.tasks.at(-1) ?? expect.fail('no task');

  test('is refused where its parents and children differ', () => {
    const text = changed((raw) => last(raw).parents.pop());
    expect(() => parseInstance(text)).toThrow(/parents and children tell different edges: \["cpuhog_forkjoin_0000000\d","cpuhog/);
  });

  test('is refused where it has a cycle', () => {
    const text = changed((raw) => {
      first(raw).parents.push(last(raw).id);
      last(raw).children.push(first(raw).id);
    });
    let thrown: unknown;
    try {
      workflowOf('cycle', parseInstance(text), () => undefined);
    } catch (error) {
      thrown = error;
    }
    expect(isPawlError(thrown, 'BUILD_INVALID')).toBe(true);
    expect(String(thrown)).toContain(last(JSON.parse(text) as Raw).id);
  });
});
