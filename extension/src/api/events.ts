// The server's events: Jupyter carries them over one websocket for all extensions; ours are picked out by schema.
import type { Event } from '@jupyterlab/services';

import type { Change } from './schema';

const CHANGE_SCHEMA = 'urn:nbops:change:v1';

/** Call `listener` with each change that the server noticed in a project. */
export function onChange(events: Event.IManager, listener: (change: Change) => void): void {
  events.stream.connect((_, event) => {
    if (event.schema_id === CHANGE_SCHEMA) {
      listener(event as unknown as Change);
    }
  });
}
