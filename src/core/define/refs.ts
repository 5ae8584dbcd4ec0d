/**
 * Refs at run time: proxies that stand for values of a run to come and record the path that was taken into them. They can be passed on;
 * every use as a value throws `BUILD_REF_AS_VALUE`, since what it would see is not there yet. What no proxy can notice (`!ref`,
 * `ref === x`, `ref && x`) is left to the lint rule.
 */
import { callSite, inParens } from './call-site.ts';
import { PawlError } from '../errors.ts';
import type { Expr, Path } from '../graph/graph.ts';
import { pathText } from '../values/path.ts';
import type { RefBase } from '../types/types.ts';

export type RefSource =
  | { readonly kind: 'task'; readonly id: string }
  /** `path` leads into the task's output, the ref's own path into what became of it. */
  | { readonly kind: 'optional'; readonly id: string; readonly path: Path; readonly otherwise?: Expr }
  | { readonly kind: 'settle'; readonly id: string; readonly path: Path }
  | { readonly kind: 'input' }
  /** `scope` is the one call of a map's functions in which the ref may be used. */
  | { readonly kind: 'item'; readonly of: string; readonly scope: object }
  /** What a refused call returns, so that the builder goes on and finds the other problems. */
  | { readonly kind: 'lost' };

export interface RefInfo {
  readonly owner: { readonly workflow: string };
  readonly source: RefSource;
  /** Inside the source's value. */
  readonly path: Path;
}

const infos = new WeakMap<object, RefInfo>();

/** What a ref stands for; undefined for everything else. Touches nothing of the value. */
export function refInfo(value: unknown): RefInfo | undefined {
  return typeof value === 'function' ? infos.get(value) : undefined;
}

export function makeRef(info: RefInfo): RefBase<unknown> {
  // A plain function, so that calls and `new` reach the traps.
  const target = function ref(): void {};
  Object.defineProperty(target, INSPECT, { value: () => `Ref<${refText(info)}>` });
  const ref = new Proxy(target, handler(info));
  infos.set(ref, info);
  return ref as unknown as RefBase<unknown>;
}

/** `load-order.total`, `input.id`, `item.sku`. */
export function refText({ source, path }: RefInfo): string {
  if (source.kind === 'input') return pathText('input', path);
  if (source.kind === 'item') return pathText(`${source.of}[item]`, path);
  if (source.kind === 'lost') return 'the result of a call that was refused';
  return source.kind === 'task' ? pathText(source.id, path) : pathText(`${source.kind}(${pathText(source.id, source.path)})`, path);
}

const INSPECT = Symbol.for('nodejs.util.inspect.custom');

type Use = 'number' | 'list' | 'await' | 'json' | 'keys' | 'call' | 'change' | 'test';

const USES: Readonly<Record<Use, { readonly how: string; readonly fix: (ref: string) => string }>> = {
  number: {
    how: 'in a text, in arithmetic or in a comparison',
    fix: (ref) =>
      `Move the test into w.when(ref, v => …, …) or the computation into w.run('name', { v: ref }, ({ v }) => …), ref being ${ref}.`,
  },
  list: {
    how: 'as a list: in a loop, a spread or a destructuring',
    fix: (ref) =>
      `Run a task per item with w.map(${ref}, task, item => …), or take the list in a task: w.run('name', { v: ${ref} }, ({ v }) => …).`,
  },
  await: { how: 'with await', fix: () => 'Leave out the await: pass the ref on, and the task that gets it waits for the value.' },
  json: { how: 'in JSON.stringify', fix: (ref) => `Write the JSON in a task: w.run('name', { v: ${ref} }, ({ v }) => JSON.stringify(v)).` },
  keys: {
    how: 'by its keys: in a spread, in Object.keys or in a loop',
    fix: (ref) => `Pass ${ref} as a whole, or name its properties one by one.`,
  },
  call: { how: 'by a call of it or of one of its methods', fix: (ref) => `Do it in a task: w.run('name', { v: ${ref} }, ({ v }) => …).` },
  change: {
    how: 'by a change of it',
    fix: (ref) => `Make the changed value in a task: w.run('name', { v: ${ref} }, ({ v }) => ({ ...v, … })).`,
  },
  test: { how: "with 'in', instanceof or a look at its type", fix: (ref) => `Move the test into w.when(${ref}, v => …, …).` },
};

function refuse(info: RefInfo, use: Use): never {
  const site = callSite();
  const ref = refText(info);
  throw new PawlError(
    'BUILD_REF_AS_VALUE',
    `You used "${ref}" as a value (${USES[use].how}) while building workflow "${info.owner.workflow}"${inParens(site)}. It does not exist until the run.`,
    { fix: USES[use].fix(ref), details: { ref, workflow: info.owner.workflow, ...(site === undefined ? {} : { at: site }) } },
  );
}

/** Properties that the language asks for when a ref is used as a value. Other symbols are asked for by mere looks: they are not there. */
const ASKED_FOR: ReadonlyMap<string | symbol, Use> = new Map<string | symbol, Use>([
  ['then', 'await'],
  ['toJSON', 'json'],
  [Symbol.toPrimitive, 'number'],
  [Symbol.iterator, 'list'],
  [Symbol.asyncIterator, 'list'],
  [Symbol.hasInstance, 'test'],
  [Symbol.match, 'number'],
  [Symbol.matchAll, 'number'],
  [Symbol.replace, 'number'],
  [Symbol.search, 'number'],
  [Symbol.split, 'number'],
]);

function handler(info: RefInfo): ProxyHandler<() => void> {
  const no = (use: Use) => (): never => refuse(info, use);
  return {
    get: (target, key) => {
      const use = ASKED_FOR.get(key);
      if (use !== undefined) return refuse(info, use);
      if (typeof key === 'symbol') return key === INSPECT ? (Reflect.get(target, INSPECT) as unknown) : undefined;
      return makeRef({ ...info, path: [...info.path, /^(0|[1-9]\d{0,8})$/.test(key) ? Number(key) : key] });
    },
    apply: () => refuse(calledOn(info), 'call'),
    construct: no('call'),
    set: no('change'),
    deleteProperty: no('change'),
    defineProperty: no('change'),
    setPrototypeOf: no('change'),
    preventExtensions: no('change'),
    has: no('test'),
    getPrototypeOf: no('test'),
    ownKeys: no('keys'),
    getOwnPropertyDescriptor: no('keys'),
  };
}

const WITH_METHODS = [Array, String, Number, Date, Map, Set].map((type) => type.prototype as unknown as Readonly<Record<string, unknown>>);

/** `o.lines.map(f)` calls the ref `o.lines.map`; what the author means is `o.lines`. */
function calledOn(info: RefInfo): RefInfo {
  const last = info.path.at(-1);
  const isMethod = typeof last === 'string' && WITH_METHODS.some((type) => last in type);
  return isMethod ? { ...info, path: info.path.slice(0, -1) } : info;
}
