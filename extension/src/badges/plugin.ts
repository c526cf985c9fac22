// The badges plugin: one `NotebookBadges` for each open notebook, and a command for the run of the selected cell.
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { INotebookTracker, type NotebookPanel } from '@jupyterlab/notebook';

import { CATEGORY, CommandIDs } from '../commands';
import type { ProjectModel } from '../model/project';
import { INbops } from '../token';
import { NotebookBadges } from './notebook';

export const badgesPlugin: JupyterFrontEndPlugin<void> = {
  id: 'nbops-lab:badges',
  description: 'A badge on every executed cell: the version of its code and how it ended.',
  autoStart: true,
  requires: [INbops, INotebookTracker],
  optional: [ICommandPalette],
  activate
};

function activate(
  app: JupyterFrontEnd,
  model: ProjectModel,
  notebooks: INotebookTracker,
  palette: ICommandPalette | null
): void {
  const { commands, serviceManager } = app;
  const localPath = (path: string): string => serviceManager.contents.localPath(path);
  const badges = new WeakMap<NotebookPanel, NotebookBadges>();
  const attach = (panel: NotebookPanel): void => {
    const openRun = (runId: string): void =>
      void commands.execute(CommandIDs.openRun, { runId, path: localPath(panel.context.path) });
    badges.set(panel, new NotebookBadges(panel, model, localPath, openRun));
  };
  notebooks.widgetAdded.connect((_, panel) => attach(panel));
  notebooks.forEach(attach);

  const runOfSelectedCell = (): string | null => {
    const panel = notebooks.currentWidget;
    const cell = panel?.content.activeCell;
    return panel && cell ? (badges.get(panel)?.runOf(cell.model.id) ?? null) : null;
  };
  commands.addCommand(CommandIDs.openCellRun, {
    label: 'Open the Run of the Selected Cell',
    isEnabled: () => runOfSelectedCell() !== null,
    execute: () => commands.execute(CommandIDs.openRun, { runId: runOfSelectedCell() })
  });
  notebooks.activeCellChanged.connect(() => commands.notifyCommandChanged(CommandIDs.openCellRun));
  palette?.addItem({ command: CommandIDs.openCellRun, category: CATEGORY });
}
