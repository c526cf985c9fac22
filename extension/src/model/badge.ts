// What the badge on a cell says: attributes for the cell's node, a label, and a tooltip.
import type { CellBadge } from '../api/schema';
import { formatDuration, formatMoment, plural } from './format';

export interface BadgeFace {
  /** Values of `data-nbops-…` attributes on the cell's node. */
  readonly outcome: CellBadge['outcome'];
  readonly version: string;
  readonly edited: boolean;
  /** What is read on the badge. */
  readonly label: string;
  /** What the tooltip and a screen reader say. */
  readonly title: string;
  /** The run that a click opens: the last one that the cell made. */
  readonly run: string | null;
}

const OUTCOMES: Readonly<Record<CellBadge['outcome'], string>> = {
  ok: 'ran through',
  error: 'raised an error',
  killed: 'its kernel was killed',
  running: 'is running'
};

/** The face of a badge; `edited` says that the cell's source is no longer what was run. */
export function badgeFace(badge: CellBadge, edited: boolean): BadgeFace {
  const stale = edited && badge.outcome !== 'running';
  const took = badge.duration === null ? '' : `, took ${formatDuration(badge.duration)}`;
  const lines = [
    `Code version ${badge.version}: ${OUTCOMES[badge.outcome]}`,
    `Started ${formatMoment(badge.started)}${took}`,
    `Executed ${plural(badge.count, 'time')}`
  ];
  if (badge.runs.length > 0) {
    lines.push(`Made ${plural(badge.runs.length, 'run')}: ${badge.runs.map(shortId).join(', ')}`);
  }
  if (stale) {
    lines.push('Edited since it ran');
  }
  return {
    outcome: badge.outcome,
    version: badge.version,
    edited: stale,
    label: stale ? `${badge.version} edited` : badge.version,
    title: lines.join('\n'),
    run: badge.runs.at(-1) ?? null
  };
}

/** The first characters of a run's id, enough to tell runs apart. */
export function shortId(runId: string): string {
  return runId.slice(0, 8);
}
