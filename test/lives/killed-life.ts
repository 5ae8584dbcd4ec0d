/** Lives the life of a plot in a process of its own, until it is killed in it. */
import { armKillSwitch, type KillPlan } from '../chaos/kill-switch.ts';
import { Life } from './life.ts';
import { PLOTS } from './plots.ts';

export interface LifeToKill {
  readonly plot: string;
  readonly folder: string;
  readonly kill: KillPlan;
}

const { plot, folder, kill } = JSON.parse(process.argv[2] ?? '') as LifeToKill;
const plotter = PLOTS[plot];
if (plotter === undefined) throw new Error(`no plot ${plot}`);
const life = await Life.begin(plotter, folder);
armKillSwitch(kill, () => 0, `${folder}.kill`);
await life.live();
await life.close();
