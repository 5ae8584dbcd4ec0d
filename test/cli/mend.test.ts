import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { width } from '../../src/cli/text.ts';
import { pawl } from './kit.ts';
import { Shop } from './mend-kit.ts';

let shop: Shop;
beforeEach(async () => {
  shop = await Shop.open();
});
afterEach(() => shop.close());

const parsed = (text: string): unknown => JSON.parse(text) as unknown;

describe('why', () => {
  test('says why a run or task failed, and what to type', async () => {
    const { id } = await shop.failed();
    expect(await shop.shown('why', id)).toMatchInlineSnapshot(`
      "order  <id>  ✕ failed
      It failed <ago> because "pay" failed with GATEWAY_DOWN: 503 from 支払い for o-81; after "pawl redrive" it goes on from there.

      → pawl dead show <id>/pay
      → pawl redrive <id> --dry-run
      exit 0
      "
    `);
    expect(await shop.said('why', id)).toMatchInlineSnapshot(`
      "order  <id>  failed
      It failed <ago> because "pay" failed with GATEWAY_DOWN: 503 from 支払い for o-81; after "pawl redrive" it goes on from there.
      exit 0
      "
    `);
    expect(await shop.said('why', id, 'receipt')).toMatchInlineSnapshot(`
      "order · receipt  <id>  upstream_failed
      It did not run because "pay" did not succeed; it goes on when that is redriven.
      exit 0
      "
    `);
    expect(await shop.said('why', id, 'pay', '--json')).toMatchInlineSnapshot(`
      "{
        "v": 1,
        "run": "<id>",
        "task": "pay",
        "status": "failed",
        "sentence": "\\"pay\\" failed with GATEWAY_DOWN: 503 from 支払い for o-81 <ago>; it is a dead letter: redrive or discard it.",
        "tasks": [
          "pay"
        ],
        "since": "<at>",
        "until": null
      }
      exit 0
      "
    `);
  });

  test('offers no redrive where what was done has been undone: it would be refused', async () => {
    const { id } = await shop.ended(await shop.engine.start(shop.flows.trip));
    expect(await shop.shown('why', id)).toMatchInlineSnapshot(`
      "trip  <id>  ✕ failed
      It failed <ago> because "hotel" failed; not everything could be undone: "flight.compensate" did not succeed; redrive that.

      → pawl dead show <id>/flight.compensate
      → pawl restart <id>
      exit 0
      "
    `);
    expect(await shop.said('why', id, 'flight.compensate')).toMatchInlineSnapshot(`
      "trip · flight.compensate  <id>  failed
      "flight.compensate" failed with NonRetryableError: not refundable <ago>; it is a dead letter: redrive or discard it.
      exit 0
      "
    `);
    expect(await shop.shown('show', id)).not.toContain('redrive');
    expect(await shop.shown('show', id)).toContain('pawl restart');
  });

  test('of a map offers the items that are dead letters, not the map', async () => {
    const { id } = await shop.failedLot([1, -1, 2, -2]);
    expect(await shop.shown('why', id)).toMatchInlineSnapshot(`
      "lot  <id>  ✕ failed
      It failed <ago> because 2 of 4 items of "pack" failed; after "pawl redrive" it goes on from there.

      → pawl dead show '<id>/pack[3]'
      → pawl dead --run <id>
      → pawl redrive <id> --dry-run
      exit 0
      "
    `);
    expect(await shop.shown('why', id, 'pack', '--item', '3')).toMatchInlineSnapshot(`
      "lot · pack #3  <id>  ✕ failed
      "pack[3]" failed with NO_BOX: no box for -2 <ago>; it is a dead letter: redrive or discard it.

      → pawl dead show '<id>/pack[3]'
      → pawl redrive <id> --dry-run
      exit 0
      "
    `);
    const { stdout } = await pawl(shop.place, ['why', id], { terminal: { columns: 80, rows: 24 }, env: { NO_COLOR: '1' } });
    const next = /→ pawl dead show '(.+)'/.exec(stdout)?.[1] ?? '';
    expect((await shop.call('dead', 'show', next)).exit).toBe(0);
  });
  test('exits 3 for what there is not', async () => {
    const { id } = await shop.failed();
    expect(await shop.refused('why', 'nobody')).toBe('3 RUN_NOT_FOUND');
    expect(await shop.refused('why', id, 'nothing')).toBe('3 TASK_UNKNOWN');
  });
});

