import type { Outlook } from '../outlook.ts';
import { FIRST_LANE } from './lanes.ts';
import type { Row } from './rows.ts';

export function readOutlook(row: Row): Outlook {
  const is = (name: string): boolean => row[name] === 1;
  const list = (name: string): number[] => JSON.parse(String(row[name])) as number[];
  const instants = ['taskDue', 'runDue', 'messageDue', 'scheduleDue'].map((name) => row[name]).filter((at) => typeof at === 'number');
  const bodies = list('bodies');
  return {
    seq: Number(row['seq'] ?? 0),
    dueAt: instants.length === 0 ? null : Math.min(...instants),
    others: list('others'),
    queued: {
      definitions: list('unclaimed'),
      bodies: [...bodies.filter((body) => body <= FIRST_LANE), ...list('maps')],
      needy: bodies.some((body) => body > FIRST_LANE),
    },
    gates: { waiting: is('waiting'), granted: is('granted') },
    running: is('running'),
    stranded: is('stranded'),
    untold: is('untold'),
    messages: is('messages'),
    watched: is('watched'),
    open: list('open'),
  };
}
