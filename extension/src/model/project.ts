// The project in front of the user, its runs, and what became of them on the server.
//
// `follow` is told the path in front (a notebook or a folder) and asks which project it lies in; `refresh` fetches the
// runs again. Answers that arrive after the user went on to another project are dropped.
import { Signal, type ISignal } from '@lumino/signaling';

import type { CellBadge, Change, ProjectInfo, RunDetail, RunPage } from '../api/schema';
import { failed, LOADING, problemOf, ready, type Loadable } from './loadable';

/** Where the answers come from: the REST client, or a stand-in in tests. */
export interface Source {
  project(path: string): Promise<ProjectInfo>;
  runs(path: string): Promise<RunPage>;
  run(path: string, ref: string): Promise<RunDetail>;
  cells(notebook: string): Promise<CellBadge[]>;
}

export interface ProjectState {
  readonly project: Loadable<ProjectInfo>;
  readonly runs: Loadable<RunPage>;
  /** Whether an answer is on its way. */
  readonly busy: boolean;
}

export class ProjectModel {
  constructor(readonly source: Source) {}

  /** Emitted when the state changed. */
  get stateChanged(): ISignal<this, void> {
    return this._stateChanged;
  }

  /** Emitted when something was written in a project, with what. */
  get projectChanged(): ISignal<this, Change> {
    return this._projectChanged;
  }

  get state(): ProjectState {
    return this._state;
  }

  /** The path that questions are asked for. */
  get path(): string {
    return this._path;
  }

  /** The user turned to a notebook or folder: show the project that it lies in. */
  async follow(path: string): Promise<void> {
    const asked = ++this._turn;
    let project: ProjectInfo;
    try {
      project = await this.source.project(path);
    } catch (error) {
      if (asked === this._turn) {
        this._path = path;
        this._fetch++;
        const problem = failed(problemOf(error));
        this._set({ project: problem, runs: problem, busy: false });
      }
      return;
    }
    if (asked !== this._turn) {
      return;
    }
    const same =
      this._state.project.kind === 'ready' && this._state.project.value.root === project.root;
    this._path = path;
    this._set({ ...this._state, project: ready(project), ...(same ? {} : { runs: LOADING }) });
    if (!same) {
      await this.refresh();
    }
  }

  /** Fetch the runs again. */
  async refresh(): Promise<void> {
    if (this._state.project.kind !== 'ready') {
      return this._turn === 0 ? undefined : this.follow(this._path);
    }
    const fetch = ++this._fetch;
    this._set({ ...this._state, busy: true });
    let runs: Loadable<RunPage>;
    try {
      runs = ready(await this.source.runs(this._path));
    } catch (error) {
      runs = failed(problemOf(error));
    }
    if (fetch === this._fetch) {
      this._set({ ...this._state, runs, busy: false });
    }
  }

  /** The server says that something was written; fetching again is for those who listen to decide. */
  notice(change: Change): void {
    this._projectChanged.emit(change);
  }

  private _set(state: ProjectState): void {
    this._state = state;
    this._stateChanged.emit();
  }

  private _path = '';
  private _turn = 0;
  private _fetch = 0;
  private _state: ProjectState = { project: LOADING, runs: LOADING, busy: false };
  private readonly _stateChanged = new Signal<this, void>(this);
  private readonly _projectChanged = new Signal<this, Change>(this);
}
