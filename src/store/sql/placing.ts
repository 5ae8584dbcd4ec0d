import type { Placed } from '../acts.ts';
import type { Lanes } from './lanes.ts';
import { MAX_HOLDERS, operatorsOfKeys } from './limits.ts';
import { many, type Program } from './program.ts';
import type { Statements } from './statements.ts';

/** Gives imported runs their places among those that are here: lanes for their tasks, and a gate. */
export class Placer {
  private readonly sql: Statements;
  private readonly lanes: Lanes;

  constructor(sql: Statements, lanes: Lanes) {
    this.sql = sql;
    this.lanes = lanes;
  }

  /** The first key that has no room for all of these that held it where they came from. */
  *fullKey(placed: readonly Placed[]): Program<string | null> {
    const wanted = new Map<string, { limit: number; more: number }>();
    for (const { gate } of placed) {
      if (gate?.isHeld !== true) continue;
      const key = wanted.get(gate.need.name);
      if (key === undefined) wanted.set(gate.need.name, { limit: gate.need.limit, more: 1 });
      else {
        key.limit = Math.min(key.limit, gate.need.limit);
        key.more++;
      }
    }
    if (wanted.size === 0) return null;
    const operators = yield* operatorsOfKeys(this.sql);
    for (const [name, { limit, more }] of wanted) {
      if ((yield* many(this.sql.gateHolders.all(name, MAX_HOLDERS))).length + more > (operators.get(name) ?? limit)) return name;
    }
    return null;
  }

  *place({ run, lanes, gate }: Placed, bodyOf: (node: number) => number): Program<void> {
    for (const { node, item, needs } of lanes) this.sql.relane.run(yield* this.lanes.laneOf(bodyOf(node), run, needs), run, node, item);
    if (gate !== null) this.sql.placeInGate.run(run, gate.need.name, JSON.stringify(gate.need), gate.rank, gate.isHeld ? 1 : 0);
  }
}
