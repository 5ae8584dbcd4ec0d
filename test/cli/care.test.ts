import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createEngine, workflow } from '../../src/index.ts';
import { silent } from '../engine/kit.ts';
import { normal, pawl, Place, root } from './kit.ts';

const quick = workflow({ name: 'quick', version: '1' }, (w) => w.run('a', {}, (_, ctx) => ctx.log.info('did it')));
const never = workflow({ name: 'never', version: '1' }, (w) => w.run('b', {}, () => 0));

let place: Place;
let id: string;

async function runs(many: number): Promise<void> {
  const engine = createEngine({ store: place.store, use: [quick, never], durability: 'fast', logger: silent });
  await engine.work();
  const all = await Promise.all(Array.from({ length: many }, () => engine.start(quick)));
  await Promise.all(all.map((run) => run.result()));
  ({ id } = await engine.start(never, undefined, { key: 'open', delay: '1d' }));
  await engine.close();
}
beforeEach(async () => {
  place = new Place();
  await runs(1);
});
afterEach(() => {
  chmodSync(dirname(place.file('.pawl/dev.db')), 0o700);
  place.remove();
});

const shown = async (...argv: string[]): Promise<string> => {
  const { exit, stdout, stderr } = await pawl(place, argv);
  return `${normal(stdout, place)}${normal(stderr, place)}exit ${exit}\n`;
};

describe('doctor', () => {
  test('says of each check how it went, and nothing is cut', async () => {
    const words =
      /^(ok|warn) +(versions|schema|file|permissions|wal|file system|disk space|durability|integrity|clock|workers|quarantine|queue|journal) {2}/;
    for (const columns of [40, 80]) {
      const { exit, stdout } = await pawl(place, ['doctor'], { terminal: { columns, rows: 24 }, env: { NO_COLOR: '1' } });
      expect(exit).toBe(0);
      expect(stdout.split('\n').filter((line) => line.length > columns)).toEqual([]);
      expect(stdout.replaceAll(/\s/g, '')).toContain(place.file('.pawl/dev.db'));
      expect(stdout.split('\n').filter((line) => words.test(line)).length).toBeGreaterThan(8);
    }
    expect(JSON.parse((await pawl(place, ['doctor', '--full', '--json'])).stdout)).toMatchObject({ v: 1, ok: true });
  });
  test('ends with 6 where something fails, and says what to do', async () => {
    expect(await shown('doctor', '--store', 'sqlite:./none.db')).toMatchInlineSnapshot(`
      "FAIL  store  STORE_UNREACHABLE: <folder>/none.db: there is no such file.
                   → Check that the path exists, is on a local disk and that its folder may be written.
      1 check failed.
      exit 6
      "
    `);
    chmodSync(place.file('.pawl/dev.db'), 0o644);
    expect((await pawl(place, ['doctor'])).stdout).toMatch(/^warn {2}permissions .*\n +→ chmod 600/m);
    expect(existsSync(place.file('none.db'))).toBe(false);
  });
});

