// The runs plugin: the model of the project in front, the side panel, and the pages of runs.
import {
  ILayoutRestorer,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette, MainAreaWidget, WidgetTracker } from '@jupyterlab/apputils';
import { INotebookTracker, type NotebookPanel } from '@jupyterlab/notebook';
import { Poll } from '@lumino/polling';

import { ApiClient } from '../api/client';
import { onChange } from '../api/events';
import { CATEGORY, CommandIDs } from '../commands';
import { keepLive } from '../model/live';
import { servedPath } from '../model/paths';
import { ProjectModel } from '../model/project';
import { INbops } from '../token';
import { runsIcon } from './icons';
import { RunsPanel } from './panel';
import { RunPage } from './runPage';

const PANEL_RANK = 150;
// Events tell of everything in the default store; a remote MLflow server tells nothing, so it is asked now and then.
const ASK_AGAIN_MS = 30_000;

export const runsPlugin: JupyterFrontEndPlugin<ProjectModel> = {
  id: 'nbops-lab:runs',
  description: "A side panel with the project's runs, and a page for each run.",
  autoStart: true,
  provides: INbops,
  requires: [INotebookTracker],
  optional: [ILayoutRestorer, ICommandPalette],
  activate
};

function activate(
  app: JupyterFrontEnd,
  notebooks: INotebookTracker,
  restorer: ILayoutRestorer | null,
  palette: ICommandPalette | null
): ProjectModel {
  const { commands, serviceManager, shell } = app;
  const model = new ProjectModel(new ApiClient(serviceManager.serverSettings));
  onChange(serviceManager.events, change => model.notice(change));
  keepLive(model);
  const polling = new Poll({
    auto: false,
    factory: () => model.refresh(),
    frequency: { interval: ASK_AGAIN_MS, backoff: true, max: 10 * ASK_AGAIN_MS },
    standby: 'when-hidden'
  });

  const localPath = (path: string): string => serviceManager.contents.localPath(path);
  const follow = (panel: NotebookPanel | null): void =>
    void model.follow(panel ? localPath(panel.context.path) : model.path);
  notebooks.currentChanged.connect((_, panel) => follow(panel));
  void app.restored.then(() => {
    follow(notebooks.currentWidget);
    return polling.start();
  });

  const panel = new RunsPanel(
    model,
    run => void commands.execute(CommandIDs.openRun, { runId: run.run_id, path: model.path })
  );
  shell.add(panel, 'left', { rank: PANEL_RANK });
  restorer?.add(panel, panel.id);

  const pages = new WidgetTracker<MainAreaWidget<RunPage>>({ namespace: 'nbops-run' });
  const openNotebook = async (notebook: string, cellId: string | null): Promise<void> => {
    const project = model.state.project;
    const path = project.kind === 'ready' ? servedPath(project.value, notebook) : null;
    if (path === null) {
      return;
    }
    const opened = (await commands.execute('docmanager:open', { path })) as NotebookPanel;
    await opened.context.ready;
    await opened.revealed;
    const index = opened.content.widgets.findIndex(cell => cell.model.id === cellId);
    if (index >= 0) {
      opened.content.activeCellIndex = index;
      await opened.content.scrollToItem(index, 'center');
    }
  };

  commands.addCommand(CommandIDs.showRuns, {
    label: 'Show Runs',
    icon: runsIcon,
    execute: () => shell.activateById(panel.id)
  });
  commands.addCommand(CommandIDs.refreshRuns, {
    label: 'Refresh Runs',
    execute: () => model.refresh()
  });
  commands.addCommand(CommandIDs.openRun, {
    label: 'Open Run…',
    isVisible: args => typeof args['runId'] === 'string',
    execute: async args => {
      const runId = args['runId'];
      if (typeof runId !== 'string') {
        return;
      }
      const known = pages.find(page => page.content.runId === runId);
      if (known) {
        shell.activateById(known.id);
        return;
      }
      const project = model.state.project;
      const content = new RunPage({
        model,
        path: typeof args['path'] === 'string' ? args['path'] : model.path,
        runId,
        root: project.kind === 'ready' ? project.value.root : null,
        openNotebook: (notebook, cellId) => void openNotebook(notebook, cellId)
      });
      const page = new MainAreaWidget({ content });
      page.id = `nbops-page-${runId}`;
      page.toolbar.hide();
      shell.add(page, 'main', args['mode'] === 'split-right' ? { mode: 'split-right' } : {});
      await pages.add(page);
      shell.activateById(page.id);
    }
  });
  for (const command of [CommandIDs.showRuns, CommandIDs.refreshRuns]) {
    palette?.addItem({ command, category: CATEGORY });
  }
  void restorer?.restore(pages, {
    command: CommandIDs.openRun,
    args: page => ({ runId: page.content.runId, path: page.content.path }),
    name: page => page.content.runId
  });
  return model;
}
