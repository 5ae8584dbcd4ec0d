import type { Turn } from './turn.ts';

/** The failure policy lets nothing new start, be it already in force or about to be with the failure that is being followed up. */
export const isStopped = ({ graph, state, hasFailed }: Turn): boolean =>
  graph.upkeep !== null && graph.upkeep.policy !== 'continue' && (hasFailed || state.flow.tripped);
