import type { EngineEvent } from '../core/events.ts';
import type { Output } from './output.ts';
import { statusText } from './status.ts';
import { safe } from './text.ts';
import { clockText } from './time.ts';

/** One line of what happened: for a pipe with the whole instant, for people with the time of day. */
export function eventLine(event: EngineEvent, out: Output, options: { readonly run?: boolean } = {}): string {
  const at = out.isTerminal ? out.paint('gray', clockText(event.at)) : event.at.toISOString();
  const whose = options.run === true ? [`${safe(event.workflow)} ${event.runId.slice(0, 10)}`] : [];
  return [at, ...whose, event.type, ...subject(event), ...result(event, out)].join(' ');
}

function subject(event: EngineEvent): string[] {
  if (!('task' in event)) return [];
  const item = event.item === undefined ? [] : [`#${event.item}`];
  return [safe(event.task), ...item, ...(event.attempt === 0 ? [] : [`attempt ${event.attempt}`])];
}

function result(event: EngineEvent, out: Output): string[] {
  const status = 'status' in event ? [statusText(event.status, out)] : [];
  return 'reason' in event && event.reason !== undefined ? [...status, `(${event.reason})`] : status;
}
