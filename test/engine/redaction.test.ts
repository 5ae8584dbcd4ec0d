import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, describe, expect, test } from 'vitest';
import { createEngine, jsonLogger, task, workflow, type RedactOptions, type Schema } from '../../src/index.ts';

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

/** Each stands in one kind of place only, so that what leaks says where. */
const SECRETS = {
  message: 'canary-message',
  data: 'canary-data',
  nested: 'canary-nested',
  error: 'canary-error',
  code: 'canary-code',
  cause: 'canary-cause',
  stack: 'canary-stack',
  thrown: 'canary-thrown',
  predicate: 'canary-predicate',
  schema: 'canary-schema',
  event: 'canary-event',
} as const;
const BY_PLACE = { url: 'canary-url', bearer: 'canary-bearer', key: 'canary-key', own: 'canary-own' } as const;

const leaky = workflow({ name: 'leaky' }, (w) => {
  const once = { retry: { maxAttempts: 2, initial: 1, jitter: 'none' }, allowFailure: true } as const;
  w.run('logs', {}, (_, { log }) => {
    log.warn(`a ${SECRETS.message} b`, {
      text: SECRETS.data,
      list: [{ deep: SECRETS.nested }],
      Pass_Word: BY_PLACE.key,
      mine: BY_PLACE.own,
    });
    log.warn(`postgres://user:${BY_PLACE.url}@host`, { header: `Bearer ${BY_PLACE.bearer}` });
    log.warn('an error', new Error(SECRETS.error));
  });
  w.run(
    'fails',
    {},
    () => {
      const error = new Error(`no ${SECRETS.error}, https://u:${BY_PLACE.url}@host`, { cause: new Error(SECRETS.cause) });
      error.stack = `${String(error.stack)}\n    at ${SECRETS.stack}`;
      throw Object.assign(error, { code: SECRETS.code });
    },
    once,
  );
  w.run(
    'throws',
    {},
    () => {
      // oxlint-disable-next-line only-throw-error
      throw { text: SECRETS.thrown, password: BY_PLACE.key };
    },
    once,
  );
  w.run('asks', {}, () => 1, {
    allowFailure: true,
    when: () => {
      throw new Error(SECRETS.predicate);
    },
  });
  return {};
});

const refused: Schema<number> = {
  '~standard': { version: 1, vendor: 'test', validate: () => ({ issues: [{ message: `not ${SECRETS.schema}` }] }) },
};
const strict = workflow({ name: 'strict' }, (w) => ({ a: w.run(task({ name: 'a', output: refused, run: () => 1 }), {}) }));

/** Everything that the store holds but payloads, and everything that was logged. */
async function traces(redact: RedactOptions): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'pawl-canary-'));
  folders.push(folder);
  const path = join(folder, 'app.db');
  const lines: string[] = [];
  const engine = createEngine({
    store: `sqlite:${path}`,
    use: [leaky, strict],
    redact,
    logger: jsonLogger((line) => lines.push(line), 'debug'),
    onEvent: () => {
      throw new Error(SECRETS.event);
    },
  });
  await engine.work();
  const started = [await engine.start(leaky), await engine.start(strict)];
  await Promise.all(started.map((run) => run.result({ timeout: '10s' }).catch(() => undefined)));
  await engine.close();
  return dump(path) + lines.join('');
}

const PAYLOADS = ['input', 'output', 'value'];

function dump(path: string): string {
  const db = new DatabaseSync(path);
  const tables = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all();
  const rows = tables.flatMap(({ name }) =>
    db
      .prepare(`SELECT * FROM "${String(name)}"`)
      .all()
      .map((row) => [name, row]),
  );
  db.close();
  return JSON.stringify(rows, (key, value: unknown) => (PAYLOADS.includes(key) ? undefined : value));
}

const found = (text: string, secrets: Readonly<Record<string, string>>): string[] =>
  Object.entries(secrets).flatMap(([name, secret]) => (text.includes(secret) ? [name] : []));

describe('a secret', () => {
  test('that is listed is in no row and no log line, wherever a body put it', async () => {
    const text = await traces({ values: Object.values(SECRETS), keys: ['mine'] });
    expect(found(text, { ...SECRETS, ...BY_PLACE })).toEqual([]);
    expect(text).toContain('[redacted]');
  });

  test('that is not listed is found in each of those places; by key, in a URL and as a bearer it is not', async () => {
    const text = await traces({});
    expect(found(text, { ...SECRETS, ...BY_PLACE })).toEqual([...Object.keys(SECRETS), 'own']);
  });
});
