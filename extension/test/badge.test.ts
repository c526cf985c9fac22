import { describe, expect, it } from 'vitest';

import { badgeFace } from '../src/model/badge';
import { sampleBadge } from './samples';

describe('badgeFace', () => {
  it('says version, outcome, times and count', () => {
    const face = badgeFace(sampleBadge({ count: 3 }), false);
    expect(face).toMatchObject({
      outcome: 'ok',
      version: '1a2b3c4d',
      label: '1a2b3c4d',
      run: null
    });
    expect(face.title).toContain('1a2b3c4d: ran through');
    expect(face.title).toContain('took 250 ms');
    expect(face.title).toContain('Executed 3 times');
  });

  it('opens the last run that the cell made', () => {
    const face = badgeFace(sampleBadge({ runs: ['aaaaaaaaaaaa', 'bbbbbbbbbbbb'] }), false);
    expect(face.run).toBe('bbbbbbbbbbbb');
    expect(face.title).toContain('Made 2 runs: aaaaaaaa, bbbbbbbb');
  });

  it('marks a cell that was edited since it ran, but not one that runs', () => {
    expect(badgeFace(sampleBadge(), true)).toMatchObject({
      edited: true,
      label: '1a2b3c4d edited'
    });
    expect(badgeFace(sampleBadge({ outcome: 'running', duration: null }), true).edited).toBe(false);
  });
});
