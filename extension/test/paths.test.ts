import { expect, it } from 'vitest';

import { baseName, servedPath } from '../src/model/paths';

const project = (root: string, served = '') => ({
  name: 'p',
  experiment: 'p',
  tracked: true,
  root,
  served
});

it.each([
  ['.', '', 'a/b.ipynb', 'a/b.ipynb'],
  ['work/flights', '', 'explore.ipynb', 'work/flights/explore.ipynb'],
  ['../..', 'notebooks/flights', 'notebooks/flights/explore.ipynb', 'explore.ipynb'],
  ['..', 'notebooks', 'elsewhere/explore.ipynb', null],
  ['.', '', '/outside/explore.ipynb', null]
])('in a project at %s (serving %s), %s is served as %s', (root, served, path, expected) => {
  expect(servedPath(project(root, served), path)).toBe(expected);
});

it('takes the last part of a path', () => {
  expect([baseName('a/b.ipynb'), baseName('b.ipynb')]).toEqual(['b.ipynb', 'b.ipynb']);
});
