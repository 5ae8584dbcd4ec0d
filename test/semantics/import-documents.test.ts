import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { task, workflow } from '../../src/index.ts';
import type { RunDocument } from '../../src/core/documents/run-document.ts';
import { engineWith, exported, imported, runsOf, two } from './import-kit.ts';

/** What a document may hold that was not written by an export. */
const leaf = workflow({ name: 'leaf' }, (w) => void w.sleep('1h'));
const child = workflow({ name: 'child' }, (w) => void w.run(leaf, undefined));
const parent = workflow({ name: 'parent' }, (w) => {
  w.run(child, undefined);
  w.run('body', {}, (_, ctx) => ctx.run('call', leaf));
});
const use = [parent, child, leaf];

async function tree(): Promise<RunDocument> {
  const from = engineWith({ use });
  const run = await from.start(parent);
  await from.settle();
  return exported(from, run);
}

type Bag = Record<string, unknown>;
const at = (document: unknown, ...path: (string | number)[]): Bag =>
  path.reduce((value, key) => (value as Record<string | number, unknown>)[key], document) as Bag;

describe('a document with runs below it', () => {
  const changes: [string, RegExp, (document: RunDocument) => unknown][] = [
    ['that are no list', /children/, (d) => Object.assign(d, { children: { length: 1 } })],
    ['one of which is no object', /children\[0\]/, (d) => Object.assign(d, { children: [null] })],
    ['with a field that nobody knows', /children\[0\]/, (d) => Object.assign(at(d, 'children', 0), { extra: 1 })],
    ['without a table', /children\[0\]\.maps/, (d) => delete at(d, 'children', 0)['maps']],
    ['of a definition that is not there', /definition/, (d) => Object.assign(at(d, 'children', 0), { definition: 9 })],
    ['of a definition at no position', /definition/, (d) => Object.assign(at(d, 'children', 0), { definition: '__proto__' })],
    ['whose definition is another graph', /definitions\[0\]/, (d) => Object.assign(at(d, 'definitions', 0), { hash: 'f'.repeat(64) })],
    ['that belong to none', /link/, (d) => Object.assign(at(d, 'children', 0), { link: null })],
    ['that belong to themselves', /link/, (d) => Object.assign(at(d, 'children', 0, 'link'), { parent: at(d, 'children', 0)['id'] })],
    ['that belong to a later one', /link/, (d) => Object.assign(at(d, 'children', 0, 'link'), { parent: at(d, 'children', 2)['id'] })],
    ['that belong to no task of it', /link\.node/, (d) => Object.assign(at(d, 'children', 0, 'link'), { node: 99 })],
    ['that belong to no task, and are no hooks', /link\.node/, (d) => Object.assign(at(d, 'children', 0, 'link'), { node: -1 })],
    ['by a kind that nobody knows', /link\.kind/, (d) => Object.assign(at(d, 'children', 0, 'link'), { kind: 'friend' })],
    ['with a mark that nobody knows', /link\.recall/, (d) => Object.assign(at(d, 'children', 0, 'link'), { recall: 9 })],
    ['with the id of the run itself', /two runs/, (d) => Object.assign(at(d, 'children', 1), { id: d.id })],
    [
      'with an id in another spelling',
      /no id/,
      (d) => Object.assign(at(d, 'children', 1), { id: String(at(d, 'children', 1)['id']).toUpperCase() }),
    ],
    ['of another generation than who waits', /waits/, (d) => Object.assign(at(d, 'children', 0, 'link'), { generation: 7 })],
    ['of another call than who waits', /waits/, (d) => Object.assign(at(d, 'children', 1, 'link'), { name: 'another' })],
    [
      'that ended, while somebody waits for one',
      /waits/,
      (d) => {
        Object.assign(at(d, 'children', 1, 'run'), { status: 'success', finishedAt: 1 });
        Object.assign(at(d, 'children', 1, 'tasks', 0), { status: 'success', finishedAt: 1, waits: null, dueAt: null });
      },
    ],
    ['without the last one', /waits/, (d) => Object.assign(d, { children: d.children.slice(0, -1) })],
    ['that nobody has claimed, and have tasks', /unclaimed/, (d) => Object.assign(at(d, 'children', 1, 'run'), { unclaimed: 1 })],
    ['that remember nonsense', /flow/, (d) => Object.assign(at(d, 'run'), { flow: '{"retries":-1}' })],
    ['with draws that are no list', /draws/, (d) => Object.assign(at(d, 'tasks', 0), { draws: '{"0":1}' })],
    ['with messages that are none', /messages/, (d) => Object.assign(d, { messages: [{ id: 1 }] })],
  ];
  test.each(changes)('%s is refused, and leaves nothing behind', async (_, where, change) => {
    const document = await tree();
    const to = engineWith({ use });
    change(document);
    await expect(imported(to, document)).rejects.toMatchObject({
      code: 'RUN_DOCUMENT_INVALID',
      message: expect.stringMatching(where) as string,
    });
    expect(await runsOf(to)).toEqual([]);
  });

  test('is taken as it was exported', async () => {
    const to = engineWith({ use });
    const copy = await imported(to, await tree());
    expect(await exported(to, copy)).toMatchObject({ id: copy.id, children: [{}, {}, {}] });
    expect(await copy.release()).toBe(true);
    await to.clock.advance('1h');
    expect(await runsOf(to)).toEqual(['leaf success', 'leaf success', 'child success', 'parent success']);
  });

  test('one of which is there already adds none of them', async () => {
    const above = workflow({ name: 'above' }, (w) => void w.run(leaf, undefined));
    const { from, to } = two({ use: [leaf, above] });
    const run = await from.start(above);
    await from.clock.advance('1h');
    const document = await exported(from, run);
    const { id } = document.children[0] ?? { id: '' };
    await imported(to, await exported(from, { id }));
    await expect(imported(to, document)).rejects.toMatchObject({ code: 'RUN_EXISTS', details: { run: id } });
    expect(await runsOf(to)).toEqual(['leaf success']);
  });

  test('is put beside the runs that are here, and hangs on none of them', async () => {
    const to = engineWith({ use });
    const victim = await to.start(parent);
    await to.settle();
    const from = engineWith({ use: [leaf] });
    const run = await from.start(leaf);
    await from.settle();
    const document = await exported(from, run);
    const link = { parent: victim.id, node: 0, item: -1, generation: 1, name: null, kind: 'detached', recall: null, completion: null };
    const copy = await imported(to, { ...document, link });
    expect((await copy.inspect()).parent).toBeUndefined();
    await expect(imported(to, { ...document, id: '0'.repeat(document.id.length), link: { ...link, kind: 'child' } })).rejects.toMatchObject(
      {
        code: 'RUN_DOCUMENT_INVALID',
      },
    );
  });
});

