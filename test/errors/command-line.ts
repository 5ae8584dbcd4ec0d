import { writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { confirm } from '../../src/cli/confirm.ts';
import { loadEntry } from '../../src/cli/entry.ts';
import { parseQuery } from '../../src/cli/query.ts';
import { queryStore } from '../../src/compose.ts';
import { workflow } from '../../src/index.ts';
import { trigger, type Place } from './kit.ts';

/** What is wrong with a command line, or with what it is asked for. */
const later = workflow({ name: 'later' }, () => ({}));
const mail = workflow({ name: 'mail' }, () => ({}));

async function entry(place: Place, text: string): Promise<unknown> {
  const file = `${place.path}.mjs`;
  writeFileSync(file, text);
  return loadEntry(file, dirname(file));
}

trigger('CONFIG_ENTRY', [/^app\.db\.mjs:1:/, /TypeError: no price for tea/], (place) =>
  entry(place, "throw new TypeError('no price for tea');"),
);
trigger('CONFIG_ENTRY', [/^app\.db\.mjs exports no workflow/], (place) => entry(place, 'export const a = 1;'));

trigger('CONFIG_USAGE', [/"color:red"/, /wf: status:/], () => parseQuery(['color:red']));

async function query(place: Place, sql: string): Promise<unknown> {
  const engine = place.engine([later]);
  await engine.start(later, undefined, { delay: '1h' });
  return [...(await queryStore(`sqlite:${place.path}`, sql))];
}

trigger('STORE_QUERY', [/state/], (place) => query(place, 'select state from run_overview'));
trigger('STORE_QUERY', [/more than one/], (place) => query(place, 'select 1; select 2'));
trigger('STORE_QUERY_WRITES', [/no query/], (place) => query(place, 'delete from runs'));
trigger('STORE_QUERY_WRITES', [/would write/], (place) => query(place, 'with a as (select 1) delete from runs'));

trigger('RUN_AMBIGUOUS', [/"o-81"/, /mail scheduled o-81/, /later scheduled o-81/], async (place) => {
  const engine = place.kit(later, mail);
  await engine.start(later, undefined, { key: 'o-81', delay: '1h' });
  await engine.start(mail, undefined, { key: 'o-81', delay: '1h' });
  await engine.runs.find('o-81');
});

trigger('RUN_UNCONFIRMED', [/1,204 runs/, /wf:order/], () =>
  confirm({ matched: 1_204, query: ['wf:order'], command: 'pawl cancel', list: 'pawl ls', yes: false }),
);