describe('prune', () => {
  test('deletes what has ended long enough ago, and more than ten runs only with --yes', async () => {
    expect(await shown('prune', '--older', '1d')).toBe('deleted 0 runs\nexit 0\n');
    await runs(11);
    age();
    expect(await shown('prune', '--older', '30d', '--dry-run')).toBe('would delete 12 runs\nexit 0\n');
    expect(await shown('prune', '--older', '30d')).toMatchInlineSnapshot(`
      "RUN_UNCONFIRMED  12 finished runs ended more than 30d ago; nothing was deleted.
        If all of them are to go: pawl prune --older 30d --yes.
        pawl explain RUN_UNCONFIRMED
      exit 8
      "
    `);
    const asked = await pawl(place, ['prune', '--older', '30d', '--dry-run'], {
      terminal: { columns: 80, rows: 24 },
      env: { NO_COLOR: '1' },
    });
    expect(asked.stdout).toContain('→ pawl prune --older 30d --yes\n');
    expect(await shown('prune', '--older', '30d', '--yes')).toBe('deleted 12 runs\nexit 0\n');
    expect((await pawl(place, ['ls', '--jsonl'])).stdout.split('\n')).toHaveLength(2);
  });
  test('leaves the journal alone but where it is asked to', async () => {
    age();
    const rows = async (): Promise<number> => {
      const { stdout } = await pawl(place, ['sql', 'select count(*) as n from journal', '--json']);
      return (JSON.parse(stdout) as { rows: [{ n: number }] }).rows[0].n;
    };
    const before = await rows();
    expect(before).toBeGreaterThan(1);
    await pawl(place, ['prune', '--older', '30d']);
    expect(await rows()).toBeGreaterThanOrEqual(before);
    expect(await shown('prune', '--older', '30d', '--journal', '1d')).toMatch(/^deleted 0 runs, \d+ rows? of the journal\n/);
    expect(await rows()).toBeLessThan(before);
  });
  test.each([[['prune']], [['prune', '--older', 'long']], [['prune', '--older', '1d', '--journal', 'x']]])(
    '%j is wrong usage',
    async (argv) => {
      expect((await pawl(place, argv)).exit).toBe(2);
    },
  );

  /** All that has happened was a year ago. */
  function age(): void {
    const db = new DatabaseSync(place.file('.pawl/dev.db'));
    db.exec(
      'UPDATE runs SET finished_at = finished_at - 31536000000 WHERE finished_at IS NOT NULL; UPDATE journal SET at = at - 31536000000',
    );
    db.close();
  }
});

describe('backup', () => {
  test('writes a store that can be read, and never over a file', async () => {
    expect(await shown('backup', 'copy.db')).toMatch(/^wrote copy\.db, \d+ KiB\nexit 0\n$/);
    expect((await pawl(place, ['ls', '--jsonl', '--store', 'sqlite:copy.db'])).stdout).toBe((await pawl(place, ['ls', '--jsonl'])).stdout);
    const before = readFileSync(place.file('copy.db'));
    expect((await pawl(place, ['backup', 'copy.db'])).exit).toBe(4);
    expect(readFileSync(place.file('copy.db'))).toEqual(before);
  });
});

describe('export and import', () => {
  test('carry a run to another store, by a file or a pipe', async () => {
    const { stdout } = await pawl(place, ['export', '@last:quick']);
    expect(await shown('export', '@last:quick', '-o', 'run.json')).toBe('wrote run.json\nexit 0\n');
    expect(readFileSync(place.file('run.json'), 'utf8')).toBe(stdout);
    expect(statSync(place.file('run.json')).mode & 0o777).toBe(0o600);
    expect((await pawl(place, ['export', '@last:quick', '-o', 'run.json'])).exit).toBe(2);
    for (const [store, argv] of [
      ['a.db', ['import', 'run.json']],
      ['b.db', ['import', '-']],
    ] as const) {
      const call = await pawl(place, [...argv, '--store', `sqlite:${store}`], { stdin: stdout });
      expect([call.exit, call.stdout]).toEqual([0, `${(JSON.parse(stdout) as { id: string }).id}\n`]);
      const logs = await pawl(place, ['logs', '@last', '--store', `sqlite:${store}`]);
      expect(logs.stdout).toContain('did it');
    }
    expect((await pawl(place, ['import', 'run.json', '--store', 'sqlite:a.db'])).exit).toBe(4);
  });
  test('of a run that is open sets it aside', async () => {
    const { stdout } = await pawl(place, ['export', 'open']);
    expect((await pawl(place, ['import', '-', '--store', 'sqlite:a.db'], { stdin: stdout })).exit).toBe(0);
    expect((await pawl(place, ['show', id, '--store', 'sqlite:a.db'])).stdout).toContain('quarantined: ');
    expect((await pawl(place, ['why', id, '--store', 'sqlite:a.db'])).stdout).toContain('imported');
    expect((await pawl(place, ['quarantine', 'retry', id, '--store', 'sqlite:a.db'])).stdout).toBe(`released ${id}\n`);
    expect((await pawl(place, ['show', id, '--store', 'sqlite:a.db'])).stdout).not.toContain('quarantined: ');
  });
  test.each([
    ['{', 2],
    ['{}', 2],
    [undefined, 2],
  ])('of %j is refused', async (stdin, code) => {
    const argv = stdin === undefined ? ['import', 'nowhere.json'] : ['import', '-'];
    expect((await pawl(place, [...argv, '--store', 'sqlite:a.db'], stdin === undefined ? {} : { stdin })).exit).toBe(code);
  });
});

