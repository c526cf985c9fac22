// When to fetch runs again: soon after a change in the project in front, at most once a second however many come.
import { Throttler } from '@lumino/polling';

import type { Change } from '../api/schema';
import type { ProjectModel } from './project';

const AT_MOST_EVERY_MS = 1000;

/** Keep the model's runs fresh while changes are noticed. */
export function keepLive(model: ProjectModel, everyMs = AT_MOST_EVERY_MS): void {
  const refresh = new Throttler(() => model.refresh(), {
    limit: everyMs,
    edge: 'trailing'
  });
  model.projectChanged.connect((_, change: Change) => {
    const project = model.state.project;
    if (project.kind === 'ready' && project.value.root === change.root) {
      void refresh.invoke();
    }
  });
}
