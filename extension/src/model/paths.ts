// Paths between a project and the folder that Jupyter serves; all with forward slashes.
import type { ProjectInfo } from '../api/schema';

/** A path of the project as Jupyter knows it, or null when it lies outside the folder that Jupyter serves. */
export function servedPath(project: ProjectInfo, path: string): string | null {
  if (path.startsWith('/')) {
    return null;
  }
  if (project.served !== '') {
    const inside = `${project.served}/`;
    return path.startsWith(inside) ? path.slice(inside.length) : null;
  }
  return project.root === '.' ? path : `${project.root}/${path}`;
}

/** The last part of a path. */
export function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