describe('dead', () => {
  test('lists, filters, and tells apart none from some', async () => {
    const { id } = await shop.failed();
    await shop.failedLot([1, -1, 2, -2]);
    expect(await shop.said('dead')).toMatchInlineSnapshot(`
      "ID  WORKFLOW  CODE  DIED  TRIES  MESSAGE
      <id>/pack[3]  lot  NO_BOX  <at>  1  no box for -2
      <id>/pack[1]  lot  NO_BOX  <at>  1  no box for -1
      <id>/pay  order  GATEWAY_DOWN  <at>  1  503 from 支払い for o-81
      exit 0
      "
    `);
    expect(await shop.shown('dead', 'ls', '--code', 'NO_BOX', '--task', 'pack', '--limit', '1')).toMatchInlineSnapshot(`
      "ID  WORKFLOW  CODE  DIED  TRIES  MESSAGE
      <start of id>/pack[3]  lot  NO_BOX  <ago>  1  no box for -2

      → pawl dead show '<id>/pack[3]'
      → pawl dead redrive '<id>/pack[3]'
      --
      There are more than 1 dead letter: --limit or --all shows them.
      exit 0
      "
    `);
    expect(await shop.said('dead', '--run', id.slice(0, 10), '--jsonl')).toMatchInlineSnapshot(`
      "{"v":1,"letter":{"id":"<id>/pay","runId":"<id>","workflow":"order","version":"7","task":"pay","reason":"error","code":"GATEWAY_DOWN","message":"503 from 支払い for o-81","attempts":1,"diedAt":"<at>","redrive":"pawl redrive <id> --task pay"}}
      exit 0
      "
    `);
    expect(await shop.said('dead', '--run', id, '--json')).toMatchInlineSnapshot(`
      "{
        "v": 1,
        "letters": [
          {
            "id": "<id>/pay",
            "runId": "<id>",
            "workflow": "order",
            "version": "7",
            "task": "pay",
            "reason": "error",
            "code": "GATEWAY_DOWN",
            "message": "503 from 支払い for o-81",
            "attempts": 1,
            "diedAt": "<at>",
            "redrive": "pawl redrive <id> --task pay"
          }
        ],
        "more": false
      }
      exit 0
      "
    `);
    expect(await shop.said('dead', '--code', 'NONE')).toBe('--\nNo dead letter.\nexit 0\n');
    expect(await shop.refused('dead', '--run', 'nobody')).toBe('3 RUN_NOT_FOUND');
    expect(await shop.refused('dead', '--since', 'soon')).toBe('2 CONFIG_USAGE');
  });
  test('show has input, error with cause, attempts and the commands', async () => {
    const { id } = await shop.failed();
    const text = await shop.shown('dead', 'show', `${id}/pay`);
    expect(text.replace(/^ {2}at (?!run).*\n/gm, '').replace(/pawl\.ts:[\d:]+/, 'pawl.ts')).toMatchInlineSnapshot(`
      "order · pay  <id>
      died <ago> · 1 attempt · reason error · version 7
      input  {"id":"o-81","cents":4200}

      GATEWAY_DOWN: 503 from 支払い for o-81
        at run (<folder>/pawl.ts)
      caused by Error: connect ECONNREFUSED

      ATTEMPT  OUTCOME  BEGAN  TOOK  ERROR
            1  error  <ago>  <time>  GATEWAY_DOWN: 503 from 支払い for o-81

      → pawl redrive <id> --task pay --dry-run
      → pawl redrive <id> --task pay
      → pawl dead show <id>/pay --input > input.json
      exit 0
      "
    `);
    expect(parsed((await shop.call('dead', 'show', `${id}/pay`, '--input')).stdout)).toEqual({ id: 'o-81', cents: 4_200 });
    expect(parsed((await shop.call('dead', 'show', `${id}/pay`, '--json')).stdout)).toMatchObject({
      v: 1,
      letter: {
        id: `${id}/pay`,
        code: 'GATEWAY_DOWN',
        input: { id: 'o-81', cents: 4_200 },
        error: { code: 'GATEWAY_DOWN', cause: { message: 'connect ECONNREFUSED' } },
        history: [{ generation: 1, attempt: 1, outcome: 'error' }],
      },
    });
  });
  test('show takes the id that the list shows on a terminal', async () => {
    const { id } = await shop.failedLot([-1]);
    const shown = await pawl(shop.place, ['dead'], { terminal: { columns: 80, rows: 24 }, env: { NO_COLOR: '1' } });
    const [short = ''] = /^\w+\/pack\[0\]/m.exec(shown.stdout) ?? [];
    expect(short).toBe(`${id.slice(0, 10)}/pack[0]`);
    expect((await shop.call('dead', 'show', short)).exit).toBe(0);
    expect((await shop.call('dead', 'redrive', short, '--dry-run')).exit).toBe(0);
  });
  test('show refuses with a code what is none', async () => {
    const [order, lot] = [await shop.failed(), await shop.failedLot([-1])];
    expect(await shop.refused('dead', 'show', `${order.id}/load`)).toBe('4 TASK_NOT_DEAD');
    expect(await shop.refused('dead', 'show', `${lot.id}/pack`)).toBe('4 TASK_NOT_DEAD');
    expect(await shop.refused('dead', 'show', `${order.id}/nothing`)).toBe('3 TASK_UNKNOWN');
    expect(await shop.refused('dead', 'show', 'nobody/pay')).toBe('3 RUN_NOT_FOUND');
    expect(await shop.refused('dead', 'show', 'pay')).toBe('2 CONFIG_OPTION');
  });
  test('no line but a command is wider than the terminal, and no message is cut', async () => {
    const lot = await shop.failedLot([-1, -22, -333, -4_444, -55_555, -666_666]);
    for (const argv of [['why', lot.id], ['dead'], ['dead', 'show', `${lot.id}/pack[5]`], ['dead', 'redrive', '--dry-run']]) {
      const { stdout } = await pawl(shop.place, argv, { terminal: { columns: 42, rows: 24 }, env: { NO_COLOR: '1' } });
      const wide = stdout.split('\n').filter((line) => !line.startsWith('→') && width(line) > 42);
      expect({ argv, wide }).toEqual({ argv, wide: [] });
      if (argv[1] === 'show') expect(stdout).toContain('no box for -666666');
    }
  });
  test('discard asks for a note; then it is listed no more', async () => {
    const { id } = await shop.failedLot([-1, -2]);
    expect(await shop.said('dead', 'discard', `${id}/pack[1]`)).toMatchInlineSnapshot(`
      "--
      CONFIG_USAGE  --note is missing.
        Say why they stay as they are: pawl dead discard <id> --note 'why'.
        pawl explain CONFIG_USAGE
      exit 2
      "
    `);
    expect(await shop.said('dead', 'discard', `${id}/pack[1]`, '--note', 'no such box')).toBe('discarded <id>/pack[1]\nexit 0\n');
    expect(await shop.refused('dead', 'discard', `${id}/pack[1]`, '--note', 'again')).toBe('4 TASK_NOT_DEAD');
    expect((await shop.call('dead')).stdout.match(/pack\[\d\]/g)).toEqual(['pack[0]']);
  });
});

