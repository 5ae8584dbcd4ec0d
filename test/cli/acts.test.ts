import { afterEach, describe, expect, test } from 'vitest';
import { createEngine, task, workflow } from '../../src/index.ts';
import { silent } from '../engine/kit.ts';
import { Screen } from '../support/screen.ts';
import { LIBRARY, normal, pawl, Place } from './kit.ts';

const terminal = { columns: 80, rows: 24 };
const places: Place[] = [];
const newPlace = (files: Readonly<Record<string, string>> = {}): Place => {
  const place = new Place(files);
  places.push(place);
  return place;
};
afterEach(() => {
  for (const place of places.splice(0)) place.remove();
});

const waits = workflow({ name: 'waits' }, (w) => w.run('never', {}, () => 0));
const others = workflow({ name: 'others' }, (w) => w.run('never', {}, () => 0));

/** A store with so many runs that no worker takes. */
async function storeWith(many: number): Promise<Place> {
  const place = newPlace();
  const engine = createEngine({ store: place.store, use: [waits, others], durability: 'fast', logger: silent });
  await engine.start(others, undefined, { key: 'the other' });
  const results = await engine.startMany(
    waits,
    Array.from({ length: many }, () => ({ input: undefined })),
  );
  expect(results.filter((one) => one.error !== undefined)).toEqual([]);
  await engine.close();
  return place;
}

describe('cancel', () => {
  test('of 10,000 runs needs --yes, and says what to type; nothing is cancelled before', async () => {
    const place = await storeWith(10_000);
    const refused = await pawl(place, ['cancel', 'wf:waits', 'since:1h']);
    expect(refused).toEqual({
      exit: 8,
      stdout: '',
      stderr: `RUN_UNCONFIRMED  10,000 runs match wf:waits since:1h; nothing was changed.
  Look at them: pawl ls wf:waits since:1h. Then, if all of them are meant: pawl cancel wf:waits since:1h --yes.
  pawl explain RUN_UNCONFIRMED
`,
    });
    expect((await pawl(place, ['ls', 'status:cancelled'])).stderr).toBe('No run fits the query.\n');
    const done = await pawl(place, ['cancel', 'wf:waits', 'since:1h', '--yes', '--json']);
    const { cancelled, over } = JSON.parse(done.stdout) as { cancelled: string[]; over: string[] };
    expect([done.exit, cancelled.length, over.length]).toEqual([0, 10_000, 0]);
    expect((await pawl(place, ['ls', 'status:running,queued', '--jsonl', '--all'])).stdout.split('\n').length - 1).toBe(1);
  }, 60_000);

  test('of ten does not ask; a query means open runs only', async () => {
    const place = await storeWith(10);
    const first = await pawl(place, ['cancel', 'wf:waits']);
    expect([first.exit, first.stdout.split('\n').length - 1]).toEqual([0, 10]);
    expect(await pawl(place, ['cancel', 'wf:waits'])).toEqual({ exit: 0, stdout: '', stderr: 'No open run fits the query.\n' });
    expect((await pawl(place, ['cancel', 'status:success'])).stderr).toBe('No open run fits the query.\n');
  });

  test('takes one run by its key, and says when it was over already', async () => {
    const place = await storeWith(1);
    const show = async (): Promise<string> => {
      const { exit, stdout, stderr } = await pawl(place, ['cancel', 'the other'], { terminal, env: { NO_COLOR: '1' } });
      return normal(`${stdout}${stderr}exit ${exit}`);
    };
    expect(await show()).toMatchInlineSnapshot(`
      "cancelled <id>

      → pawl show <id>
      exit 0"
    `);
    expect(await show()).toMatchInlineSnapshot(`
      "
      → pawl ls status:cancelled
      <id> was over already, or is cleaning up.
      exit 0"
    `);
  });
});

