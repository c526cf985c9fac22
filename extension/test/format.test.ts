import { describe, expect, it } from 'vitest';

import { formatAgo, formatDuration, formatNumber, plural } from '../src/model/format';

describe('formatNumber', () => {
  it.each([
    [0.734217, '0.7342'],
    [0, '0'],
    [336776, '336,776'],
    [12345.678, '12,345.7'],
    [0.0000123, '1.23e-5'],
    [-2.5e12 - 0.5, '-2.50e+12'],
    [0.5, '0.5'],
    [null, '–'],
    [undefined, '–'],
    [Number.POSITIVE_INFINITY, '–']
  ])('%s is shown as %s', (value, shown) => {
    expect(formatNumber(value)).toBe(shown);
  });
});

describe('formatDuration', () => {
  it.each([
    [0.34, '340 ms'],
    [0.9999, '1.0 s'],
    [4.21, '4.2 s'],
    [59.97, '1 m 0 s'],
    [192, '3 m 12 s'],
    [7500, '2 h 5 m'],
    [null, '–'],
    [-1, '–']
  ])('%s seconds is shown as %s', (seconds, shown) => {
    expect(formatDuration(seconds)).toBe(shown);
  });
});

describe('formatAgo', () => {
  it.each([
    [3, 'just now'],
    [-5, 'just now'],
    [42, '42 s ago'],
    [150, '2 min ago'],
    [7300, '2 h ago'],
    [3 * 86_400, '3 d ago']
  ])('%s seconds ago is %s', (seconds, shown) => {
    expect(formatAgo(1_000_000 - seconds, 1_000_000)).toBe(shown);
  });

  it('names the day of what was long ago', () => {
    expect(formatAgo(1_763_800_000, 1_795_000_000)).toMatch(/Nov 2\d, 2025/);
  });
});

it('counts in words', () => {
  expect([plural(1, 'run'), plural(2, 'run'), plural(0, 'run')]).toEqual([
    '1 run',
    '2 runs',
    '0 runs'
  ]);
});
