import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { NonRetryableError, workflow, type Workflow } from '../../src/index.ts';
import { testEngine } from '../../src/testing/index.ts';

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

type Leaf = 'ok' | 'fail';
type Tree = {
  readonly parts: readonly (Leaf | { readonly child: Tree } | { readonly items: readonly Leaf[] })[];
  readonly chained: boolean;
};

const leaf = fc.constantFrom<Leaf>('ok', 'ok', 'fail');
const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.record({
    parts: fc.array(
      fc.oneof(
        { maxDepth: 3, depthIdentifier: 'tree' },
        leaf,
        fc.record({ child: tie('tree') }),
        fc.record({ items: fc.array(leaf, { minLength: 1, maxLength: 4 }) }),
      ),
      { minLength: 1, maxLength: 3 },
    ),
    chained: fc.boolean(),
  }),
}));

/** What a small sequential model says: how a run ends, and how often each leaf began. */
function ends(one: Tree, at: string, began: Map<string, number>): 'success' | 'failed' {
  let stopped = false;
  let status: 'success' | 'failed' = 'success';
  one.parts.forEach((part, i) => {
    if (stopped) return;
    const name = `${at}.${i}`;
    const of = (part: Leaf, leafName: string): boolean => {
      began.set(leafName, (began.get(leafName) ?? 0) + 1);
      return part !== 'fail';
    };
    const good =
      typeof part === 'string'
        ? of(part, name)
        : 'child' in part
          ? ends(part.child, name, began) === 'success'
          : part.items.map((item, j) => of(item, `${name}.${j}`)).every(Boolean);
    if (good) return;
    status = 'failed';
    if (one.chained) stopped = true;
  });
  return status;
}

interface World {
  bad: boolean;
  readonly began: Map<string, number>;
}

function build(one: Tree, at: string, world: World): Workflow<void, unknown> {
  const body = (part: Leaf, name: string): void => {
    world.began.set(name, (world.began.get(name) ?? 0) + 1);
    if (part === 'fail' && world.bad) throw new NonRetryableError(name);
  };
  return workflow({ name: at }, (w) => {
    let before: { after: never[] } | undefined;
    one.parts.forEach((part, i) => {
      const name = `${at}.${i}`;
      const options = { id: `t${i}`, ...before };
      const made =
        typeof part === 'string'
          ? w.run(`t${i}`, {}, () => body(part, name), { ...before })
          : 'child' in part
            ? w.run(build(part.child, name, world), undefined, options)
            : w.map(
                part.items.map((leafOf, j) => ({ leafOf, j })),
                (inner, item) => ({
                  v: inner.run('leaf', { item }, ({ item: { leafOf, j } }) => body(leafOf, `${name}.${j}`)),
                }),
                options,
              );
      if (one.chained) before = { after: [made as never] };
    });
    return {};
  });
}

describe('random trees of child runs', () => {
  test('end as a sequential model says; a redrive of the top begins only what failed and what came after it', async () => {
    await fc.assert(
      fc.asyncProperty(tree, async (shape) => {
        const world: World = { bad: true, began: new Map() };
        const top = build(shape, 'w', world);
        const kit = testEngine({ use: [top], logger: silent });
        try {
          const run = await kit.start(top);
          await kit.clock.advance('1m');
          const expected = new Map<string, number>();
          const status = ends(shape, 'w', expected);
          expect((await run.status()).status).toBe(status);
          expect(Object.fromEntries(world.began)).toEqual(Object.fromEntries(expected));
          await settled(kit);
          if (status === 'success') return;
          world.bad = false;
          const first = new Map(world.began);
          world.began.clear();
          await run.redrive();
          await kit.clock.advance('1m');
          expect((await run.status()).status).toBe('success');
          for (const [name, count] of world.began) expect([name, count]).toEqual([name, 1]);
          // What had succeeded is not begun again.
          const failed = failures(shape, 'w');
          for (const name of world.began.keys()) expect(failed.has(name) || !first.has(name)).toBe(true);
          await settled(kit);
        } finally {
          await kit.close();
        }
      }),
      { numRuns: 25 },
    );
  }, 60_000);

  test('a process that dies in any leaf strands neither parent nor child', async () => {
    const world: World = { bad: false, began: new Map() };
    const shape: Tree = {
      chained: true,
      parts: [
        'ok',
        { child: { chained: true, parts: ['ok', { child: { chained: false, parts: ['ok', 'ok'] } }] } },
        { items: ['ok', 'ok', 'ok'] },
        'ok',
      ],
    };
    for (const task of ['t0', 't1', 'leaf', 't3']) {
      const top = build(shape, 'w', world);
      const kit = testEngine({ use: [top], logger: silent });
      try {
        kit.crash({ task });
        const run = await kit.start(top);
        await kit.clock.advance('5m');
        expect([task, (await run.status()).status]).toEqual([task, 'success']);
        await settled(kit);
      } finally {
        await kit.close();
      }
    }
  }, 60_000);
});

/** Names of the leaves that fail. */
function failures(one: Tree, at: string): Set<string> {
  return new Set(
    one.parts.flatMap((part, i): string[] => {
      const name = `${at}.${i}`;
      if (typeof part === 'string') return part === 'fail' ? [name] : [];
      if ('child' in part) return [...failures(part.child, name)];
      return part.items.flatMap((item, j) => (item === 'fail' ? [`${name}.${j}`] : []));
    }),
  );
}

/** No task waits for a run that is over, and no run is open whose parent is. */
async function settled(kit: ReturnType<typeof testEngine>): Promise<void> {
  const { runs } = await kit.runs.list({ parts: true, limit: 500 });
  expect(runs.filter((run) => run.status === 'running')).toEqual([]);
  for (const { id } of runs) {
    const tasks = await (await kit.get(id)).tasks({ items: true });
    expect(tasks.filter((task) => task.status === 'waiting')).toEqual([]);
  }
}
