import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { COMMANDS } from '../../src/cli/commands.ts';
import { width } from '../../src/cli/text.ts';
import { createEngine, type Engine, type Registrable, type Run, type Workflow } from '../../src/index.ts';
import { silent } from '../engine/kit.ts';
import { ENTRY } from './entry.ts';
import { normal, pawl, Place, root } from './kit.ts';

const terminal = { columns: 80, rows: 24 };

let place: Place;
let failed: Run<unknown>;
let done: Run<unknown>;
let open: Run<unknown>;

type Entry = { order: Workflow<{ id: string }, unknown>; others: [Workflow<void, unknown>, Workflow<void, unknown>] };

/** Runs in the store of the place: one failed, one done, one that no worker has. */
async function fill(engine: Engine, { order, others: [good, waits] }: Entry): Promise<void> {
  await engine.work();
  failed = await engine.start(order, { id: 'o-81' }, { key: 'order:o-81', tags: ['eu', 'v\u001b[1mip'] });
  await failed.result().catch(() => undefined);
  done = await engine.start(good, undefined, { key: 'once' });
  await done.result();
  open = await engine.start(waits, undefined, { delay: '1d', key: 'order:o-81' });
  await engine.close();
}

beforeAll(async () => {
  place = new Place({ 'pawl.ts': ENTRY });
  const entry = (await import(pathToFileURL(place.file('pawl.ts')).href)) as Entry;
  const use = [entry.order, ...entry.others] as Registrable[];
  await fill(createEngine({ store: place.store, use, durability: 'fast', logger: silent }), entry);
});
afterAll(() => place.remove());

const at = (call: Promise<{ exit: number; stdout: string; stderr: string }>) =>
  call.then(({ exit, stdout, stderr }) => `${normal(stdout, place)}${stderr === '' ? '' : `--\n${normal(stderr, place)}`}exit ${exit}\n`);

