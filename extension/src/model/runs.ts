// What a table of runs shows: which metrics, which rows, and in what a run differs from the one before.
import type { RunSummary, Versions } from '../api/schema';

export type VersionKind = keyof Versions;

export const VERSION_KINDS: readonly VersionKind[] = [
  'code',
  'data',
  'model',
  'environment',
  'experiment'
];

/** The kinds as column heads. */
export const SHORT_KIND: Readonly<Record<VersionKind, string>> = {
  code: 'code',
  data: 'data',
  model: 'model',
  environment: 'env',
  experiment: 'exp'
};

/** The metrics that most runs have, those of training last; ties in alphabetical order. */
export function keyMetrics(runs: readonly RunSummary[], most = 3): string[] {
  const counts = new Map<string, number>();
  for (const run of runs) {
    for (const name of Object.keys(run.metrics)) {
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
  }
  const names = [...counts.keys()];
  names.sort(
    (a, b) =>
      Number(a.startsWith('training_')) - Number(b.startsWith('training_')) ||
      (counts.get(b) ?? 0) - (counts.get(a) ?? 0) ||
      a.localeCompare(b)
  );
  return names.slice(0, most);
}

/** Up to `most` metrics of one run: the key metrics that it has, then its others. */
export function metricsOf(
  run: RunSummary,
  keys: readonly string[],
  most: number
): [string, number | null][] {
  const own = Object.keys(run.metrics).sort();
  const order = [
    ...keys.filter(key => key in run.metrics),
    ...own.filter(key => !keys.includes(key))
  ];
  return order.slice(0, most).map(key => [key, run.metrics[key] ?? null]);
}

/** The runs in which every word of `text` occurs: in the name, status, notebook, stage, params, metrics or digests. */
export function filterRuns(runs: readonly RunSummary[], text: string): RunSummary[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return runs.filter(run => {
    const hay = haystack(run);
    return words.every(word => hay.includes(word));
  });
}

function haystack(run: RunSummary): string {
  return [
    run.name,
    run.run_id,
    run.status,
    run.experiment,
    run.notebook,
    run.stage,
    ...Object.entries(run.params).map(([name, value]) => `${name}=${value}`),
    ...Object.keys(run.metrics),
    ...Object.values(run.versions)
  ]
    .join('\n')
    .toLowerCase();
}

/**
 * In which versions each run differs from the one before it, of the same notebook (or experiment) and stage.
 * `runs` are newest first; a run without a predecessor differs in nothing.
 */
export function changedVersions(runs: readonly RunSummary[]): Map<string, Set<VersionKind>> {
  const changed = new Map<string, Set<VersionKind>>();
  const later = new Map<string, RunSummary>();
  for (const run of runs) {
    const line = `${run.experiment}\n${run.notebook ?? ''}\n${run.stage ?? ''}`;
    const next = later.get(line);
    if (next) {
      const kinds = VERSION_KINDS.filter(
        kind =>
          next.versions[kind] !== null &&
          run.versions[kind] !== null &&
          next.versions[kind] !== run.versions[kind]
      );
      changed.set(next.run_id, new Set(kinds));
    }
    later.set(line, run);
  }
  return changed;
}

/** How long a run took or, while it runs, has been running. */
export function runDuration(run: RunSummary, now: number): number {
  return Math.max(0, (run.ended ?? now) - run.started);
}
