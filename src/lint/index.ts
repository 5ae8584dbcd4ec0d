/** Pawl's rules as a plugin for ESLint (flat config) and oxlint (`jsPlugins`). */
import { noRefAsValue } from './no-ref-as-value.ts';

const plugin = {
  meta: { name: 'pawl' },
  rules: { 'no-ref-as-value': noRefAsValue },
};

export default plugin;