describe('ls', () => {
  test('in a pipe prints plain lines, the status as a word, ids whole', async () => {
    expect(await at(pawl(place, ['ls']))).toMatchInlineSnapshot(`
      "STATUS  ID  WORKFLOW  KEY  ACCEPTED  TOOK  TAGS
      scheduled  <id>  open  order:o-81  <at>
      success  <id>  good  once  <at>  <time>
      failed  <id>  order  order:o-81  <at>  <time>  eu v\\x1b[1mip
      exit 0
      "
    `);
  });
  test('in a pipe has colours where they are forced', async () => {
    expect((await pawl(place, ['ls', 'wf:order'], { env: { FORCE_COLOR: '1' } })).stdout).toContain('\u001b[31mfailed\u001b[39m ');
    expect((await pawl(place, ['ls', 'wf:order', '--no-color'], { env: { FORCE_COLOR: '1' } })).stdout).not.toContain('\u001b');
    expect((await pawl(place, ['ls'], { terminal, env: { NO_COLOR: '1' } })).stdout).not.toContain('\u001b');
  });
  test('on a terminal fits it, and ends with the next command', async () => {
    const { stdout } = await pawl(place, ['ls'], { terminal, env: { NO_COLOR: '1' } });
    expect(
      normal(stdout)
        .replaceAll(failed.id.slice(0, 10), '<failed>')
        .replaceAll(done.id.slice(0, 10), '<done>')
        .replaceAll(open.id.slice(0, 10), '<open>'),
    ).toMatchInlineSnapshot(`
      "STATUS  ID  WORKFLOW  KEY  ACCEPTED  TOOK  TAGS
      ◷ scheduled  <open>  open  order:o-81  <ago>
      ✓ success  <done>  good  once  <ago>  <time>
      ✕ failed  <failed>  order  order:o-81  <ago>  <time>  eu v\\x1b[1mip

      → pawl show <failed>
      "
    `);
  });
  test('as JSON is one document, as JSON lines a run per line', async () => {
    expect(await at(pawl(place, ['ls', 'wf:order', '--json']))).toMatchInlineSnapshot(`
      "{
        "v": 1,
        "runs": [
          {
            "id": "<id>",
            "workflow": "order",
            "version": "7",
            "status": "failed",
            "reason": "error",
            "key": "order:o-81",
            "tags": [
              "eu",
              "v\\u001b[1mip"
            ],
            "acceptedAt": "<at>",
            "finishedAt": "<at>"
          }
        ],
        "more": false
      }
      exit 0
      "
    `);
    expect(await at(pawl(place, ['--jsonl', 'ls']))).toMatchInlineSnapshot(`
      "{"v":1,"run":{"id":"<id>","workflow":"open","version":"1","status":"scheduled","key":"order:o-81","tags":[],"acceptedAt":"<at>","startAt":"<at>"}}
      {"v":1,"run":{"id":"<id>","workflow":"good","version":"1","status":"success","key":"once","tags":[],"acceptedAt":"<at>","finishedAt":"<at>"}}
      {"v":1,"run":{"id":"<id>","workflow":"order","version":"7","status":"failed","reason":"error","key":"order:o-81","tags":["eu","v\\u001b[1mip"],"acceptedAt":"<at>","finishedAt":"<at>"}}
      exit 0
      "
    `);
  });
  test('takes the tokens of the dashboard', async () => {
    const ids = async (...query: string[]): Promise<string[]> => {
      const { stdout } = await pawl(place, ['ls', '--jsonl', ...query]);
      return stdout
        .trim()
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => (JSON.parse(line) as { run: { id: string } }).run.id);
    };
    expect(await ids('status:failed')).toEqual([failed.id]);
    expect(await ids('tag:eu since:1h')).toEqual([failed.id]);
    expect(await ids('key:order:o-81')).toEqual([open.id, failed.id]);
    expect(await ids('key:order:o-81', 'wf:open')).toEqual([open.id]);
    expect(await ids('--limit', '1')).toEqual([open.id]);
    expect(await ids('status:partial,skipped')).toEqual([]);
  });
  test('says so where nothing fits, and where there is more', async () => {
    expect(await at(pawl(place, ['ls', 'wf:none']))).toMatchInlineSnapshot(`
      "--
      No run fits the query.
      exit 0
      "
    `);
    expect((await pawl(place, ['ls', '--limit', '2'])).stderr).toMatchInlineSnapshot(`
      "There are more than 2 runs: --limit or --all shows them.
      "
    `);
  });
  test('refuses an unknown token by name', async () => {
    expect(await at(pawl(place, ['ls', 'color:red']))).toMatchInlineSnapshot(`
      "--
      CONFIG_USAGE  The query has "color:red", which is none of its tokens: wf: status: tag: since: key:
        See pawl ls --help.
        pawl explain CONFIG_USAGE
      exit 2
      "
    `);
  });
});

