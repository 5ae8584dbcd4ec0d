import { afterEach, expect, test } from 'vitest';
import { statementText } from '../../src/store/sqlite/statements.ts';
import { hook } from '../store/hooks.ts';
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
    // A rule of the store is broken as soon as something is claimed.
    undo.push(hook({ onRun: (sql, next) => (sql === statementText('claimRun') ? { changes: 0 } : next()) }));
    const { exit, stderr } = await pawl(place, ['work', '--log', 'text']);
    expect(stderr).toContain('ENGINE_BROKEN');
    expect(exit).not.toBe(0);
  },
);
