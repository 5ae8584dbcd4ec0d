/** Calls of a body that wake it together, when the last of them has ended (`ctx.all`). */
import type { ChildWait, Wait } from './waits.ts';

/**
 * Which calls of a waiting body are still open. An end that does not wake the body changes this and the record of the call, and not the list
 * of its waits: written anew at each end, that would be n² bytes. In the rows the records tell, so this is derived from them.
 */
export class OpenCalls {
  private readonly open = new Map<string, ChildWait>();
  /** Open calls by group. */
  private readonly left = new Map<string, number>();

  constructor(on: readonly Wait[]) {
    for (const wait of on) {
      if (wait.kind !== 'child' || wait.name === null) continue;
      this.open.set(wait.name, wait);
      if (wait.group !== null) this.left.set(wait.group, (this.left.get(wait.group) ?? 0) + 1);
    }
  }

  find(name: string): ChildWait | undefined {
    return this.open.get(name);
  }

  /** Whether the body is to be woken. */
  end({ name, group }: ChildWait): boolean {
    this.open.delete(name ?? '');
    if (group === null) return true;
    const left = (this.left.get(group) ?? 1) - 1;
    this.left.set(group, left);
    return left <= 0;
  }
}

/** Null for a body that waits for no group: any end wakes it. */
export const callsOf = (on: readonly Wait[]): OpenCalls | null =>
  on.some((wait) => wait.kind === 'child' && wait.group !== null) ? new OpenCalls(on) : null;

/** What a task waits for that has not come yet. */
export const openOn = ({ on, calls }: { readonly on: readonly Wait[]; readonly calls?: OpenCalls | null }): readonly Wait[] =>
  calls == null ? on : on.filter((wait) => wait.kind !== 'child' || calls.find(wait.name ?? '') !== undefined);
