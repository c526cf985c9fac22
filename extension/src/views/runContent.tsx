// What a run's page shows, once the run is there.
import * as React from 'react';

import type { DatasetVersion, RunDetail } from '../api/schema';
import { formatDuration, formatMoment, formatNumber, plural } from '../model/format';
import { VERSION_KINDS, runDuration } from '../model/runs';
import { describeVersion, executedCells } from '../model/snapshot';
import { StatusPill } from './marks';

/** Opens a notebook, given as its path in the project, at a cell. */
export type OpenNotebook = (notebook: string, cellId: string | null) => void;

export function RunContent({
  detail,
  openNotebook
}: {
  detail: RunDetail;
  openNotebook: OpenNotebook;
}): React.JSX.Element {
  return (
    <article className="nbops-page-inner">
      <Head detail={detail} openNotebook={openNotebook} />
      <VersionTiles detail={detail} />
      <div className="nbops-columns">
        <Card title="Metrics" count={Object.keys(detail.summary.metrics).length}>
          <Pairs
            rows={Object.entries(detail.summary.metrics).map(([name, value]) => [
              name,
              formatNumber(value)
            ])}
            none="No metrics were logged."
            numbers
          />
        </Card>
        <Card title="Parameters" count={Object.keys(detail.summary.params).length}>
          <Pairs rows={Object.entries(detail.summary.params)} none="No parameters were logged." />
        </Card>
      </div>
      <Card title="Datasets" count={detail.datasets.length}>
        <Datasets datasets={detail.datasets} />
      </Card>
      <Cells detail={detail} openNotebook={openNotebook} />
      <Folded title="Artifacts" count={detail.artifacts.length}>
        <ul className="nbops-list">
          {detail.artifacts.map(path => (
            <li key={path}>{path}</li>
          ))}
        </ul>
      </Folded>
      <Folded title="Tags" count={Object.keys(detail.tags).length}>
        <Pairs rows={Object.entries(detail.tags)} none="No tags." />
      </Folded>
    </article>
  );
}

function Head({
  detail,
  openNotebook
}: {
  detail: RunDetail;
  openNotebook: OpenNotebook;
}): React.JSX.Element {
  const run = detail.summary;
  return (
    <header className="nbops-page-head">
      <h1>
        {run.name} <StatusPill status={run.status} />
      </h1>
      <dl className="nbops-facts">
        <Fact name="Started">{formatMoment(run.started)}</Fact>
        <Fact name={run.ended === null ? 'Running for' : 'Took'}>
          {formatDuration(runDuration(run, Date.now() / 1000))}
        </Fact>
        <Fact name="Experiment">{run.experiment}</Fact>
        {run.stage !== null && <Fact name="Stage">{run.stage}</Fact>}
        {run.notebook !== null && (
          <Fact name="Made by">
            <NotebookLink notebook={run.notebook} cellId={run.cell_id} open={openNotebook} />
          </Fact>
        )}
        <Fact name="Run">
          <code className="nbops-mono">{run.run_id}</code>
        </Fact>
      </dl>
    </header>
  );
}

function Fact({ name, children }: React.PropsWithChildren<{ name: string }>): React.JSX.Element {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function NotebookLink({
  notebook,
  cellId,
  open
}: {
  notebook: string;
  cellId: string | null;
  open: OpenNotebook;
}): React.JSX.Element {
  return (
    <button type="button" className="nbops-link" onClick={() => open(notebook, cellId)}>
      {notebook}
      {cellId !== null && <span className="nbops-mono"> #{cellId.slice(0, 8)}</span>}
    </button>
  );
}

function VersionTiles({ detail }: { detail: RunDetail }): React.JSX.Element {
  return (
    <section className="nbops-tiles" aria-label="The five versions">
      {VERSION_KINDS.map(kind => {
        const digest = detail.summary.versions[kind];
        return (
          <div key={kind} className="nbops-tile" data-kind={kind} data-missing={digest === null}>
            <span className="nbops-tile-kind">{kind}</span>
            <code className="nbops-tile-digest">{digest ?? 'none'}</code>
            <span className="nbops-tile-about">{describeVersion(detail, kind)}</span>
          </div>
        );
      })}
    </section>
  );
}

function Card({
  title,
  count,
  children
}: React.PropsWithChildren<{ title: string; count: number }>): React.JSX.Element {
  return (
    <section className="nbops-card">
      <h2>
        {title} <span className="nbops-count">{count}</span>
      </h2>
      {children}
    </section>
  );
}

function Folded({
  title,
  count,
  children
}: React.PropsWithChildren<{ title: string; count: number }>): React.JSX.Element | null {
  return count === 0 ? null : (
    <details className="nbops-card">
      <summary>
        {title} <span className="nbops-count">{count}</span>
      </summary>
      {children}
    </details>
  );
}

function Pairs({
  rows,
  none,
  numbers = false
}: {
  rows: readonly (readonly [string, string])[];
  none: string;
  numbers?: boolean;
}): React.JSX.Element {
  if (rows.length === 0) {
    return <p className="nbops-none">{none}</p>;
  }
  const sorted = [...rows].sort(([a], [b]) => a.localeCompare(b));
  return (
    <table className="nbops-pairs" data-numbers={numbers}>
      <tbody>
        {sorted.map(([name, value]) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            <td>{value}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Datasets({ datasets }: { datasets: readonly DatasetVersion[] }): React.JSX.Element {
  if (datasets.length === 0) {
    return <p className="nbops-none">The run read no data that nbops saw.</p>;
  }
  return (
    <table className="nbops-data">
      <thead>
        <tr>
          <th scope="col">Name</th>
          <th scope="col">Rows</th>
          <th scope="col">Columns</th>
          <th scope="col">Fingerprint</th>
          <th scope="col">Source</th>
        </tr>
      </thead>
      <tbody>
        {datasets.map(dataset => (
          <tr key={`${dataset.name} ${dataset.digest}`}>
            <td>{dataset.name}</td>
            <td className="nbops-number">{dataset.rows?.toLocaleString('en-US') ?? '–'}</td>
            <td className="nbops-number" title={schemaOf(dataset)}>
              {Object.keys(dataset.columns).length || '–'}
            </td>
            <td>
              <code className="nbops-mono">{dataset.digest.slice(0, 12)}</code>
            </td>
            <td className="nbops-source">{dataset.source}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function schemaOf(dataset: DatasetVersion): string {
  return Object.entries(dataset.columns)
    .map(([name, type]) => `${name}: ${type}`)
    .join('\n');
}

function Cells({
  detail,
  openNotebook
}: {
  detail: RunDetail;
  openNotebook: OpenNotebook;
}): React.JSX.Element | null {
  const cells = executedCells(detail);
  const notebook = detail.summary.notebook;
  if (cells.length === 0) {
    return null;
  }
  return (
    <details className="nbops-card" open={cells.length <= 8}>
      <summary>
        Cells that led to it <span className="nbops-count">{plural(cells.length, 'cell')}</span>
      </summary>
      <ol className="nbops-cells">
        {cells.map((cell, index) => (
          <li key={index} data-maker={cell.id !== null && cell.id === detail.summary.cell_id}>
            <pre>{cell.source}</pre>
            {notebook !== null && cell.id !== null && (
              <button
                type="button"
                className="nbops-link"
                onClick={() => openNotebook(notebook, cell.id)}
              >
                show in notebook
              </button>
            )}
          </li>
        ))}
      </ol>
    </details>
  );
}
