// Runs and badges as the server sends them.
import type { CellBadge, RunDetail, RunSummary } from '../src/api/schema';

export function sampleRun(id: string, over: Partial<RunSummary> = {}): RunSummary {
  return {
    run_id: id,
    name: `run-${id}`,
    experiment: 'flights',
    status: 'FINISHED',
    started: 1000,
    ended: 1002.5,
    params: {},
    metrics: {},
    versions: { code: 'c0', data: 'd0', model: null, environment: 'e0', experiment: 'x0' },
    notebook: 'explore.ipynb',
    cell_id: null,
    stage: null,
    parent: null,
    baseline: null,
    against: {},
    ...over
  };
}

export function sampleDetail(over: Partial<RunDetail> = {}): RunDetail {
  return {
    summary: sampleRun('a'),
    tags: {},
    datasets: [],
    artifacts: [],
    snapshot: {},
    ...over
  };
}

export function sampleBadge(over: Partial<CellBadge> = {}): CellBadge {
  return {
    cell_id: 'cell',
    version: '1a2b3c4d',
    outcome: 'ok',
    started: 1000,
    duration: 0.25,
    count: 1,
    runs: [],
    ...over
  };
}
