import { bare, child, children, type Node, type RuleContext } from './estree.ts';
import { Refs } from './refs.ts';

/**
 * Finds what neither TypeScript nor a proxy can refuse: `!ref`, `ref === x`, `ref && x` see the ref, not the value, so they are decided
 * once, when the workflow is built, and always the same way.
 */
export const noRefAsValue = {
  meta: {
    type: 'problem',
    docs: { description: 'disallow using a ref as a value while a workflow is built' },
    messages: {
      refAsValue:
        '{{ref}} is a ref: its value does not exist until the run, so {{use}} always gives the same. Move the test into w.when(ref, v => …, …) or the computation into w.run(name, { v: ref }, ({ v }) => …).',
    },
    schema: [],
  },
  create(context: RuleContext): Readonly<Record<string, (node: Node) => void>> {
    const refs = new Refs(context);
    const look = (node: Node | undefined, use: string): boolean => {
      if (!node || !refs.isRef(node) || refs.isInBody(node)) return false;
      context.report({ node, messageId: 'refAsValue', data: { ref: context.sourceCode.getText(node), use } });
      return true;
    };
    /** Of `a && ref` as a condition the left side is looked at where that expression is. */
    const condition = (node: Node | undefined, use: string): void => {
      const test = node && bare(node);
      if (test?.type === 'LogicalExpression') condition(child(test, 'right'), use);
      else look(test, use);
    };
    const test = (use: string) => (node: Node) => condition(child(node, 'test'), use);
    return {
      UnaryExpression: (node) => {
        const operator = String(node['operator']);
        if (operator === '!') condition(child(node, 'argument'), '!');
        else if (operator !== 'void' && operator !== 'delete') look(child(node, 'argument'), operator);
      },
      BinaryExpression: (node) => {
        ['left', 'right'].some((side) => look(child(node, side), String(node['operator'])));
      },
      LogicalExpression: (node) => void look(child(node, 'left'), String(node['operator'])),
      AssignmentExpression: (node) => {
        if (node['operator'] !== '=') look(child(node, 'left'), String(node['operator']));
      },
      TemplateLiteral: (node) => {
        if (node.parent?.type === 'TaggedTemplateExpression') return;
        for (const part of children(node, 'expressions')) look(part, 'a template');
      },
      SwitchStatement: (node) => void look(child(node, 'discriminant'), 'switch'),
      IfStatement: test('if'),
      ConditionalExpression: test('?:'),
      WhileStatement: test('while'),
      DoWhileStatement: test('while'),
      ForStatement: test('for'),
    };
  },
};
