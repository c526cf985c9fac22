// The badges of one open notebook: asks the server for the last execution of each cell, and keeps the cells' badges true
// while cells are added, moved, edited and run.
import type { Cell, ICodeCellModel } from '@jupyterlab/cells';
import type { NotebookPanel } from '@jupyterlab/notebook';
import { Debouncer } from '@lumino/polling';

import type { CellBadge, Change } from '../api/schema';
import { badgeFace } from '../model/badge';
import { problemOf } from '../model/loadable';
import type { ProjectModel } from '../model/project';
import { showBadge } from './element';

const SETTLE_MS = 60;

export class NotebookBadges {
  constructor(
    private readonly panel: NotebookPanel,
    private readonly model: ProjectModel,
    private readonly localPath: (path: string) => string,
    private readonly open: (run: string) => void
  ) {
    this._draw = new Debouncer(() => this._drawAll(), SETTLE_MS);
    panel.disposed.connect(this._dispose, this);
    panel.content.modelContentChanged.connect(this._redraw, this);
    panel.content.cellInViewportChanged?.connect(this._redraw, this);
    panel.context.pathChanged.connect(this._fetchAgain, this);
    panel.sessionContext.statusChanged.connect(this._onStatus, this);
    model.projectChanged.connect(this._onChange, this);
    void this.fetch();
  }

  /** Ask the server again. */
  async fetch(): Promise<void> {
    const turn = ++this._turn;
    try {
      const badges = await this.model.source.cells(this.localPath(this.panel.context.path));
      if (turn !== this._turn || this.panel.isDisposed) {
        return;
      }
      this._badges = new Map(badges.map(badge => [badge.cell_id, badge]));
    } catch (error) {
      console.warn('nbops: no badges:', problemOf(error).message);
      return;
    }
    this._redraw();
  }

  /** The last run that a cell made. */
  runOf(cellId: string): string | null {
    return this._badges.get(cellId)?.runs.at(-1) ?? null;
  }

  private _drawAll(): void {
    if (this.panel.isDisposed) {
      return;
    }
    for (const cell of this.panel.content.widgets) {
      if (cell.model.type === 'code') {
        this._drawOne(cell);
      }
    }
  }

  private _drawOne(cell: Cell): void {
    const badge = this._badges.get(cell.model.id);
    if (badge && !this._known.has(cell)) {
      this._known.add(cell);
      (cell.model as ICodeCellModel).stateChanged.connect(this._redraw, this);
      void cell.ready.then(() => this._redraw());
    }
    const edited = (cell.model as ICodeCellModel).isDirty;
    showBadge(cell, badge ? badgeFace(badge, edited) : null, this.open);
  }

  private _onChange(_: ProjectModel, change: Change): void {
    if (change.changed.includes('cells')) {
      void this.fetch(); // a notebook of another project costs one small request
    }
  }

  private _onStatus(_: unknown, status: string): void {
    if (['dead', 'autorestarting', 'restarting', 'terminating'].includes(status)) {
      void this.fetch(); // a killed kernel writes nothing that would tell
    }
  }

  private _fetchAgain(): void {
    void this.fetch();
  }

  private _redraw(): void {
    if (this.panel.isDisposed) {
      return;
    }
    void this._draw.invoke();
  }

  private _dispose(): void {
    this._draw.dispose();
    this.model.projectChanged.disconnect(this._onChange, this);
  }

  private _turn = 0;
  private _badges = new Map<string, CellBadge>();
  private readonly _known = new WeakSet<Cell>();
  private readonly _draw: Debouncer;
}
