/** The little of ESLint's interface that the rule needs: ESLint and oxlint both give it. */

export interface Node {
  readonly type: string;
  readonly parent?: Node | null;
  readonly [key: string]: unknown;
}

export interface Variable {
  readonly name: string;
  readonly defs: readonly { readonly type: string; readonly node: Node; readonly name: Node }[];
  readonly references: readonly { isWrite(): boolean }[];
}

interface Scope {
  readonly set: ReadonlyMap<string, Variable>;
  readonly upper: Scope | null;
}

export interface RuleContext {
  readonly sourceCode: { getScope(node: Node): Scope; getText(node: Node): string };
  report(finding: { readonly node: Node; readonly messageId: string; readonly data?: Readonly<Record<string, string>> }): void;
}

export function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string';
}

export function child(node: Node, key: string): Node | undefined {
  const value = node[key];
  return isNode(value) ? value : undefined;
}

export function children(node: Node, key: string): readonly Node[] {
  const value = node[key];
  return Array.isArray(value) ? value.filter(isNode) : [];
}

/** The name of an identifier, or of the property that a member expression or an object's property names plainly. */
export function nameOf(node: Node | undefined): string | undefined {
  if (node?.type === 'Identifier') return String(node['name']);
  return node?.type === 'Literal' && typeof node['value'] === 'string' ? node['value'] : undefined;
}

const WRAPPERS = new Set([
  'TSAsExpression',
  'TSNonNullExpression',
  'TSSatisfiesExpression',
  'TSTypeAssertion',
  'ParenthesizedExpression',
  'ChainExpression',
]);

/** Without casts, `!` and parentheses around it. */
export function bare(node: Node): Node {
  let at = node;
  for (let inner = child(at, 'expression'); inner && WRAPPERS.has(at.type); inner = child(at, 'expression')) at = inner;
  return at;
}

export function isFunction(node: Node | null | undefined): node is Node {
  return node?.type === 'ArrowFunctionExpression' || node?.type === 'FunctionExpression' || node?.type === 'FunctionDeclaration';
}

export function variableOf(identifier: Node, { sourceCode }: RuleContext): Variable | undefined {
  const name = String(identifier['name']);
  for (let scope: Scope | null = sourceCode.getScope(identifier); scope !== null; scope = scope.upper) {
    const variable = scope.set.get(name);
    if (variable) return variable;
  }
  return undefined;
}