describe('watch', () => {
  test('in a pipe prints a line per event as it happens, and ends with the run', async () => {
    const place = newPlace();
    const flow = workflow({ name: 'flow' }, (w) => w.run('a', {}, () => 1));
    const engine = createEngine({ store: place.store, use: [flow], durability: 'fast', logger: silent });
    await engine.start(flow);
    // Once somebody watches, work begins.
    const onOutput = (text: string): void => void (text.includes(' is running.') && engine.work());
    const { exit, stdout } = await pawl(place, ['watch', '@last'], { onOutput });
    expect(normal(stdout)).toBe('<at> task.started a attempt 1\n<at> task.finished a attempt 1 success\n<at> run.finished success\n');
    expect(exit).toBe(0);
    await engine.close();
  });

  test('as JSON lines gives the events of the API', async () => {
    const place = newPlace();
    const gate = Promise.withResolvers<void>();
    const flow = workflow({ name: 'flow' }, (w) => w.run('a', {}, () => gate.promise));
    const engine = createEngine({ store: place.store, use: [flow], durability: 'fast', logger: silent });
    await engine.start(flow, undefined, { delay: '300ms' });
    await engine.work();
    const onOutput = (text: string): void => void (text.includes('task.started') && gate.resolve());
    const { stdout } = await pawl(place, ['watch', '@last', '--jsonl'], { onOutput });
    const events = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { v: number; event: { type: string } });
    expect(events.map(({ v, event }) => `${v} ${event.type}`)).toEqual([
      '1 run.started',
      '1 task.started',
      '1 task.finished',
      '1 run.finished',
    ]);
    await engine.close();
  });

  test('on a terminal redraws the tree in place until the run has ended', async () => {
    const place = newPlace();
    const open = Promise.withResolvers<void>();
    const part = task({ name: 'part', run: async ({ n }: { n: number }) => (n < 3 ? n : open.promise.then(() => n)) });
    const flow = workflow({ name: 'flow' }, (w) => w.map([1, 2, 3, 4], part, (n) => ({ n })));
    const engine = createEngine({ store: place.store, use: [flow], durability: 'fast', logger: silent });
    await engine.work();
    const run = await engine.start(flow);
    const screen = new Screen({ columns: 80, rows: 24 });
    const seen: string[] = [];
    // Once two items are shown as done, the others may go on.
    const onOutput = (): void => {
      seen.push(screen.shown.join('\n'));
      if (seen.at(-1)?.includes('2/4 ok') === true) open.resolve();
    };
    const { exit } = await pawl(place, ['watch', run.id], { screen, env: { NO_COLOR: '1' }, onOutput });
    expect(exit).toBe(0);
    expect(seen.some((one) => one.includes('● running') && one.includes('2/4 ok'))).toBe(true);
    expect(normal(`${screen.all.join('\n')}\n`)).toMatchInlineSnapshot(`
      "flow  <id>  ✓ success  <ago>  took <time>
      version <hash>
      output [1,2,3,4]

      TASK  STATUS  ATTEMPT  TOOK
      part  ✓ success  <time>  4/4 ok

      → pawl show <id>
      "
    `);
    await engine.close();
  });
});

