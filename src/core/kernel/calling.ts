import type { Turn } from './turn.ts';

/** The run has called another one: what that one does may have to be undone with what it does itself. */
export function noteCalled(turn: Turn, completion = 0): void {
  const { flow } = turn.state;
  if (flow.called !== null && flow.called >= completion) return;
  turn.state.flow = { ...flow, called: completion };
  turn.changes.flow = true;
}
