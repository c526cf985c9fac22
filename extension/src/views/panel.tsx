// The side panel: the project in front, a filter, and its runs.
import { refreshIcon, ReactWidget, UseSignal } from '@jupyterlab/ui-components';
import * as React from 'react';

import type { RunSummary } from '../api/schema';
import { plural } from '../model/format';
import type { ProjectModel } from '../model/project';
import { filterRuns } from '../model/runs';
import { runsIcon } from './icons';
import { RunsTable } from './runsTable';
import { Empty, Failed, Loading } from './states';

const CLOCK_MS = 10_000;

export class RunsPanel extends ReactWidget {
  constructor(
    private readonly model: ProjectModel,
    private readonly open: (run: RunSummary) => void
  ) {
    super();
    this.id = 'nbops-runs';
    this.title.icon = runsIcon;
    this.title.caption = 'nbops: runs of this project';
    this.addClass('nbops-panel');
  }

  protected override render(): React.JSX.Element {
    return (
      <UseSignal signal={this.model.stateChanged}>
        {() => <Runs model={this.model} open={this.open} />}
      </UseSignal>
    );
  }
}

function Runs({
  model,
  open
}: {
  model: ProjectModel;
  open: (run: RunSummary) => void;
}): React.JSX.Element {
  const { project, runs, busy } = model.state;
  const [text, setText] = React.useState('');
  const now = useNow();
  const refresh = (): void => void model.refresh();
  const page = runs.kind === 'ready' ? runs.value : null;
  const shown = page ? filterRuns(page.runs, text) : [];
  return (
    <>
      <header className="nbops-head">
        <div className="nbops-head-line">
          <h2 className="nbops-project" title="The project around the notebook in front">
            {project.kind === 'ready' ? project.value.name : 'nbops'}
          </h2>
          <span className="nbops-count" aria-live="polite">
            {page && plural(page.runs.length, 'run') + (page.more ? ' (newest)' : '')}
          </span>
          <button
            type="button"
            className="nbops-icon-button"
            data-busy={busy}
            title="Refresh the runs"
            aria-label="Refresh the runs"
            onClick={refresh}
          >
            <refreshIcon.react tag="span" stylesheet="menuItem" />
          </button>
        </div>
        {page && page.runs.length > 0 && (
          <input
            type="search"
            className="nbops-filter"
            placeholder="Filter runs…"
            aria-label="Filter the runs"
            title="Words of a name, status, notebook, parameter (C=0.1), metric or digest"
            value={text}
            onChange={event => setText(event.target.value)}
          />
        )}
      </header>
      <div className="nbops-body">
        {runs.kind === 'loading' && <Loading what="runs" />}
        {runs.kind === 'failed' && <Failed problem={runs.problem} retry={refresh} />}
        {page && page.runs.length === 0 && <NoRuns />}
        {page && page.runs.length > 0 && shown.length === 0 && (
          <Empty title={`No run matches “${text}”`} />
        )}
        {page && shown.length > 0 && (
          <RunsTable runs={shown} all={page.runs} now={now} open={open} />
        )}
      </div>
    </>
  );
}

function NoRuns(): React.JSX.Element {
  return (
    <Empty title="No runs yet">
      <p>Start a notebook with</p>
      <pre className="nbops-snippet">%load_ext nbops</pre>
      <p>and give a cell that trains a first line</p>
      <pre className="nbops-snippet">%%nbops run first-try</pre>
    </Empty>
  );
}

/** The time in seconds, moving on every few seconds. */
function useNow(): number {
  const [now, setNow] = React.useState(() => Date.now() / 1000);
  React.useEffect(() => {
    const clock = setInterval(() => setNow(Date.now() / 1000), CLOCK_MS);
    return () => clearInterval(clock);
  }, []);
  return Math.max(now, Date.now() / 1000);
}
