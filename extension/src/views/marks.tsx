// Small marks that several views share: a run's status, and the digests of its five versions.
import * as React from 'react';

import type { RunSummary, Versions } from '../api/schema';
import { SHORT_KIND, VERSION_KINDS, type VersionKind } from '../model/runs';

const STATUS_WORD: Readonly<Record<RunSummary['status'], string>> = {
  RUNNING: 'running',
  SCHEDULED: 'scheduled',
  FINISHED: 'finished',
  FAILED: 'failed',
  KILLED: 'killed'
};

/** A coloured dot that also says its meaning in words. */
export function StatusDot({ status }: { status: RunSummary['status'] }): React.JSX.Element {
  const word = STATUS_WORD[status];
  return (
    <span className="nbops-dot" data-status={status} role="img" aria-label={word} title={word} />
  );
}

type Verdict = RunSummary['against'][string];

const VERDICT_SIGN: Readonly<Partial<Record<Verdict, string>>> = { better: '▲', worse: '▼' };

/** How a metric compares with the baseline's: a sign that also says its meaning in words, nothing where it's the same. */
export function VerdictMark({
  verdict
}: {
  verdict: Verdict | undefined;
}): React.JSX.Element | null {
  const sign = verdict && VERDICT_SIGN[verdict];
  if (!sign) {
    return null;
  }
  const words = `${verdict} than the baseline`;
  return (
    <span
      className="nbops-verdict"
      data-verdict={verdict}
      role="img"
      aria-label={words}
      title={words}
    >
      {sign}
    </span>
  );
}

/** A status in words, as a pill. */
export function StatusPill({ status }: { status: RunSummary['status'] }): React.JSX.Element {
  return (
    <span className="nbops-pill" data-status={status}>
      {STATUS_WORD[status]}
    </span>
  );
}

/** The five versions; those that changed since the run before stand out. */
export function VersionChips({
  versions,
  changed
}: {
  versions: Versions;
  changed?: ReadonlySet<VersionKind> | undefined;
}): React.JSX.Element {
  return (
    <span className="nbops-chips">
      {VERSION_KINDS.map(kind => {
        const digest = versions[kind];
        const differs = changed?.has(kind) ?? false;
        const title = digest
          ? `${kind} ${digest}${differs ? ': changed since the run before' : ''}`
          : `no ${kind} version`;
        return (
          <span
            key={kind}
            className="nbops-chip"
            data-kind={kind}
            data-changed={differs}
            data-missing={digest === null}
            title={title}
          >
            <span className="nbops-chip-kind">{SHORT_KIND[kind]}</span>
            <span className="nbops-chip-digest">
              {digest ? digest.slice(0, 4) : '–'}
              {digest && <span className="nbops-chip-rest">{digest.slice(4)}</span>}
            </span>
          </span>
        );
      })}
    </span>
  );
}
