import { describe, expect, it } from 'vitest';

import { describeVersion, executedCells } from '../src/model/snapshot';
import { sampleDetail } from './samples';

const SNAPSHOT = {
  code: {
    commit: '0123456789abcdef',
    branch: 'main',
    dirty: true,
    cells: [{ cell_id: 'one', source: 'x = 1' }, { source: 'y = 2' }, { source: 7 }, 'nonsense']
  },
  model: { models: [{ name: 'forest', kind: 'sklearn.ensemble._forest.RandomForestClassifier' }] },
  environment: { python: '3.11.7', distributions: { pandas: '3.1', numpy: '2.4' } }
};

describe('a snapshot', () => {
  const detail = sampleDetail({
    snapshot: SNAPSHOT,
    datasets: [{ name: 'a', source: 'a.csv', digest: 'ff', rows: 1200, columns: {}, version: null }]
  });

  it('gives its cells, leaving out what it does not understand', () => {
    expect(executedCells(detail)).toEqual([
      { id: 'one', source: 'x = 1' },
      { id: null, source: 'y = 2' }
    ]);
  });

  it('describes each version', () => {
    expect(describeVersion(detail, 'code')).toBe(
      'main @ 01234567 · uncommitted changes · 2 cells executed'
    );
    expect(describeVersion(detail, 'data')).toBe('1 dataset · 1,200 rows');
    expect(describeVersion(detail, 'model')).toBe('RandomForestClassifier');
    expect(describeVersion(detail, 'environment')).toBe('Python 3.11.7 · 2 packages');
    expect(describeVersion(detail, 'experiment')).toBe('0 params, 0 metrics');
  });

  it('may be missing', () => {
    const bare = sampleDetail();
    expect(executedCells(bare)).toEqual([]);
    expect(describeVersion(bare, 'environment')).toBe('');
  });
});
