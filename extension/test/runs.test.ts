import { describe, expect, it } from 'vitest';

import { changedVersions, filterRuns, keyMetrics, metricsOf, runDuration } from '../src/model/runs';
import { sampleRun } from './samples';

describe('keyMetrics', () => {
  it('takes the most frequent metrics, those of training last', () => {
    const runs = [
      sampleRun('a', { metrics: { auc: 0.7, training_score: 0.9, loss: 1 } }),
      sampleRun('b', { metrics: { auc: 0.8, training_score: 0.9 } }),
      sampleRun('c')
    ];
    expect(keyMetrics(runs)).toEqual(['auc', 'loss', 'training_score']);
    expect(keyMetrics(runs, 1)).toEqual(['auc']);
  });

  it('shows a run its key metrics first, then its own', () => {
    const run = sampleRun('a', { metrics: { aaa: 1, auc: null } });
    expect(metricsOf(run, ['auc', 'loss'], 3)).toEqual([
      ['auc', null],
      ['aaa', 1]
    ]);
  });
});

describe('filterRuns', () => {
  const runs = [
    sampleRun('a', { name: 'forest', params: { depth: '7' } }),
    sampleRun('b', { name: 'linear', status: 'FAILED', params: { C: '0.1' } })
  ];

  it.each([
    ['', ['a', 'b']],
    ['FOREST', ['a']],
    ['depth=7', ['a']],
    ['failed c=0.1', ['b']],
    ['explore d0', ['a', 'b']],
    ['nothing', []]
  ])('"%s" finds %s', (text, found) => {
    expect(filterRuns(runs, text).map(run => run.run_id)).toEqual(found);
  });
});

describe('changedVersions', () => {
  const versions = sampleRun('a').versions;

  it('compares with the run before, of the same notebook', () => {
    const changed = changedVersions([
      sampleRun('new', { versions: { ...versions, code: 'c1', model: 'm1' } }),
      sampleRun('other', { notebook: 'other.ipynb', versions: { ...versions, code: 'zz' } }),
      sampleRun('old', { versions })
    ]);
    expect([...(changed.get('new') ?? [])]).toEqual(['code']); // the old run had no model to compare
    expect(changed.has('old')).toBe(false);
    expect(changed.has('other')).toBe(false);
  });
});

it('measures a running run up to now', () => {
  expect(runDuration(sampleRun('a'), 5000)).toBe(2.5);
  expect(runDuration(sampleRun('a', { ended: null }), 1010)).toBe(10);
});
