/** Which expressions of a file are refs. By names and scopes only: no types are needed. */
import { bare, child, children, isFunction, isNode, nameOf, variableOf, type Node, type RuleContext, type Variable } from './estree.ts';

/** `verb`: a verb that was taken out of the builder, `({ run }) => run(…)`. */
type Kind = 'ref' | 'builder' | 'verb' | null;

const VERBS = new Set(['run', 'map', 'when', 'switch', 'first', 'settle', 'optional']);
const TYPES: ReadonlyMap<string, Kind> = new Map([
  ['Build', 'builder'],
  ['Ref', 'ref'],
  ['MaybeRef', 'ref'],
]);

export class Refs {
  readonly #context: RuleContext;
  readonly #kinds = new WeakMap<Variable, Kind>();

  constructor(context: RuleContext) {
    this.#context = context;
  }

  isRef(expression: Node): boolean {
    let node = bare(expression);
    for (let object = child(node, 'object'); node.type === 'MemberExpression' && object; object = child(node, 'object'))
      node = bare(object);
    return node.type === 'Identifier' ? this.#kindOf(node) === 'ref' : this.#verbOf(node) !== undefined;
  }

  /** Inside a predicate or the body of an inline task: what runs there runs in a run, where its parameters are values. */
  isInBody(node: Node): boolean {
    for (let at = node.parent; at; at = at.parent) {
      if (isFunction(at) && this.#isBody(at)) return true;
    }
    return false;
  }

  #isBody(fn: Node): boolean {
    const place = this.#placeOf(fn);
    return place !== undefined && !isMadeWhileBuilding(place);
  }

  /** The call of a verb that a function is given to: as which argument, or under which option. */
  #placeOf(fn: Node): Place | undefined {
    let option: string | undefined;
    let element = -1;
    let at = fn;
    for (let up = at.parent; up; at = up, up = up.parent) {
      if (up.type === 'CallExpression') {
        const verb = this.#verbOf(up);
        return verb === undefined ? undefined : { verb, argument: children(up, 'arguments').indexOf(at), option, element };
      }
      if (up.type === 'ArrayExpression') element = children(up, 'elements').indexOf(at);
      if (up.type === 'Property') option = nameOf(child(up, 'key')) ?? '';
      else if (up.type !== 'ObjectExpression' && up.type !== 'ArrayExpression' && bare(up) !== bare(at)) return undefined;
    }
    return undefined;
  }

  #verbOf(node: Node): string | undefined {
    const callee = node.type === 'CallExpression' ? child(node, 'callee') : undefined;
    if (!callee) return undefined;
    const to = bare(callee);
    if (to.type === 'Identifier') return this.#kindOf(to) === 'verb' ? nameOf(to) : undefined;
    const object = child(to, 'object');
    const verb = to.type === 'MemberExpression' && to['computed'] !== true ? nameOf(child(to, 'property')) : undefined;
    return verb !== undefined && VERBS.has(verb) && object?.type === 'Identifier' && this.#kindOf(object) === 'builder' ? verb : undefined;
  }

  #kindOf(identifier: Node): Kind {
    const variable = variableOf(identifier, this.#context);
    if (!variable) return null;
    const known = this.#kinds.get(variable);
    if (known !== undefined) return known;
    // For a variable that is made of itself.
    this.#kinds.set(variable, null);
    const kind = this.#kindOfVariable(variable);
    this.#kinds.set(variable, kind);
    return kind;
  }

  #kindOfVariable({ defs, references }: Variable): Kind {
    const def = defs[0];
    if (def?.type === 'Parameter') return this.#kindOfParameter(def.node, def.name);
    // One that is written again may hold something else, and be asked whether it does.
    if (def?.type !== 'Variable' || references.filter((each) => each.isWrite()).length > 1) return null;
    const init = child(def.node, 'init');
    return init && this.isRef(init) ? 'ref' : null;
  }

  #kindOfParameter(fn: Node, name: Node): Kind {
    const params = children(fn, 'params');
    const index = params.findIndex((param) => holds(param, name));
    const annotation = child(child(name, 'typeAnnotation') ?? name, 'typeAnnotation');
    const typed = TYPES.get(nameOf(child(annotation ?? name, 'typeName')) ?? '');
    if (typed) return typed;
    if (isBuilder(fn)) return index === 1 ? 'ref' : index !== 0 ? null : params[0]?.type === 'Identifier' ? 'builder' : 'verb';
    const place = this.#placeOf(fn);
    return index === 0 && place?.verb === 'map' && isMadeWhileBuilding(place) ? 'ref' : null;
  }
}

interface Place {
  readonly verb: string;
  readonly argument: number;
  readonly option: string | undefined;
  /** In a list: its place there. */
  readonly element: number;
}

/** Called by the builder: branches, and the functions that put the input and the key of an item together. */
function isMadeWhileBuilding({ verb, argument, option, element }: Place): boolean {
  if (verb === 'map') return option === undefined ? argument === 2 : option === 'key';
  if (verb === 'switch') return argument === 1 ? element === 1 : option === 'default';
  return verb === 'when' && option === undefined && argument >= 2;
}

/** The second argument of `workflow(options, builder)`. */
function isBuilder(fn: Node): boolean {
  const call = fn.parent;
  if (call?.type !== 'CallExpression' || children(call, 'arguments')[1] !== fn) return false;
  const callee = child(call, 'callee');
  return nameOf(callee?.type === 'MemberExpression' ? child(callee, 'property') : callee) === 'workflow';
}

function holds(pattern: Node, name: Node): boolean {
  if (pattern === name) return true;
  return Object.entries(pattern).some(
    ([key, part]) => key !== 'parent' && (Array.isArray(part) ? part : [part]).some((each) => isNode(each) && holds(each, name)),
  );
}
