// Reads the free-form parts of a run's snapshot: whatever is missing or of another shape is left out.
import type { RunDetail } from '../api/schema';
import { plural } from './format';
import type { VersionKind } from './runs';

export interface SnapshotCell {
  readonly id: string | null;
  readonly source: string;
}

type Part = Readonly<Record<string, unknown>>;

/** The cells that were executed up to the run, in order. */
export function executedCells(detail: RunDetail): SnapshotCell[] {
  const cells = part(detail, 'code')['cells'];
  if (!Array.isArray(cells)) {
    return [];
  }
  return cells.filter(isPart).flatMap(cell => {
    const source = cell['source'];
    const id = cell['cell_id'] ?? cell['id'];
    return typeof source === 'string' ? [{ id: typeof id === 'string' ? id : null, source }] : [];
  });
}

/** A line or two on what stands behind each of the five versions. */
export function describeVersion(detail: RunDetail, kind: VersionKind): string {
  const own = part(detail, kind);
  switch (kind) {
    case 'code': {
      const commit = text(own['commit']).slice(0, 8);
      const cells = executedCells(detail).length;
      const where = [text(own['branch']), commit].filter(Boolean).join(' @ ');
      const dirty = own['dirty'] === true ? 'uncommitted changes' : '';
      return join(where, dirty, cells ? `${plural(cells, 'cell')} executed` : '');
    }
    case 'data': {
      const rows = detail.datasets.reduce((sum, dataset) => sum + (dataset.rows ?? 0), 0);
      const count = detail.datasets.length;
      return join(count ? plural(count, 'dataset') : '', rows ? plural(rows, 'row') : '');
    }
    case 'model': {
      const models = own['models'];
      return Array.isArray(models)
        ? models
            .filter(isPart)
            .map(model => className(text(model['kind'])) || text(model['name']))
            .join(', ')
        : '';
    }
    case 'environment': {
      const distributions = own['distributions'];
      const count = isPart(distributions) ? Object.keys(distributions).length : 0;
      const python = text(own['python']);
      return join(python && `Python ${python}`, count ? plural(count, 'package') : '');
    }
    case 'experiment': {
      const params = Object.keys(detail.summary.params).length;
      const metrics = Object.keys(detail.summary.metrics).length;
      return `${plural(params, 'param')}, ${plural(metrics, 'metric')}`;
    }
  }
}

function part(detail: RunDetail, name: string): Part {
  const value = detail.snapshot[name];
  return isPart(value) ? value : {};
}

function isPart(value: unknown): value is Part {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The last name of a dotted one. */
function className(kind: string): string {
  return kind.slice(kind.lastIndexOf('.') + 1);
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function join(...pieces: (string | false)[]): string {
  return pieces.filter(Boolean).join(' · ');
}