describe('an imported run that cannot be read', () => {
  test('stays set aside, and says why', async () => {
    const busy = task({ name: 'busy', concurrency: { limit: 1 }, run: () => new Promise<void>(() => undefined) });
    const keyed = workflow(
      { name: 'keyed', input: z.object({ id: z.string() }), concurrency: { key: (input) => input.id, limit: 1 } },
      (w) => {
        w.run(busy, undefined);
      },
    );
    const { from, to } = two({ use: [keyed] });
    const run = await from.start(keyed, { id: 'a' });
    await from.settle();
    const document = await exported(from, run);
    await from.close();
    const copy = await imported(to, { ...document, run: { ...document.run, input: '{"id":7.5}' } });
    const broken = await imported(to, { ...document, id: '0'.repeat(document.id.length), run: { ...document.run, input: '{}' } });
    expect(await copy.release()).toBe(true);
    expect(await broken.release()).toBe(false);
    expect((await broken.status()).quarantined).toContain('concurrency key');
    expect(await runsOf(to)).toEqual(['keyed running aside', 'keyed running']);
  });

  test('lets those go on that can, and goes on itself once it can', async () => {
    const keyed = workflow(
      { name: 'keyed', input: z.object({ id: z.string() }), concurrency: { key: (input) => input.id, limit: 1 } },
      (w) => {
        w.sleep('1h');
      },
    );
    const top = workflow({ name: 'top' }, (w) => {
      w.run(keyed, { id: 'a' }, { id: 'one' });
      w.run(keyed, { id: 'b' }, { id: 'other' });
    });
    const { from, to } = two({ use: [top, keyed] });
    const run = await from.start(top);
    await from.settle();
    const document = await exported(from, run);
    await from.close();
    Object.assign(at(document, 'children', 0, 'run'), { input: '{}', quarantined: 'it was spoilt before' });
    const copy = await imported(to, document);
    expect(await copy.release()).toBe(true);
    await to.clock.advance('1h');
    expect(await runsOf(to)).toEqual(['keyed success', 'keyed running aside', 'top running']);
    const broken = await to.get(document.children[0]?.id ?? '');
    expect(await broken.release()).toBe(false);
    await (await to.acts()).abandon(broken.id);
    await to.settle();
    expect(await runsOf(to)).toEqual(['keyed success', 'keyed failed', 'top failed']);
  });

  test('is failed with all that cannot be read below it', async () => {
    const to = engineWith({ use });
    const document = await tree();
    Object.assign(at(document, 'run'), { quarantined: 'it was spoilt before' });
    const copy = await imported(to, document);
    await (await to.acts()).abandon(copy.id, { requestId: 'r' });
    await (await to.acts()).abandon(copy.id, { requestId: 'r' });
    await to.clock.advance('1m');
    expect(await runsOf(to)).toEqual(['leaf failed', 'leaf failed', 'child failed', 'parent failed']);
  });
});
