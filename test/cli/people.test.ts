import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { pathToFileURL } from 'node:url';
import { createEngine, type Engine, type Registrable, type Run, type Workflow } from '../../src/index.ts';
import { silent } from '../engine/kit.ts';
import { LIBRARY, normal, pawl, Place, type Called } from './kit.ts';

/** Bodies fail until `broken` is taken away, in the entry as this process has it. */
const ENTRY = `import { z } from 'zod';
import { NonRetryableError, task, workflow } from '${LIBRARY}';
export const state = { broken: true };
const pay = task({ name: 'pay', input: z.object({ cents: z.number() }), output: z.string(), run: ({ cents }) => {
  if (state.broken) throw new NonRetryableError('card \\u001b[31mdeclined', { code: 'DECLINED' });
  return 'paid ' + cents;
} });
export const order = workflow({ name: 'order', input: z.object({ cents: z.number() }) }, (w, input) => {
  const load = w.run('load', { cents: input.cents }, ({ cents }) => ({ cents }));
  const paid = w.run(pay, { cents: load.cents });
  return { mail: w.run('mail', { paid }, (v) => 'mail: ' + v.paid) };
});
`;

interface Module {
  readonly state: { broken: boolean };
  readonly order: Workflow<{ cents: number }, { mail: string }>;
}

let place: Place;
let entry: Module;
let engine: Engine;
let run: Run<{ mail: string }>;

beforeEach(async () => {
  place = new Place({ 'pawl.ts': ENTRY });
  entry = (await import(pathToFileURL(place.file('pawl.ts')).href)) as Module;
  engine = createEngine({ store: place.store, use: [entry.order] as Registrable[], durability: 'fast', logger: silent });
  await engine.work();
  run = await engine.start(entry.order, { cents: 5 }, { key: 'o-81' });
  await run.result().catch(() => undefined);
});
afterEach(async () => {
  await engine.close();
  place.remove();
});

const call = (...argv: string[]): Promise<Called> => pawl(place, argv, { env: { USER: 'ann' } });
const shown = async (...argv: string[]): Promise<string> => {
  const { exit, stdout, stderr } = await call(...argv);
  return `${normal(stdout, place)}${stderr === '' ? '' : `--\n${normal(stderr, place)}`}exit ${exit}\n`;
};
const json = async (...argv: string[]): Promise<unknown> => JSON.parse((await call(...argv, '--json')).stdout);

describe('why', () => {
  test('says in one sentence how a run ended, or what a task is about', async () => {
    expect(await shown('why', 'o-81')).toMatchInlineSnapshot(`
      "It failed <ago> because "pay" failed with DECLINED: card \\x1b[31mdeclined; after "pawl redrive" it goes on from there.
      exit 0
      "
    `);
    expect(await json('why', 'o-81', 'mail')).toMatchObject({
      v: 1,
      runId: run.id,
      why: { status: 'upstream_failed', sentence: expect.any(String) as string },
    });
    expect((await call('why', 'o-81', '--item', '1')).exit).toBe(2);
    expect((await call('why', 'o-81', 'nothing')).exit).toBe(3);
  });
});

describe('redrive', () => {
  test('shows what it would do, does it, and the run goes on', async () => {
    expect(await shown('redrive', 'o-81', '--dry-run')).toMatchInlineSnapshot(`
      "<id>: 2 tasks would be reset, generation 2
      TASK  WAS  WHY
      pay  failed  named
      mail  upstream_failed  downstream
      exit 0
      "
    `);
    entry.state.broken = false;
    expect(await shown('redrive', 'o-81', '--task', 'pay', '--note', 'card renewed')).toMatchInlineSnapshot(`
      "<id>: 2 tasks reset, generation 2
      TASK  WAS  WHY
      pay  failed  named
      mail  upstream_failed  downstream
      exit 0
      "
    `);
    expect(await run.result()).toEqual({ mail: 'mail: paid 5' });
    expect((await engine.audit()).entries[0]).toMatchObject({ actor: 'cli:ann', action: 'redrive', note: 'card renewed', runId: run.id });
    expect((await call('redrive', 'o-81')).stderr.split(' ')[0]).toBe('RUN_NOTHING_TO_REDRIVE');
  });

  test('takes another input, which must pass the schema', async () => {
    entry.state.broken = false;
    expect((await call('redrive', 'o-81', '--task', 'pay', '--input', '{"cents":"many"}')).stderr.split(' ')[0]).toBe('TASK_INPUT_INVALID');
    expect((await call('redrive', 'o-81', '--task', 'pay', '--input', '{"cents":7}')).exit).toBe(0);
    expect(await run.result()).toEqual({ mail: 'mail: paid 7' });
  });
});

