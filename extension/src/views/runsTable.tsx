// The table of runs: one row a run, opened by click or Enter; arrow keys, Home and End move between rows.
//
// One markup for all widths: where the panel is narrow, the style sheet folds each row into a card. Table roles are
// written out, because a browser drops the implied ones from rows that aren't displayed as rows.
import * as React from 'react';

import type { RunSummary } from '../api/schema';
import { formatAgo, formatDuration, formatMoment, formatNumber } from '../model/format';
import { baseName } from '../model/paths';
import { changedVersions, keyMetrics, metricsOf, runDuration } from '../model/runs';
import { StatusDot, VerdictMark, VersionChips } from './marks';

export interface RunsTableProps {
  /** The rows, newest first. */
  runs: readonly RunSummary[];
  /** All runs, from which key metrics and changes are found. */
  all: readonly RunSummary[];
  now: number;
  open: (run: RunSummary) => void;
}

export function RunsTable({ runs, all, now, open }: RunsTableProps): React.JSX.Element {
  const keys = React.useMemo(() => keyMetrics(all), [all]);
  const changed = React.useMemo(() => changedVersions(all), [all]);
  const [current, setCurrent] = React.useState<string | null>(null);
  const body = React.useRef<HTMLTableSectionElement>(null);
  const stop = runs.some(run => run.run_id === current) ? current : (runs[0]?.run_id ?? null);

  const onKeyDown = (event: React.KeyboardEvent, run: RunSummary): void => {
    const rows = body.current?.rows;
    const here = runs.indexOf(run);
    const goals: Record<string, number> = {
      ArrowDown: here + 1,
      ArrowUp: here - 1,
      Home: 0,
      End: runs.length - 1
    };
    if (event.key === 'Enter' || event.key === ' ') {
      event.preventDefault();
      open(run);
    } else if (event.key in goals) {
      event.preventDefault();
      rows?.[goals[event.key] ?? here]?.focus();
    }
  };

  return (
    <table className="nbops-runs" role="table" aria-label="Runs">
      <thead role="rowgroup">
        <tr role="row">
          <th role="columnheader">Run</th>
          <th role="columnheader">Started</th>
          <th role="columnheader">Metrics</th>
          <th role="columnheader">Versions</th>
        </tr>
      </thead>
      <tbody role="rowgroup" ref={body}>
        {runs.map(run => (
          <tr
            key={run.run_id}
            role="row"
            className="nbops-run"
            data-run={run.run_id}
            data-status={run.status}
            tabIndex={run.run_id === stop ? 0 : -1}
            onClick={() => open(run)}
            onFocus={() => setCurrent(run.run_id)}
            onKeyDown={event => onKeyDown(event, run)}
          >
            <td role="cell" className="nbops-run-name">
              <StatusDot status={run.status} />
              <span className="nbops-run-title">{run.name}</span>
              {run.run_id === run.baseline && <span className="nbops-baseline">baseline</span>}
              <span className="nbops-run-from">{origin(run)}</span>
            </td>
            <td role="cell" className="nbops-run-started" title={formatMoment(run.started)}>
              {formatAgo(run.started, now)}
              <span className="nbops-run-took">{formatDuration(runDuration(run, now))}</span>
            </td>
            <td role="cell" className="nbops-run-metrics">
              {metricsOf(run, keys, 3).map(([name, value]) => (
                <span
                  key={name}
                  className="nbops-metric"
                  title={`${name} ${value ?? 'not a number'}`}
                >
                  <span className="nbops-metric-name">{name}</span>
                  <span className="nbops-metric-value">{formatNumber(value)}</span>
                  <VerdictMark
                    verdict={run.run_id === run.baseline ? undefined : run.against[name]}
                  />
                </span>
              ))}
            </td>
            <td role="cell" className="nbops-run-versions">
              <VersionChips versions={run.versions} changed={changed.get(run.run_id)} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function origin(run: RunSummary): string {
  return run.stage ?? (run.notebook ? baseName(run.notebook) : '');
}
