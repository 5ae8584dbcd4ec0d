import type { Plotter } from './life.ts';
import { plotsOfActs } from './plots-of-acts.ts';
import { plotsOfChildren } from './plots-of-children.ts';
import { plotsOfFlow } from './plots-of-flow.ts';

export const PLOTS: Readonly<Record<string, Plotter>> = { ...plotsOfFlow, ...plotsOfChildren, ...plotsOfActs };