describe('dead redrive', () => {
  test('of more than ten needs --yes, and offers the same command with it', async () => {
    const { id } = await shop.failedLot(Array.from({ length: 12 }, (_, i) => -1 - i));
    expect(await shop.said('dead', 'redrive', '--task', 'pack', '--note', 'new boxes', '--same-key')).toMatchInlineSnapshot(`
      "--
      RUN_UNCONFIRMED  12 dead letters fit; nothing was changed.
        Look at what would be reset: pawl dead redrive --task pack --same-key --note 'new boxes' --dry-run. Then, if all of them are meant: pawl dead redrive --task pack --same-key --note 'new boxes' --yes.
        pawl explain RUN_UNCONFIRMED
      exit 8
      "
    `);
    expect((await shop.engine.get(id).then((run) => run.status())).status).toBe('failed');
    expect((await shop.call('dead', 'redrive', '--limit', '10', '--dry-run')).exit).toBe(0);
    const { stdout, exit } = await shop.call('dead', 'redrive', '--yes', '--json');
    expect([exit, parsed(stdout)]).toEqual([0, { v: 1, redriven: 12, left: 0, dryRun: false, refused: [] }]);
  });
  test('with --edit and --rate gives each its new input', async () => {
    shop.place.write('patch.ts', 'export default ({ n }: { n: number }): { n: number } => ({ n: -n });');
    const lot = await shop.failedLot([1, -2, -3]);
    // How many go with the second depends on whether the first has ended meanwhile.
    const { exit, stdout } = await shop.call('dead', 'redrive', '--edit', '@patch.ts', '--rate', '1000/s');
    expect([exit, stdout.match(/pack #\d/g)]).toEqual([0, ['pack #2', 'pack #1']]);
    expect(await lot.result()).toEqual([1, 2, 3]);
    expect((await shop.call('dead')).stderr).toBe('No dead letter.\n');
  });
  test('says which stay and why, and exits 1', async () => {
    shop.place.write('patch.ts', "export default (): never => { throw new Error('no idea'); };");
    await shop.failedLot([-1]);
    expect(await shop.said('dead', 'redrive', '--edit', '@patch.ts')).toMatchInlineSnapshot(`
      "--
      TASK_INPUT_INVALID  <id>/pack[0]: the edit threw: Error: no idea
      exit 1
      "
    `);
    const { stdout, exit } = await shop.call('dead', 'redrive', '--edit', '@patch.ts', '--json');
    expect([exit, parsed(stdout)]).toMatchObject([1, { redriven: 0, left: 1, refused: [{ code: 'TASK_INPUT_INVALID' }] }]);
  });
  test('previews, in text and as JSON lines', async () => {
    const { id } = await shop.failedLot([-1, 2]);
    expect(await shop.shown('dead', 'redrive', '--dry-run')).toMatchInlineSnapshot(`
      "would redrive <id>  pack #0: 2 tasks reset
      1 dead letter would be redriven

      → the same without --dry-run redrives them
      exit 0
      "
    `);
    expect(await shop.said('dead', 'redrive', `${id}/pack[0]`, '--dry-run', '--jsonl')).toMatchInlineSnapshot(`
      "{"v":1,"run":"<id>","letters":["<id>/pack[0]"],"report":{"applied":false,"generation":2,"count":2,"tasks":[{"task":"pack","item":0,"was":"failed","why":"named"},{"task":"pack","was":"failed","why":"around"}],"kept":[]}}
      exit 0
      "
    `);
    expect(await shop.shown('dead', 'redrive', '--code', 'NONE')).toBe('--\nNo dead letter fits.\nexit 0\n');
  });
  test.each([
    ['a rate that is none', ['--rate', 'fast'], '2 CONFIG_USAGE'],
    ['a rate of nothing', ['--rate', '0/s'], '2 CONFIG_USAGE'],
    ['a limit of nothing', ['--limit', '0'], '2 CONFIG_USAGE'],
    ['an edit that is nowhere', ['--edit', '@none.ts'], '2 CONFIG_USAGE'],
    ['ids beside filters', ['nobody/pay', '--task', 'pay'], '2 CONFIG_USAGE'],
    ['a wrong id', ['nobody/pay'], '3 RUN_NOT_FOUND'],
  ])('refuses %s', async (_, argv, refusal) => {
    expect(await shop.refused('dead', 'redrive', ...argv)).toBe(refusal);
  });
  test('of 10,000 is previewed and listed without a wait', async () => {
    await shop.failedLot(Array.from({ length: 10_000 }, (_, i) => -1 - i));
    // why: of this process alone, however busy the machine is
    const began = process.cpuUsage();
    const listed = await shop.call('dead');
    const preview = await shop.call('dead', 'redrive', '--dry-run', '--json');
    const { user, system } = process.cpuUsage(began);
    expect((user + system) / 1_000).toBeLessThan(5_000);
    expect([listed.exit, listed.stdout.split('\n').length]).toEqual([0, 52]);
    expect(parsed(preview.stdout)).toMatchObject({ redriven: 10_000, left: 0, dryRun: true });
  }, 60_000);
});

describe('redrive', () => {
  test('previews what it resets, and does it once for one request id', async () => {
    const run = await shop.failed();
    shop.place.write('wrong.json', '{ "id": 1 }');
    shop.place.write('right.json', '{ "id": "o-81", "cents": 5 }');
    expect(await shop.shown('redrive', run.id, '--dry-run')).toMatchInlineSnapshot(`
      "would redrive <id>  generation 2
        pay  was ✕ failed  named
        receipt  was ⊘ upstream_failed  depends on it

      → the same without --dry-run redrives it
      exit 0
      "
    `);
    const mend = (file: string, ...more: string[]) => ['redrive', run.id, '--task', 'pay', '--input', file, '--request-id', 'r-1', ...more];
    expect(await shop.refused(...mend('@wrong.json'))).toBe('2 TASK_INPUT_INVALID');
    expect(await shop.refused(...mend('@none.json'))).toBe('2 CONFIG_USAGE');
    expect(await shop.refused(...mend('{'))).toBe('2 RUN_INPUT_INVALID');
    const first = await shop.call(...mend('@right.json'));
    expect(first.exit).toBe(0);
    expect(await run.result()).toEqual({ receipt: 'receipt for 5' });
    expect(await shop.call(...mend('@right.json'))).toEqual(first);
    expect(await shop.refused('redrive', run.id, '--request-id', 'r-1')).toBe('4 RUN_REQUEST_CONFLICT');
    expect((await run.status()).status).toBe('success');
  });
  test('refuses with a code', async () => {
    const { id } = await shop.failed();
    expect(await shop.refused('redrive', 'nobody')).toBe('3 RUN_NOT_FOUND');
    expect(await shop.refused('redrive', id, '--task', 'load')).toBe('4 TASK_NOT_DEAD');
    expect(await shop.refused('redrive', id, '--input', '{}')).toBe('2 CONFIG_OPTION');
    expect(await shop.refused('redrive', 'status:failed', '--task', 'pay')).toBe('2 CONFIG_USAGE');
    expect(await shop.refused('redrive', id, '--task', 'pay', '--input', '{}', '--entry', 'none.ts')).toBe('6 CONFIG_ENTRY');
  });
  test('of an unsafe task that may have happened needs --accept-unknown', async () => {
    const run = await shop.engine.start(shop.flows.shipping);
    await shop.flows.shipped.promise;
    await run.cancel();
    await shop.ended(run);
    expect(await shop.refused('redrive', run.id)).toBe('8 TASK_OUTCOME_UNKNOWN');
    expect((await shop.call('redrive', run.id, '--accept-unknown', '--dry-run')).exit).toBe(0);
    expect(await shop.refused('redrive', 'wf:shipping')).toBe('1 TASK_OUTCOME_UNKNOWN');
  });
  test('of a query previews, redrives, and says when nothing fits', async () => {
    await shop.failed();
    expect(await shop.shown('redrive', 'wf:order', '--dry-run')).toMatchInlineSnapshot(`
      "would redrive <id>  2 tasks

      → the same without --dry-run redrives them
      exit 0
      "
    `);
    expect(await shop.said('redrive', 'wf:order', '--json')).toMatchInlineSnapshot(`
      "{
        "v": 1,
        "redriven": 1,
        "refused": [],
        "dryRun": false
      }
      exit 0
      "
    `);
    expect(await shop.shown('redrive', 'wf:later')).toBe('--\nNo run fits the query.\nexit 0\n');
  });
});

describe('rerun, fork and restart', () => {
  test('rerun does a task over with what depends on it', async () => {
    const run = await shop.failed(5);
    expect(await shop.shown('rerun', run.id, '--from', 'pay', '--dry-run')).toMatchInlineSnapshot(`
      "would rerun <id>  generation 2
        pay  was ✓ success  named
        receipt  was ✓ success  depends on it

      → the same without --dry-run reruns it
      exit 0
      "
    `);
    expect(await shop.said('rerun', run.id, '--from', 'receipt')).toMatchInlineSnapshot(`
      "reran <id>  generation 2
        receipt  was success  named
      exit 0
      "
    `);
    expect(await run.result()).toEqual({ receipt: 'receipt for 5' });
    expect(await shop.refused('rerun', run.id, '--from', 'nothing')).toBe('3 TASK_UNKNOWN');
    expect(await shop.refused('rerun', run.id)).toBe('2 CONFIG_USAGE');
  });
  test('fork takes over what is asked for, restart nothing', async () => {
    const { id } = await shop.failed(5);
    expect(await shop.shown('fork', id, '--from', 'receipt', '--dry-run')).toMatchInlineSnapshot(`
      "would take over load, pay

      → the same without --dry-run starts it
      exit 0
      "
    `);
    expect(await shop.said('fork', id, '--from', 'receipt', '--json')).toMatchInlineSnapshot(`
      "{
        "v": 1,
        "run": "<id>",
        "forkOf": "<id>",
        "created": true,
        "reused": [
          "load",
          "pay"
        ]
      }
      exit 0
      "
    `);
    expect(await shop.said('fork', id, '--from', 'pay')).toBe('<id>\n--\nIt took over load.\nexit 0\n');
    const { stdout } = await shop.call('restart', id, '--input', '{"id":"o-82","cents":7}');
    expect(await (await shop.engine.get(stdout.trim())).result()).toEqual({ receipt: 'receipt for 7' });
    expect(await shop.refused('restart', id, '--input', '{"id":"o-82"}')).toBe('2 RUN_INPUT_INVALID');
    expect(await shop.refused('fork', id, '--from', 'nothing')).toBe('3 TASK_UNKNOWN');
  });
});

describe('mark', () => {
  test('a task as success: what depends on it goes on', async () => {
    const run = await shop.failed();
    const mark = (output: string, ...more: string[]) => ['mark', run.id, 'success', '--task', 'pay', '--output', output, ...more];
    expect(await shop.refused(...mark('{"paid":"x"}'))).toBe('2 TASK_OUTPUT_INVALID');
    expect(await shop.refused(...mark('{'))).toBe('2 TASK_OUTPUT_INVALID');
    expect(await shop.shown(...mark('{"paid":9}', '--dry-run'))).toMatchInlineSnapshot(`
      "would mark pay of <id> as success  generation 2
        pay  was ✕ failed  named
        receipt  was ⊘ upstream_failed  depends on it

      → the same without --dry-run marks it
      exit 0
      "
    `);
    expect((await shop.call(...mark('{"paid":9}'))).exit).toBe(0);
    expect(await run.result()).toEqual({ receipt: 'receipt for 9' });
  });
  test('a task as skipped, a run as failed', async () => {
    const [one, two] = [await later(), await later()];
    expect(await shop.said('mark', one.id, 'skipped', '--task', 'never')).toBe('skipped never of <id>\nexit 0\n');
    expect(await shop.said('mark', two.id, 'failed', '--json')).toMatchInlineSnapshot(`
      "{
        "v": 1,
        "run": "<id>",
        "marked": "failed"
      }
      exit 0
      "
    `);
    expect(await shop.refused('mark', one.id, 'skipped', '--task', 'never')).toBe('4 TASK_NOT_OPEN');
    expect(await shop.refused('mark', two.id, 'failed')).toBe('4 RUN_NOT_OPEN');
    expect((await two.status()).status).toBe('failed');
  });
  test('refuses anything else, with the ways there are', async () => {
    expect(await shop.said('mark', 'any', 'great')).toMatchInlineSnapshot(`
      "--
      CONFIG_USAGE  great: a run or task cannot be marked as that.
        pawl mark <id> success --task T --output @f  the task counts as a success with this output; what depends on it goes on
        pawl mark <id> skipped --task T  a task that has not begun ends as skipped
        pawl mark <id> failed  the run fails, its open tasks are cancelled
        pawl explain CONFIG_USAGE
      exit 2
      "
    `);
    expect(await shop.refused('mark', 'any', 'success')).toBe('2 CONFIG_USAGE');
    expect(await shop.refused('mark', 'any', 'failed', '--task', 'pay')).toBe('2 CONFIG_USAGE');
    expect(await shop.refused('mark', 'any', 'failed', '--dry-run')).toBe('2 CONFIG_USAGE');
  });
});

const later = () => shop.engine.start(shop.flows.later, undefined, { delay: '1d' });

describe('pause, resume and audit', () => {
  test('a paused run is resumed once; who did it is kept', async () => {
    const run = await later();
    expect(await shop.shown('pause', run.id, '--note', 'the shop is closed')).toMatchInlineSnapshot(`
      "paused <id>

      → pawl resume <id>
      exit 0
      "
    `);
    expect(await shop.shown('why', run.id)).toMatchInlineSnapshot(`
      "later  <id>  ‖ paused
      It is paused; it goes on after "pawl resume".

      → pawl resume <id>
      exit 0
      "
    `);
    expect(await shop.said('resume', run.id, '--json')).toMatchInlineSnapshot(`
      "{
        "v": 1,
        "run": "<id>",
        "status": "scheduled"
      }
      exit 0
      "
    `);
    expect(await shop.refused('resume', run.id)).toBe('4 RUN_NOT_PAUSED');
    expect(await shop.refused('pause', 'nobody')).toBe('3 RUN_NOT_FOUND');
    const named = (text: string): string => text.replace(/cli:[\w.-]+/g, 'cli:<user>');
    expect(named(await shop.said('audit', run.id))).toMatchInlineSnapshot(`
      "AT  ACTOR  ACT  ON
      <at>  cli:<user>  resume  <id>
      <at>  cli:<user>  pause  <id>  the shop is closed
      exit 0
      "
    `);
    expect(named(await shop.said('audit', '--jsonl'))).toMatchInlineSnapshot(`
      "{"v":1,"entry":{"at":"<at>","actor":"cli:<user>","action":"resume","runId":"<id>","facts":{}}}
      {"v":1,"entry":{"at":"<at>","actor":"cli:<user>","action":"pause","runId":"<id>","note":"the shop is closed","facts":{}}}
      exit 0
      "
    `);
    expect(named(await shop.said('audit', '--limit', '1', '--json'))).toMatchInlineSnapshot(`
      "{
        "v": 1,
        "entries": [
          {
            "at": "<at>",
            "actor": "cli:<user>",
            "action": "resume",
            "runId": "<id>",
            "facts": {}
          }
        ],
        "more": true
      }
      exit 0
      "
    `);
    expect((await shop.call('audit', '--limit', '1')).stderr).toBe('There are more than 1 act: --limit shows them.\n');
  });
  test('nothing is audited or quarantined yet', async () => {
    const { id } = await shop.failed();
    expect(await shop.said('audit')).toBe('--\nNobody has acted yet.\nexit 0\n');
    expect(await shop.said('quarantine')).toBe('--\nNo run is quarantined.\nexit 0\n');
    expect(await shop.refused('quarantine', 'retry', id)).toBe('4 RUN_NOT_QUARANTINED');
  });
});