describe('dead', () => {
  test('lists and shows dead letters, by the start of an id too', async () => {
    expect(await shown('dead')).toMatchInlineSnapshot(`
      "ID  WORKFLOW  DIED  ATTEMPTS  CODE  MESSAGE
      <id>/pay  order  <at>  1  DECLINED  card \\x1b[31mdeclined
      exit 0
      "
    `);
    expect(await json('dead', 'ls', '--code', 'DECLINED', '--workflow', 'order', '--since', '1h', '--run', 'o-81')).toMatchObject({
      letters: [{ task: 'pay' }],
      more: false,
    });
    expect(await json('dead', 'ls', '--code', 'OTHER')).toMatchObject({ letters: [] });
    const { stdout, exit } = await call('dead', 'show', `${run.id.slice(0, 12)}/pay`);
    expect(exit).toBe(0);
    expect(stdout).toContain('DECLINED  card \\x1b[31mdeclined');
    expect(stdout).toContain('input   {"cents":5}');
    expect(stdout).toContain('attempt 1  error');
    expect((await call('dead', 'show', 'pay')).exit).toBe(2);
    expect((await call('dead', 'show', `${run.id}/load`)).stderr.split(' ')[0]).toBe('TASK_NOT_DEAD');
  });

  test('redrives what matches, with an edit, and asks before it does so to more than ten', async () => {
    await engine.startMany(
      entry.order,
      Array.from({ length: 10 }, (_, cents) => ({ input: { cents } })),
    );
    await expect.poll(() => engine.dead.count()).toBe(11);
    const refused = await call('dead', 'redrive', '--task', 'pay');
    expect([refused.exit, refused.stderr.split('\n')[0]]).toEqual([8, 'RUN_UNCONFIRMED  11 runs match --task pay; nothing was changed.']);
    expect((await json('dead', 'redrive', '--dry-run')) as { redriven: object[] }).toMatchObject({ redriven: { length: 11 } });
    expect(await engine.dead.count()).toBe(11);
    entry.state.broken = false;
    place.write('double.ts', 'export default (input: { cents: number }) => ({ cents: input.cents * 2 });');
    expect((await call('dead', 'redrive', '--run', 'o-81', '--edit', '@double.ts')).exit).toBe(0);
    expect(await run.result()).toEqual({ mail: 'mail: paid 10' });
    expect((await call('dead', 'redrive', '--yes', '--rate', '1000/s', '--limit', '10', '--jsonl')).stdout.trim().split('\n')).toHaveLength(
      10,
    );
    expect(await engine.dead.count()).toBe(0);
    expect((await call('dead', 'redrive', '--rate', 'fast')).exit).toBe(2);
  });

  test('discards one with a reason', async () => {
    expect((await call('dead', 'discard', `${run.id}/pay`)).exit).toBe(2);
    expect((await call('dead', 'discard', `${run.id}/pay`, '--note', 'refunded')).stdout).toBe(`discarded ${run.id}/pay\n`);
    expect((await call('dead')).stderr).toBe('No dead letter.\n');
  });
});

describe('a run', () => {
  test('is done over from a task, forked, and started anew', async () => {
    entry.state.broken = false;
    await call('redrive', 'o-81');
    await run.result();
    expect(await shown('rerun', 'o-81', '--from', 'mail')).toMatchInlineSnapshot(`
      "<id>: 1 task reset, generation 3
      TASK  WAS  WHY
      mail  success  named
      exit 0
      "
    `);
    expect(await shown('fork', 'o-81', '--from', 'pay', '--dry-run')).toMatchInlineSnapshot(`
      "would take over: load
      exit 0
      "
    `);
    const forked = (await json('fork', 'o-81', '--from', 'pay')) as { run: { id: string }; reused: string[] };
    expect(forked).toMatchObject({ from: run.id, reused: ['load'], run: { created: true } });
    const restarted = await call('restart', run.id, '--input', '{"cents":9}');
    expect(await (await engine.get(restarted.stdout.trim())).result()).toEqual({ mail: 'mail: paid 9' });
    expect((await call('fork', 'o-81')).exit).toBe(2);
  });

  test('is paused and goes on', async () => {
    const later = await engine.start(entry.order, { cents: 1 }, { delay: '1h' });
    expect((await call('pause', later.id)).stdout).toBe(`paused ${later.id}\n`);
    expect((await later.status()).status).toBe('paused');
    expect((await call('resume', later.id)).stdout).toBe(`resumed ${later.id}\n`);
    expect((await call('resume', later.id)).stderr.split(' ')[0]).toBe('RUN_NOT_PAUSED');
    expect((await call('mark', later.id, 'failed', '--note', 'not wanted')).stdout).toBe(`failed ${later.id}\n`);
    expect((await later.status()).reason).toBe('marked_failed');
  });

  test('has its task marked as success with an output that fits', async () => {
    expect((await call('mark', 'o-81', 'success', '--task', 'pay', '--output', '5')).stderr.split(' ')[0]).toBe('TASK_OUTPUT_INVALID');
    expect((await call('mark', 'o-81', 'success', '--task', 'pay', '--output', '"by hand"')).exit).toBe(0);
    expect(await run.result()).toEqual({ mail: 'mail: by hand' });
    expect((await call('mark', 'o-81', 'skipped', '--task', 'mail')).stderr.split(' ')[0]).toBe('TASK_NOT_OPEN');
  });

  test.each([
    [['mark', 'o-81', 'success']],
    [['mark', 'o-81', 'failed', '--task', 'pay']],
    [['mark', 'o-81', 'skipped', '--task', 'pay', '--output', '1']],
    [['mark', 'o-81', 'lost', '--task', 'pay']],
    [['rerun', 'o-81']],
  ])('%j is wrong usage', async (argv) => {
    const { exit, stderr } = await call(...argv);
    expect([exit, stderr.split(' ')[0]]).toEqual([2, 'CONFIG_USAGE']);
  });

  test('that was set aside is listed, and no other is', async () => {
    expect(await shown('quarantine')).toMatchInlineSnapshot(`
      "--
      No run was set aside.
      exit 0
      "
    `);
    expect((await call('quarantine', 'retry', 'o-81')).stderr.split(' ')[0]).toBe('RUN_NOT_QUARANTINED');
    expect((await call('quarantine', 'fail', 'o-81')).stderr.split(' ')[0]).toBe('RUN_NOT_QUARANTINED');
  });
});
