import type { CompiledGraph } from '../core/kernel/compile.ts';
import { nodeOf, type Looked } from './act-parts.ts';
import type { Client, ClientWriter } from './client.ts';

/** Another version that a fork is to be of. */
export interface ForkTarget {
  readonly id: number;
  readonly version: string;
  readonly graph: CompiledGraph;
}

/** Null where the run's own version is meant. */
export async function forkTarget(
  { client, writer }: { readonly client: Client; readonly writer: ClientWriter },
  { row }: Looked,
  version: string | undefined,
): Promise<ForkTarget | null> {
  if (version === undefined || version === row.version) return null;
  const found = await client.version(row.workflow, version);
  const graph = await writer.graph(found.id);
  return graph === null ? null : { id: found.id, version, graph };
}

/** Where a fork begins: at a task of the run; one that only the other version has is done anew anyway. */
export function forkStart(run: Looked, target: ForkTarget | null, name: string): number[] {
  return target !== null && !run.graph.byId.has(name) && target.graph.byId.has(name) ? [] : [nodeOf(run, name).index];
}