/** What only asks. */
const READING = [
  ['ls'],
  ['show', '@last'],
  ['watch', '@last:quick'],
  ['logs', '@last'],
  ['logs', '@last:quick', '-f'],
  ['graph', '@last'],
  ['graph', 'quick'],
  ['workers'],
  ['sql', 'select 1'],
  ['doctor'],
  ['export', '@last'],
  ['migrate', '--dry-run'],
  ['prune', '--older', '1d', '--dry-run'],
];

/** Calls in a process that may write neither the store nor its folder: as somebody else, where this one is root's. */
function asStranger(calls: readonly (readonly string[])[]): Record<string, string> {
  place.write(
    'stranger.js',
    `
    const { run } = await import(${JSON.stringify(join(root, 'src/cli/run.ts'))});
    if (process.getuid() === 0) process.setuid(65534);
    const exits = {};
    for (const argv of ${JSON.stringify(calls)}) {
      let error = '';
      const io = {
        stdin: process.stdin, stdout: { write: () => true }, stderr: { write: (text) => { error += text; return true; } },
        env: {}, cwd: ${JSON.stringify(place.path)}, now: () => Date.now(), interrupt: () => new AbortController().signal,
      };
      exits[argv.join(' ')] = await run(argv, io) + (error.startsWith('STORE_') ? ' ' + error.split(' ')[0] : '');
    }
    console.log(JSON.stringify(exits));
    process.exit(0);`,
  );
  const { stdout, stderr } = spawnSync(process.execPath, [place.file('stranger.js')], { encoding: 'utf8', timeout: 60_000 });
  if (stdout === '') throw new Error(stderr);
  return JSON.parse(stdout) as Record<string, string>;
}

describe('what only asks', () => {
  test('works on a file and in a folder that may not be written, and leaves both as they were', () => {
    const file = place.file('.pawl/dev.db');
    chmodSync(place.path, 0o755);
    chmodSync(file, 0o444);
    chmodSync(dirname(file), 0o555);
    const before = readFileSync(file);
    const exits = asStranger([...READING, ['cancel', 'open'], ['prune', '--older', '1d']]);
    expect(exits).toEqual({
      ...Object.fromEntries(READING.map((argv) => [argv.join(' '), '0'])),
      'cancel open': '5 STORE_READONLY',
      'prune --older 1d': '5 STORE_READONLY',
    });
    expect(readFileSync(file).equals(before)).toBe(true);
    expect(readdirSync(dirname(file))).toEqual(['dev.db']);
  });

  test.each([
    [99, 'STORE_NEWER'],
    [0, 'STORE_OLDER'],
  ])('refuses a store of schema %i, and does not touch it', async (schema, code) => {
    const file = place.file('other.db');
    copyFileSync(place.file('.pawl/dev.db'), file);
    const db = new DatabaseSync(file);
    db.exec(`PRAGMA user_version = ${schema}`);
    db.close();
    const before = readFileSync(file);
    for (const argv of READING.filter(([name]) => !['migrate', 'doctor', 'sql'].includes(name ?? ''))) {
      const { exit, stderr } = await pawl(place, [...argv, '--store', 'sqlite:other.db']);
      expect([argv, exit, stderr.split(' ')[0]]).toEqual([argv, 5, code]);
    }
    expect((await pawl(place, ['doctor', '--store', 'sqlite:other.db'])).stdout).toContain(`FAIL  store  ${code}`);
    expect(readFileSync(file).equals(before)).toBe(true);
  });
});
