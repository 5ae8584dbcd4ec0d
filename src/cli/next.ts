import type { RunDetail } from '../client/inspect.ts';

/** How a run that failed or was cancelled goes on: one whose work has been undone only anew. */
export const goingOn = ({ id, compensation }: RunDetail): string =>
  compensation === undefined ? `pawl redrive ${id} --dry-run` : `pawl restart ${id}`;
