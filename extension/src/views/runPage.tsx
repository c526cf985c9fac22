// A run's page in the main area: where it came from, its versions, metrics, params, datasets and cells.
import { ReactWidget } from '@jupyterlab/ui-components';
import * as React from 'react';

import type { Change, RunDetail } from '../api/schema';
import { shortId } from '../model/badge';
import { LOADING, failed, problemOf, ready, type Loadable } from '../model/loadable';
import type { ProjectModel } from '../model/project';
import { runsIcon } from './icons';
import { RunContent, type OpenNotebook } from './runContent';
import { Failed, Loading } from './states';

export interface RunPageOptions {
  readonly model: ProjectModel;
  /** A path of the project that the run belongs to. */
  readonly path: string;
  readonly runId: string;
  /** The project's root, as changes name it; null until the server has said it. */
  readonly root: string | null;
  readonly openNotebook: OpenNotebook;
}

export class RunPage extends ReactWidget {
  constructor(private readonly options: RunPageOptions) {
    super();
    this.id = `nbops-run-${options.runId}`;
    this.title.label = `Run ${shortId(options.runId)}`;
    this.title.icon = runsIcon;
    this.title.closable = true;
    this.addClass('nbops-page');
    options.model.projectChanged.connect(this._onChange, this);
    void this.refresh();
  }

  get path(): string {
    return this.options.path;
  }

  get runId(): string {
    return this.options.runId;
  }

  /** Fetch the run again. */
  async refresh(): Promise<void> {
    let detail: Loadable<RunDetail>;
    try {
      detail = ready(await this.options.model.source.run(this.path, this.runId));
    } catch (error) {
      detail = failed(problemOf(error));
    }
    if (this.isDisposed) {
      return;
    }
    this._detail = detail;
    if (detail.kind === 'ready') {
      this.title.label = detail.value.summary.name;
      this.title.caption = `Run ${this.runId}`;
    }
    this.update();
  }

  protected override render(): React.JSX.Element {
    switch (this._detail.kind) {
      case 'loading':
        return <Loading what="the run" />;
      case 'failed':
        return <Failed problem={this._detail.problem} retry={() => void this.refresh()} />;
      case 'ready':
        return <RunContent detail={this._detail.value} openNotebook={this.options.openNotebook} />;
    }
  }

  private _onChange(_: ProjectModel, change: Change): void {
    const mine = this.options.root === null || this.options.root === change.root;
    const done = this._detail.kind === 'ready' && this._detail.value.summary.status !== 'RUNNING';
    if (mine && !done && change.changed.includes('runs')) {
      void this.refresh();
    }
  }

  private _detail: Loadable<RunDetail> = LOADING;
}
