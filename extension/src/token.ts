// What other plugins, ours and others', can ask for.
import { Token } from '@lumino/coreutils';

import type { ProjectModel } from './model/project';

export const INbops = new Token<ProjectModel>(
  'nbops-lab:INbops',
  'The nbops project in front of the user and its runs.'
);
