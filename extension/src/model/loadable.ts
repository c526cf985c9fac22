// A value that comes from the server: on its way, there, or refused. While it is fetched again the old one stays.
import type { Problem } from '../api/schema';

export type Loadable<T> =
  | { readonly kind: 'loading' }
  | { readonly kind: 'ready'; readonly value: T }
  | { readonly kind: 'failed'; readonly problem: Problem };

export const LOADING: Loadable<never> = { kind: 'loading' };

export function ready<T>(value: T): Loadable<T> {
  return { kind: 'ready', value };
}

export function failed(problem: Problem): Loadable<never> {
  return { kind: 'failed', problem };
}

/** The problem that an error stands for. */
export function problemOf(error: unknown): Problem {
  if (error instanceof RequestFailed) {
    return error.problem;
  }
  const message = error instanceof Error ? error.message : String(error);
  return { message, where: '', remedy: '' };
}

/** A request that the server refused, with its reason. */
export class RequestFailed extends Error {
  constructor(
    readonly problem: Problem,
    readonly status: number
  ) {
    super(problem.message);
  }
}
