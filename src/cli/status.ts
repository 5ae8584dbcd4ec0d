import type { RunStatus, TaskStatus } from '../core/kernel/states.ts';
import type { Painter, Colour } from './output.ts';

interface Look {
  readonly glyph: string;
  readonly label: string;
  readonly colour: Exclude<Colour, 'bold'>;
}

/** How each status looks: glyph, word and colour, never colour alone. */
export const STATUS: Readonly<Record<TaskStatus | RunStatus, Look>> = {
  pending: { glyph: '○', label: 'pending', colour: 'gray' },
  scheduled: { glyph: '◷', label: 'scheduled', colour: 'gray' },
  queued: { glyph: '◌', label: 'queued', colour: 'blue' },
  running: { glyph: '●', label: 'running', colour: 'cyan' },
  retrying: { glyph: '↻', label: 'retrying', colour: 'yellow' },
  waiting: { glyph: '◷', label: 'waiting', colour: 'magenta' },
  paused: { glyph: '‖', label: 'paused', colour: 'magenta' },
  cancelling: { glyph: '■', label: 'cancelling', colour: 'yellow' },
  finishing: { glyph: '●', label: 'finishing', colour: 'cyan' },
  success: { glyph: '✓', label: 'success', colour: 'green' },
  partial: { glyph: '◐', label: 'partial', colour: 'yellow' },
  failed: { glyph: '✕', label: 'failed', colour: 'red' },
  upstream_failed: { glyph: '⊘', label: 'upstream_failed', colour: 'red' },
  cancelled: { glyph: '■', label: 'cancelled', colour: 'gray' },
  skipped: { glyph: '–', label: 'skipped', colour: 'gray' },
};

/** `✕ failed` on a terminal, `failed` elsewhere; in its colour where there are some. */
export function statusText(status: TaskStatus | RunStatus, out: Painter): string {
  const { glyph, label, colour } = STATUS[status];
  return out.paint(colour, out.isTerminal ? `${glyph} ${label}` : label);
}
