import { afterEach, expect, test } from 'vitest';
import { statementText } from '../../src/store/sqlite/statements.ts';
import { hook, sqliteError } from '../store/hooks.ts';
import { LIBRARY, pawl, Place } from './kit.ts';

const undo: (() => void)[] = [];
afterEach(() => undo.splice(0).forEach((step) => step()));

test(
  'a worker whose engine has stopped ends with the error: whoever started it must see that nobody works',
  { timeout: 20_000 },
  async () => {
    const place = new Place({
      'pawl.ts': `import { workflow } from '${LIBRARY}';\nexport const one = workflow({ name: 'one' }, (w) => { w.run('a', {}, () => 1); });\n`,
    });
    undo.push(() => place.remove());
    const started = await pawl(place, ['start', 'one']);
    expect(started.exit, started.stderr).toBe(0);
    // The file is found to be damaged with the first commit of the worker.
    undo.push(
      hook({
        onRun: (sql, next) => {
          if (sql === statementText('insertJournal')) throw sqliteError(11, 'database disk image is malformed');
          return next();
        },
      }),
    );
    const { exit, stderr } = await pawl(place, ['work', '--log', 'text']);
    expect(stderr).toContain('STORE_CORRUPT');
    expect(exit).not.toBe(0);
  },
);