describe('show', () => {
  test('in a pipe', async () => {
    expect(await at(pawl(place, ['show', failed.id]))).toMatchInlineSnapshot(`
      "order  <id>  failed  <ago>  took <time>
      key order:o-81 · tags eu, v\\x1b[1mip · version 7 · reason error
      input  {"id":"o-81"}

      TASK  STATUS  ATTEMPT  TOOK
      load  success  1  <time>
      part  success  <time>  3/4 ok, 1 failed
      pay  failed  2  <time>  Error: 503 from 支払い

      TASK  ATTEMPT  OUTCOME  AT  TOOK  ERROR
      pay  1  error  <at>  <time>  Error: 503 from 支払い
      pay  2  error  <at>  <time>  Error: 503 from 支払い
      exit 0
      "
    `);
  });
  test('on a terminal, with the items of maps', async () => {
    const { stdout } = await pawl(place, ['show', failed.id, '--items'], { terminal, env: { NO_COLOR: '1' } });
    expect(normal(stdout)).toMatchInlineSnapshot(`
      "order  <id>  ✕ failed  <ago>  took <time>
      key order:o-81 · tags eu, v\\x1b[1mip · version 7 · reason error
      input  {"id":"o-81"}

      TASK  STATUS  ATTEMPT  TOOK
      load  ✓ success  1  <time>
      part  ✓ success  <time>  3/4 ok, 1 failed
        part #0  ✓ success  1  <time>
        part #1  ✓ success  1  <time>
        part #2  ✕ failed  1  <time>  THREE: three is \\x1b[31mred\\u202e
        part #3  ✓ success  1  <time>
      pay  ✕ failed  2  <time>  Error: 503 from 支払い

      TASK  ATTEMPT  OUTCOME  AT  TOOK  ERROR
      part #2  1  error  <clock>  <time>  THREE: three is \\x1b[31mred\\u202e
      pay  1  error  <clock>  <time>  Error: 503 from 支払い
      pay  2  error  <clock>  <time>  Error: 503 from 支払い

      → pawl why <id>
      → pawl redrive <id> --dry-run
      "
    `);
  });
  test('as JSON', async () => {
    expect(await at(pawl(place, ['show', failed.id, '--json']))).toMatchInlineSnapshot(`
      "{
        "v": 1,
        "run": {
          "id": "<id>",
          "workflow": "order",
          "version": "7",
          "status": "failed",
          "reason": "error",
          "key": "order:o-81",
          "tags": [
            "eu",
            "v\\u001b[1mip"
          ],
          "acceptedAt": "<at>",
          "finishedAt": "<at>",
          "input": {
            "id": "o-81"
          },
          "tasks": [
            {
              "task": "load",
              "status": "success",
              "attempt": 1,
              "startedAt": "<at>",
              "finishedAt": "<at>",
              "kind": "task",
              "output": {
                "id": "o-81",
                "lines": [
                  1,
                  2,
                  3,
                  4
                ]
              },
              "attempts": []
            },
            {
              "task": "part",
              "status": "success",
              "attempt": 0,
              "startedAt": "<at>",
              "finishedAt": "<at>",
              "kind": "map",
              "items": {
                "total": 4,
                "started": 4,
                "ok": 3,
                "failed": 1,
                "cancelled": 0,
                "skipped": 0
              },
              "attempts": []
            },
            {
              "task": "pay",
              "status": "failed",
              "attempt": 2,
              "reason": "error",
              "error": {
                "code": "Error",
                "message": "503 from 支払い",
                "attempts": 2
              },
              "startedAt": "<at>",
              "finishedAt": "<at>",
              "kind": "task",
              "attempts": [
                {
                  "attempt": 1,
                  "outcome": "error",
                  "reason": "error",
                  "error": {
                    "code": "Error",
                    "message": "503 from 支払い"
                  },
                  "worker": 1,
                  "startedAt": "<at>",
                  "endedAt": "<at>"
                },
                {
                  "attempt": 2,
                  "outcome": "error",
                  "reason": "error",
                  "error": {
                    "code": "Error",
                    "message": "503 from 支払い"
                  },
                  "worker": 1,
                  "startedAt": "<at>",
                  "endedAt": "<at>"
                }
              ]
            }
          ]
        }
      }
      exit 0
      "
    `);
  });
  test('prints input and output alone, as JSON, and says where there is none', async () => {
    expect(JSON.parse((await pawl(place, ['show', failed.id, '--input'])).stdout)).toEqual({ id: 'o-81' });
    expect(await at(pawl(place, ['show', done.id, '--output']))).toMatchInlineSnapshot(`
      "{
        "at": "<at>",
        "big": "1180591620717411303424",
        "text": "a\\u001b[2J"
      }
      exit 0
      "
    `);
    expect((await pawl(place, ['show', failed.id, '--output'])).exit).toBe(1);
  });
  test('no text of a user reaches a terminal as it is', async () => {
    const { stdout } = await pawl(place, ['show', failed.id, '--items'], { terminal, env: { FORCE_COLOR: '1' } });
    // eslint-disable-next-line no-control-regex -- what is looked for
    expect(stdout.replace(/\u001b\[[0-9;]*m/g, '')).not.toMatch(/[\u001b\u202e]/);
    expect(stdout).not.toContain('\u001b[31mred');
  });
});

describe('an id', () => {
  test.each([
    ['the whole', () => failed.id],
    ['its start', () => failed.id.slice(0, 12)],
    ['a key', () => 'once'],
    ['@last', () => '@last'],
    ['@last of a workflow', () => '@last:good'],
  ])('may be %s', async (_, text) => {
    const { exit, stdout } = await pawl(place, ['show', text(), '--json']);
    expect(exit).toBe(0);
    expect([failed.id, done.id, open.id]).toContain((JSON.parse(stdout) as { run: { id: string } }).run.id);
  });
  test('that stands for several runs names them; the workflow narrows it', async () => {
    expect(await at(pawl(place, ['show', 'order:o-81']))).toMatchInlineSnapshot(`
      "--
      RUN_AMBIGUOUS  "order:o-81" may be several runs:
        <id> open scheduled order:o-81
        <id> order failed order:o-81
        Give more characters of the id, or narrow a key to its workflow.
        pawl explain RUN_AMBIGUOUS
      exit 3
      "
    `);
    expect((await pawl(place, ['show', 'order:o-81', '--workflow', 'open', '--json'])).stdout).toContain(open.id);
  });
  test.each(['nothing', '@last:nothing', 'zz', '7'])('%s that is none ends with 3', async (text) => {
    const { exit, stderr } = await pawl(place, ['show', text]);
    expect([exit, stderr.split(' ')[0]]).toEqual([3, 'RUN_NOT_FOUND']);
  });
});

describe('start', () => {
  test('prints the id alone in a pipe, and says that no worker lives', async () => {
    const { exit, stdout, stderr } = await pawl(place, [
      'start',
      'open',
      '--at',
      '2h',
      '--priority',
      '5',
      '--tag',
      'a',
      '--tag',
      'b',
      '--key',
      'k1',
    ]);
    expect([exit, stderr]).toEqual([0, 'No worker lives: the run waits for one.\n']);
    expect(stdout).toMatch(/^[0-9a-z]{26}\n$/);
    const { run } = JSON.parse((await pawl(place, ['show', stdout.trim(), '--json'])).stdout) as {
      run: { tags: string[]; status: string; key: string };
    };
    expect(run).toMatchObject({ tags: ['a', 'b'], status: 'scheduled', key: 'k1' });
  });
  test('with a key that is held gives the run that holds it', async () => {
    const call = await pawl(place, ['start', 'good', '--key', 'once', '--json']);
    expect(JSON.parse(call.stdout)).toMatchObject({ v: 1, run: { id: done.id, created: false, status: 'success' } });
  });
  test('waits for the output, here of a run that has ended', async () => {
    expect(await at(pawl(place, ['start', 'good', '--key', 'once', '--wait']))).toMatchInlineSnapshot(`
      "{
        "at": "<at>",
        "big": "1180591620717411303424",
        "text": "a\\u001b[2J"
      }
      --
      found <id>
      exit 0
      "
    `);
    expect(await at(pawl(place, ['start', 'order', '{"id":"o-81"}', '--key', 'order:o-81', '--wait']))).toMatchInlineSnapshot(`
      "--
      found <id>
      RUN_FAILED  Run <id> of workflow "order" failed: task "pay" failed: 503 from 支払い
        Look at it: pawl show <id>
        pawl explain RUN_FAILED
      exit 1
      "
    `);
  });
  test('gives up waiting in time: the run goes on', async () => {
    expect(await at(pawl(place, ['start', 'open', '--at', '1h', '--key', 'later', '--wait', '--timeout', '20ms']))).toMatchInlineSnapshot(`
      "--
      started <id>
      RUN_TIMEOUT  Run <id> has not ended within 20ms.
        The run goes on. Look again: pawl watch <id>
        pawl explain RUN_TIMEOUT
      exit 7
      "
    `);
  });
  test('reads the input from a file and from stdin', async () => {
    place.write('input.json', '{"id":"from a file"}');
    const dry = (input: string, stdin?: string) =>
      pawl(place, ['start', 'order', input, '--dry-run', '--json'], stdin === undefined ? {} : { stdin });
    expect(JSON.parse((await dry('@input.json')).stdout)).toMatchObject({ wouldStart: { input: { id: 'from a file' } } });
    expect(JSON.parse((await dry('-', '{"id":"stdin"}')).stdout)).toMatchObject({ wouldStart: { input: { id: 'stdin' } } });
    expect((await dry('@nowhere.json')).exit).toBe(2);
    expect((await dry('{id:1}')).stderr).toContain('RUN_INPUT_INVALID');
  });
  test('as a dry run checks the input and starts nothing', async () => {
    const before = (await pawl(place, ['ls', '--all', '--jsonl'])).stdout;
    expect(await at(pawl(place, ['start', 'order', '{"id":"x"}', '--dry-run', '--key', 'k']))).toMatchInlineSnapshot(`
      "workflow order
      store  .pawl/dev.db
      input  {"id":"x"}
      key  k
      exit 0
      "
    `);
    expect(await at(pawl(place, ['start', 'order', '{"id":1}', '--dry-run']))).toMatchInlineSnapshot(`
      "--
      RUN_INPUT_INVALID  The input of workflow "order" does not fit: input.id: Invalid input: expected string, received number
        Correct the input at the path that the message names.
        pawl explain RUN_INPUT_INVALID
      exit 2
      "
    `);
    expect((await pawl(place, ['ls', '--all', '--jsonl'])).stdout).toBe(before);
  });
  test('names the workflows that there are', async () => {
    expect(await at(pawl(place, ['start', 'ordr']))).toMatchInlineSnapshot(`
      "--
      RUN_UNKNOWN_WORKFLOW  pawl.ts exports no workflow "ordr".
        It exports: order, good, open.
        pawl explain RUN_UNKNOWN_WORKFLOW
      exit 3
      "
    `);
  });
  test.each([
    [['start', 'order', '--wait', '--watch']],
    [['start', 'order', '--timeout', '1s']],
    [['start', 'order', '--at', 'noon']],
    [['start', 'order', '--at', '5']],
    [['start', 'order', '--at', '2030-02-30']],
    [['ls', 'since:2030']],
    [['pause', 'queue:']],
    [['start', 'order', '--priority', '1.5']],
    [['start', 'order', '--wait', '--timeout', 'soon']],
  ])('%j is wrong usage', async (argv) => {
    const { exit, stdout, stderr } = await pawl(place, argv);
    expect([exit, stdout, stderr.split(' ')[0]]).toEqual([2, '', 'CONFIG_USAGE']);
  });
});

describe('watch', () => {
  test('of a run that is over prints how it ended, and exits by it', async () => {
    expect(await at(pawl(place, ['watch', failed.id]))).toMatchInlineSnapshot(`
      "<at> run.finished failed
      exit 1
      "
    `);
    expect(await at(pawl(place, ['watch', done.id, '--jsonl']))).toMatchInlineSnapshot(`
      "{"v":1,"event":{"type":"run.finished","at":"<at>","runId":"<id>","workflow":"good","status":"success"}}
      exit 0
      "
    `);
    expect((await pawl(place, ['watch', done.id, '--json'])).stdout).toContain('"status": "success"');
  });
  test('on a terminal leaves the tree, and the cursor', async () => {
    const { exit, stdout } = await pawl(place, ['watch', done.id], { terminal, env: { NO_COLOR: '1' } });
    expect(exit).toBe(0);
    expect(stdout.startsWith('\u001b[?25l')).toBe(true);
    expect(stdout).toContain('✓ success');
    expect(stdout).toContain('\u001b[?25h');
  });
  test.each([{ terminal: null }, { terminal }])('ends with 130 when it is interrupted, and says that the run goes on: %j', async (on) => {
    const interrupt = AbortSignal.timeout(50);
    const { exit, stderr } = await pawl(place, ['watch', open.id], { ...on, interrupt });
    expect([exit, stderr.replace('\r', '').split('\n').at(-2)]).toEqual([130, `The run goes on. Look again: pawl watch ${open.id}`]);
  });
});

describe('sql', () => {
  test('prints rows as a table and as JSON', async () => {
    const query = "select workflow, status, tags from run_overview where key = 'order:o-81' order by run";
    expect(await at(pawl(place, ['sql', query]))).toMatchInlineSnapshot(`
      "workflow  status  tags
      order  failed  ["eu","v\\u001b[1mip"]
      open  scheduled
      exit 0
      "
    `);
    expect(await at(pawl(place, ['sql', "select 1 as one, null as none, 9007199254740993 as big, x'00ff' as bytes", '--json'])))
      .toMatchInlineSnapshot(`
      "{
        "v": 1,
        "rows": [
          {
            "one": 1,
            "none": null,
            "big": "9007199254740993",
            "bytes": "AP8="
          }
        ],
        "more": false
      }
      exit 0
      "
    `);
    expect(await at(pawl(place, ['sql', 'select id from definitions', '--limit', '1', '--jsonl']))).toMatchInlineSnapshot(`
      "{"v":1,"row":{"id":2}}
      --
      There are more than 1 row: --limit shows them.
      exit 0
      "
    `);
  });
  test.each([
    ['delete from runs'],
    ['update runs set status = 1'],
    ['drop table runs'],
    ['with a as (select 1) delete from runs'],
    ['pragma user_version = 9'],
    ["vacuum into 'copy.db'"],
    ["attach 'other.db' as other"],
    ['/* select */ -- values\ninsert into meta values (1, 2)'],
    ['/* select */ ; begin immediate'],
  ])('refuses %s', async (text) => {
    const { exit, stderr, stdout } = await pawl(place, ['sql', text]);
    expect([exit, stderr.split(' ')[0], stdout]).toEqual([8, 'STORE_QUERY_WRITES', '']);
  });
  test.each([['select 1; delete from runs'], ['select nothing from nowhere'], ['select (']])('refuses %s as no query', async (text) => {
    const { exit, stderr } = await pawl(place, ['sql', text]);
    expect([exit, stderr.split(' ')[0]]).toEqual([2, 'STORE_QUERY']);
  });
  test('takes a comment before and a semicolon behind the query', async () => {
    expect((await pawl(place, ['sql', '/* how many */ select 1 as n; -- done'])).exit).toBe(0);
  });
});

describe('the store', () => {
  test.each([['ls'], ['show', '@last'], ['watch', '@last'], ['workers'], ['cancel', '@last'], ['sql', 'select 1']])(
    'that does not exist is not made by %s',
    async (...argv) => {
      const { exit, stderr } = await pawl(place, [...argv, '--store', 'sqlite:./none.db']);
      expect([exit, stderr.split('\n')[0]]).toEqual([5, 'STORE_UNREACHABLE  There is no store at none.db.']);
      expect((await pawl(place, ['migrate', '--dry-run', '--store', 'sqlite:./none.db'])).stdout).toBe(
        'none.db: new would become schema 1\n',
      );
    },
  );
  test('that is no database, or none of this version, is named', async () => {
    place.write('text.db', 'this is a text, and not a database, however long it is'.repeat(100));
    const { DatabaseSync } = await import('node:sqlite');
    const newer = new DatabaseSync(place.file('newer.db'));
    newer.exec('PRAGMA application_id = 1346459468; PRAGMA user_version = 99; CREATE TABLE runs (id)');
    newer.close();
    const foreign = new DatabaseSync(place.file('foreign.db'));
    foreign.exec('CREATE TABLE runs (id)');
    foreign.close();
    const codes = await Promise.all(
      ['text.db', 'newer.db', 'foreign.db'].flatMap((file) =>
        [['ls'], ['sql', 'select 1'], ['migrate']].map(async (argv) => {
          const { exit, stderr } = await pawl(place, [...argv, '--store', `sqlite:${file}`]);
          return `${file} ${argv[0] ?? ''}: ${exit} ${stderr.split(' ')[0] ?? ''}`;
        }),
      ),
    );
    expect(codes).toMatchInlineSnapshot(`
      [
        "text.db ls: 5 STORE_NOT_A_DATABASE",
        "text.db sql: 5 STORE_NOT_A_DATABASE",
        "text.db migrate: 5 STORE_NOT_A_DATABASE",
        "newer.db ls: 5 STORE_NEWER",
        "newer.db sql: 5 STORE_NEWER",
        "newer.db migrate: 5 STORE_NEWER",
        "foreign.db ls: 5 STORE_FOREIGN",
        "foreign.db sql: 5 STORE_FOREIGN",
        "foreign.db migrate: 5 STORE_FOREIGN",
      ]
    `);
  });
  test('comes from the option, the environment, package.json, in this order', async () => {
    const other = new Place({
      'package.json': '{ "type": "module", "pawl": { "store": "sqlite:./from-package.db" } }',
      'deep/er/x.txt': '',
    });
    const where = async (argv: string[], env = {}) =>
      (await pawl(other, ['migrate', '--dry-run', ...argv], { env, cwd: other.file('deep/er') })).stdout.split(':')[0];
    expect(await where([])).toBe('../../from-package.db');
    expect(await where([], { PAWL_STORE: 'sqlite:./from-env.db' })).toBe('from-env.db');
    expect(await where(['--store', 'sqlite:./from-option.db'], { PAWL_STORE: 'sqlite:./from-env.db' })).toBe('from-option.db');
    other.remove();
  });
  test('of an unknown kind is refused', async () => {
    expect((await pawl(place, ['migrate', '--store', 'mongo://x'])).stderr.split(' ')[0]).toBe('CONFIG_STORE');
  });
  test('migrate makes it, and says what it found', async () => {
    expect(await at(pawl(place, ['migrate', '--store', 'sqlite:./made.db']))).toMatchInlineSnapshot(`
      "made.db: new became schema 1
      exit 0
      "
    `);
    expect(await at(pawl(place, ['migrate', '--store', 'sqlite:./made.db', '--json']))).toMatchInlineSnapshot(`
      "{
        "v": 1,
        "path": "<folder>/made.db",
        "existed": true,
        "from": 1,
        "to": 1,
        "done": true
      }
      exit 0
      "
    `);
  });
});

describe('errors', () => {
  test('with --json are a document on stderr', async () => {
    expect(await at(pawl(place, ['show', 'nothing', '--json']))).toMatchInlineSnapshot(`
      "--
      {"v":1,"error":{"code":"RUN_NOT_FOUND","message":"There is no run \\"nothing\\": neither an id, nor the start of one, nor a key.","fix":"Check the id, and that the engine has the store that the run was started in.","docs":"docs/errors/RUN_NOT_FOUND.md","details":{}}}
      exit 3
      "
    `);
  });
  test.each([
    [['frobnicate'], "unknown command 'frobnicate'"],
    [['ls', '--frob'], "unknown option '--frob'"],
    [['show'], "missing required argument 'id'"],
    [['ls', '--json', '--jsonl'], "option '--json' cannot be used with option '--jsonl'"],
    [['completion', 'tcsh'], 'Allowed choices are bash, zsh, fish'],
  ])('%j is wrong usage', async (argv, message) => {
    const { exit, stderr } = await pawl(place, argv);
    expect(exit).toBe(2);
    expect(stderr).toContain('CONFIG_USAGE');
    expect(stderr).toContain(message);
  });
  test('explain knows every code, and only those', async () => {
    expect((await pawl(place, ['explain', 'run_failed'])).stdout).toContain('RUN_FAILED');
    expect((await pawl(place, ['explain', '../../package.json'])).exit).toBe(2);
    const { codes } = JSON.parse((await pawl(place, ['explain', '--json'])).stdout) as { codes: { code: string }[] };
    expect(codes.map(({ code }) => code)).toContain('STORE_NEWER');
  });
});

describe('help', () => {
  test('lists every command, and each has its own, as wide as the terminal', async () => {
    const { exit, stdout } = await pawl(place, ['--help'], { terminal });
    expect(exit).toBe(0);
    for (const [name, { summary }] of Object.entries(COMMANDS)) {
      expect(stdout).toMatch(new RegExp(`^ {2}${name} {2,}${summary.replace(/[^a-z ]/g, '.').split('  ')[0] ?? ''}`, 'm'));
      for (const columns of [80, 160]) {
        const help = await pawl(place, ['help', name], { terminal: { columns, rows: 24 } });
        expect([name, help.exit, help.stdout.startsWith(`Usage: pawl ${name} [options]`)]).toEqual([name, 0, true]);
        expect(help.stdout.split('\n').filter((line) => width(line) > columns)).toEqual([]);
      }
    }
  });
  test('has its place in the guide', () => {
    const guide = readFileSync(join(root, 'docs/guides/command-line.md'), 'utf8');
    expect(Object.keys(COMMANDS).filter((name) => !new RegExp(`\\bpawl ${name}\\b`).test(guide))).toEqual([]);
  });
  test('without a command is on stderr, as wrong usage', async () => {
    const { exit, stdout, stderr } = await pawl(place, []);
    expect([exit, stdout, stderr.startsWith('Usage: pawl')]).toEqual([2, '', true]);
  });
  test.each(['bash', 'zsh', 'fish'])('completion for %s knows commands and options', async (shell) => {
    const { stdout } = await pawl(place, ['completion', shell]);
    for (const word of [...Object.keys(COMMANDS), 'dry-run', 'store']) expect(stdout).toContain(word);
  });
});