describe('check', () => {
  test('lists what is registered, and what has no body here', async () => {
    const place = newPlace({
      'src/pawl.ts': `import { task, workflow } from '../${LIBRARY}';
        const charge = task<{ n: number }, number>({ name: 'charge' });
        export default workflow({ name: 'order', version: '3' }, (w) => w.run(charge, { n: 1 }));`,
    });
    const { exit, stdout } = await pawl(place, ['check']);
    expect(`${normal(stdout)}exit ${exit}`).toMatchInlineSnapshot(`
      "ok  order  version 3, 1 task
          no body here for charge
      exit 0"
    `);
  });

  test('finds the problems of every workflow at once', async () => {
    const text = `import { task, workflow } from '${LIBRARY}';
        export const one = workflow({ name: 'one' }, (w) => { w.run('a', {}, () => 1); w.run('a', {}, () => 2); });
        export const fine = workflow({ name: 'fine' }, (w) => w.run('a', {}, () => 1));
        export const two = workflow({ name: 'two', timeout: 'soon' as '1s' }, (w) => { const a = w.run('a', {}, () => 1); return \`\${a}\`; });
        export const three = workflow.fromGraph({ name: 'three', tasks: [] , output: { $ref: ['nowhere'] } as never });`;
    const place = newPlace({ 'pawl.ts': text, 'again.ts': text });
    const { exit, stdout, stderr } = await pawl(place, ['check']);
    expect(`${stdout}--\n${stderr}exit ${exit}`).toMatchInlineSnapshot(`
      "BUILD_INVALID  Workflow "one" has a problem:
        - task "a" (pawl.ts:2:90): there is another task with this id, at pawl.ts:2:65; give one of them its own: { id: '…' }
      BUILD_REF_AS_VALUE  You used "a" as a value (in a text, in arithmetic or in a comparison) while building workflow "two" (pawl.ts:4:123). It does not exist until the run.
      BUILD_INVALID  Workflow "three" has a problem:
        - output.$ref must be the id of a task, not a list
      --
      pawl.ts: 3 definitions cannot be built.
      exit 6"
    `);
    const json = await pawl(place, ['check', 'again.ts', '--json']);
    expect(JSON.parse(json.stdout)).toMatchObject({
      v: 1,
      ok: false,
      problems: [{ code: 'BUILD_INVALID' }, { code: 'BUILD_REF_AS_VALUE' }, { code: 'BUILD_INVALID' }],
    });
    expect(json.exit).toBe(6);
  });

  test('warns of a task that can never run where its join is written out, and that is no problem', async () => {
    const place = newPlace({
      'pawl.ts': `import { workflow } from '${LIBRARY}';
        export default workflow({ name: 'two', version: '1' }, (w) => {
          const made: ReturnType<typeof w.run>[] = [];
          w.when(1, () => true, () => void made.push(w.run('a', {}, () => 1)), () => void made.push(w.run('b', {}, () => 1)));
          w.run('J', {}, () => 1, { after: made, join: 'all_success' });
        });`,
    });
    const { exit, stdout } = await pawl(place, ['check']);
    expect(`${stdout}exit ${exit}`).toMatchInlineSnapshot(`
      "ok  two  version 1, 5 tasks
      warning  two: task "J" can never run: it waits for the success of then and of otherwise of "when", and a run takes one of them; give it a join that lets skips pass, such as none_failed_min_one_success
      exit 0"
    `);
    const json = JSON.parse((await pawl(place, ['check', '--json'])).stdout) as unknown;
    expect(json).toMatchObject({ ok: true, problems: [], warnings: [{ code: 'exclusive', workflow: 'two' }] });
  });

  test('finds two of the same name', async () => {
    const place = newPlace({
      'pawl.ts': `import { workflow } from '${LIBRARY}';
        export const a = workflow({ name: 'order' }, (w) => w.run('a', {}, () => 1));
        export const b = workflow({ name: 'order' }, (w) => w.run('b', {}, () => 1));`,
    });
    const { exit, stdout } = await pawl(place, ['check']);
    expect([exit, stdout.split(' ')[0]]).toEqual([6, 'CONFIG_DUPLICATE']);
  });
});

describe('the entry', () => {
  test.each([
    ['exports nothing to register', { 'pawl.ts': 'export const a = 1;' }, [], 'CONFIG_ENTRY  pawl.ts exports no workflow, task or signal.'],
    ['is nowhere', {}, [], 'CONFIG_ENTRY  There is no entry: none of pawl.ts, src/pawl.ts, pawl.js, src/pawl.js is in <folder>.'],
    ['does not exist', {}, ['--entry', 'flows.ts'], 'CONFIG_ENTRY  The entry flows.ts does not exist.'],
    [
      'of package.json does not exist',
      { 'package.json': '{ "pawl": { "entry": "a.ts" } }' },
      [],
      'CONFIG_ENTRY  The entry a.ts (of package.json) does not exist.',
    ],
    [
      'has settings of a wrong kind',
      { 'package.json': '{ "pawl": { "entry": 1 } }' },
      [],
      'CONFIG_OPTION  <folder>/package.json: "pawl.entry" must be a text.',
    ],
  ])('that %s is an error with a code', async (_, files, argv, message) => {
    const place = newPlace(files);
    const { exit, stderr } = await pawl(place, ['check', ...argv]);
    expect(normal(stderr, place).split('\n')[0]).toBe(message);
    expect(exit).toBe(message.startsWith('CONFIG_ENTRY') ? 6 : 2);
  });
});

describe('workers', () => {
  test('shows who lives', async () => {
    const place = newPlace();
    const engine = createEngine({ store: place.store, use: [waits], durability: 'fast', logger: silent });
    await engine.work();
    const { workers } = JSON.parse((await pawl(place, ['workers', '--json'])).stdout) as { workers: object[] };
    expect(workers).toEqual([expect.objectContaining({ status: 'live', pid: process.pid, busy: 0 })]);
    expect((await pawl(place, ['workers'])).stdout).toContain('live');
    await engine.close();
    expect((await pawl(place, ['workers'])).stderr).toBe('No worker lives.\n');
  });
});
