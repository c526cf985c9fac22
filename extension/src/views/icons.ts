// The extension's icon: runs as rows, drawn in the theme's icon colour.
import { LabIcon } from '@jupyterlab/ui-components';

const RUNS = `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <g class="jp-icon3" fill="#616161">
    <circle cx="5" cy="6" r="2.2"/><rect x="9.5" y="5" width="11" height="2" rx="1"/>
    <circle cx="5" cy="12" r="2.2"/><rect x="9.5" y="11" width="7.5" height="2" rx="1"/>
    <path d="M4.1 15.4l4 2.6-4 2.6z"/><rect x="9.5" y="17" width="11" height="2" rx="1"/>
  </g>
</svg>`;

export const runsIcon = new LabIcon({ name: 'nbops:runs', svgstr: RUNS });
