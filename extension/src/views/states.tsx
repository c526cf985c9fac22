// What stands where data will be: loading, nothing there yet, or refused.
import { Button } from '@jupyterlab/ui-components';
import * as React from 'react';

import type { Problem } from '../api/schema';

export function Loading({ what }: { what: string }): React.JSX.Element {
  return (
    <div className="nbops-state" role="status">
      <span className="nbops-spinner" aria-hidden="true" />
      <p>Loading {what}…</p>
    </div>
  );
}

export function Empty({
  title,
  children
}: {
  title: string;
  children?: React.ReactNode;
}): React.JSX.Element {
  return (
    <div className="nbops-state" role="status">
      <p className="nbops-state-title">{title}</p>
      {children}
    </div>
  );
}

export function Failed({
  problem,
  retry
}: {
  problem: Problem;
  retry: () => void;
}): React.JSX.Element {
  return (
    <div className="nbops-state nbops-state-failed" role="alert">
      <p className="nbops-state-title">{problem.message}</p>
      {problem.where !== '' && <p className="nbops-mono">{problem.where}</p>}
      {problem.remedy !== '' && <p>{problem.remedy}</p>}
      <Button className="jp-mod-styled jp-mod-minimal" onClick={retry}>
        Try again
      </Button>
    </div>
  );
}
