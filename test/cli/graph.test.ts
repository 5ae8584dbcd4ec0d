import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createEngine, workflow, type Run, type Workflow } from '../../src/index.ts';
import { width } from '../../src/cli/text.ts';
import { silent } from '../engine/kit.ts';
import { ENTRY } from './entry.ts';
import { pawl, Place } from './kit.ts';

const plain = { NO_COLOR: '1' };
const elsewhere = workflow({ name: 'elsewhere' }, (w) => w.run('b', { a: w.run('a', {}, () => 1) }, () => 2));

let place: Place;
let failed: Run<unknown>;
beforeAll(async () => {
  place = new Place({ 'pawl.ts': ENTRY });
  const { order } = (await import(pathToFileURL(place.file('pawl.ts')).href)) as { order: Workflow<{ id: string }, unknown> };
  const engine = createEngine({ store: place.store, use: [order, elsewhere], durability: 'fast', logger: silent });
  await engine.work();
  failed = await engine.start(order, { id: 'o-81' }, { key: 'o-81' });
  await failed.result().catch(() => undefined);
  await (await engine.start(elsewhere)).result();
  await engine.close();
});
afterAll(() => place.remove());

describe('graph', () => {
  test('of a workflow of the entry needs no store', async () => {
    const { exit, stdout, stderr } = await pawl(place, ['graph', 'order', '--store', 'sqlite:./none.db']);
    expect([exit, stderr]).toEqual([0, '']);
    expect(stdout).toMatchInlineSnapshot(`
      "            ╭──────╮
                  │ load │
                  ╰──┬───╯
             ╭───────┴───────╮
      ╭──────▼───────╮  ╭────▼────╮
      │     part     │  │   pay   │
      │ map · settle │  │ retry 2 │
      ╰──────────────╯  ╰─────────╯
      "
    `);
  });

  test('of a run shows how its tasks stand, of maps how their items do', async () => {
    const { stdout } = await pawl(place, ['graph', 'o-81'], { terminal: { columns: 80, rows: 24 }, env: plain });
    expect(stdout.replaceAll(failed.id, '<id>')).toMatchInlineSnapshot(`
      "               ╭─────────╮
                     │ ✓ load  │
                     │ success │
                     ╰────┬────╯
                          ├─────────╮
      ╭───────────────────▼─╮  ╭────▼────╮
      │       ✓ part        │  │  ✕ pay  │
      │ 3 success, 1 failed │  │ failed  │
      │    map · settle     │  │ retry 2 │
      ╰─────────────────────╯  ╰─────────╯

      → pawl show <id>
      "
    `);
    expect((await pawl(place, ['show', 'o-81', '--graph'])).stdout).toContain('3 success, 1 failed');
  });

  test('of a run or a workflow of the store needs no entry, and goes by a broken one', async () => {
    const other = new Place({ 'pawl.ts': 'throw new Error("broken");' });
    for (const text of [failed.id, 'o-81', 'elsewhere', '@last:order']) {
      expect((await pawl(place, ['graph', text, '--entry', other.file('pawl.ts')])).exit).toBe(0);
      expect((await pawl(other, ['graph', text, '--store', place.store])).exit).toBe(0);
    }
    const broken = await pawl(other, ['graph', 'nothing', '--store', place.store]);
    expect([broken.exit, broken.stderr.split(' ')[0]]).toEqual([6, 'CONFIG_ENTRY']);
    other.remove();
  });

  test('is as wide as the terminal at most, in colours where it has some, in ASCII on demand', async () => {
    for (const columns of [20, 40, 80, 160]) {
      const { stdout } = await pawl(place, ['graph', 'o-81'], { terminal: { columns, rows: 24 }, env: { FORCE_COLOR: '1' } });
      expect(stdout).toContain('\u001b[31m');
      expect(stdout.split('\n').filter((line) => !line.includes('→') && width(line) > columns)).toEqual([]);
    }
    expect((await pawl(place, ['graph', 'order', '--ascii'])).stdout).toMatch(/^[\n -~]*$/);
  });

  test('as Mermaid, SVG and JSON, to a file by its name', async () => {
    const terminal = { columns: 80, rows: 24 };
    expect((await pawl(place, ['graph', 'order', '--mermaid'], { terminal })).stdout).toMatch(/^flowchart TD\n(.*\n)*.*--> n\d\n$/);
    expect((await pawl(place, ['graph', 'order', '--svg'], { terminal })).stdout).toMatch(/^<svg [^]*<\/svg>\n$/);
    expect((await pawl(place, ['graph', 'o-81', '--json'])).stdout.replaceAll(failed.id, '<id>')).toMatchInlineSnapshot(`
      "{
        "v": 1,
        "workflow": "order",
        "run": {
          "id": "<id>",
          "status": "failed"
        },
        "nodes": [
          {
            "id": "load",
            "kind": "task",
            "facts": [],
            "status": "success"
          },
          {
            "id": "part",
            "kind": "map",
            "facts": [
              "map",
              "settle"
            ],
            "status": "success",
            "items": {
              "success": 3,
              "failed": 1
            }
          },
          {
            "id": "pay",
            "kind": "task",
            "facts": [
              "retry 2"
            ],
            "status": "failed"
          }
        ],
        "edges": [
          {
            "from": "load",
            "to": "part",
            "kind": "data"
          },
          {
            "from": "load",
            "to": "pay",
            "kind": "data"
          }
        ]
      }
      "
    `);
    for (const [file, start] of [
      ['g.svg', '<svg '],
      ['g.mmd', 'flowchart'],
      ['g.json', '{\n'],
      ['g.txt', ' '],
    ] as const) {
      const { exit, stdout, stderr } = await pawl(place, ['graph', 'o-81', '-o', file], { terminal, env: { FORCE_COLOR: '1' } });
      expect([exit, stdout, stderr]).toEqual([0, '', `wrote ${file}\n`]);
      const text = readFileSync(place.file(file), 'utf8');
      expect(text.startsWith(start)).toBe(true);
      expect(text).not.toContain('\u001b');
    }
    expect(JSON.parse(readFileSync(place.file('g.json'), 'utf8'))).toMatchObject({ v: 1, workflow: 'order' });
  });

  test.each([
    [['nothing'], 3],
    [['@last:nothing'], 3],
    [['7'.repeat(26)], 3],
    [['order', '--svg', '--mermaid'], 2],
    [['order', '--svg', '--json'], 2],
    [['order', '--svg', '--ascii'], 2],
    [['order', '-o', 'no/such/folder.svg'], 2],
  ])('%j is refused', async (argv, code) => {
    const { exit, stdout } = await pawl(place, ['graph', ...argv]);
    expect([exit, stdout]).toEqual([code, '']);
  });
});
