// nbops in JupyterLab: wires the plugins together; each lives beside what it shows.
import { badgesPlugin } from './badges/plugin';
import { runsPlugin } from './views/plugin';

export { INbops } from './token';
export default [runsPlugin, badgesPlugin];
