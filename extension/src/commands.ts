// Ids and words of the extension's commands.
export const CommandIDs = {
  showRuns: 'nbops:show-runs',
  refreshRuns: 'nbops:refresh-runs',
  openRun: 'nbops:open-run',
  openCellRun: 'nbops:open-cell-run'
} as const;

export const CATEGORY = 'nbops';
