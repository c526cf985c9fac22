// REST: one method a route of `nbops.lab.routes`. A refusal becomes `RequestFailed` with the server's own words.
import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

import { RequestFailed } from '../model/loadable';
import type { Source } from '../model/project';
import type { CellBadge, Problem, ProjectInfo, RunDetail, RunPage } from './schema';

export class ApiClient implements Source {
  constructor(private readonly settings: ServerConnection.ISettings) {}

  project(path: string): Promise<ProjectInfo> {
    return this.get<ProjectInfo>('project', { path });
  }

  runs(path: string): Promise<RunPage> {
    return this.get<RunPage>('runs', { path });
  }

  run(path: string, ref: string): Promise<RunDetail> {
    return this.get<RunDetail>(`runs/${encodeURIComponent(ref)}`, { path });
  }

  cells(notebook: string): Promise<CellBadge[]> {
    return this.get<CellBadge[]>('cells', { notebook });
  }

  private async get<T>(route: string, query: Record<string, string>): Promise<T> {
    const url =
      URLExt.join(this.settings.baseUrl, 'nbops/api', route) + URLExt.objectToQueryString(query);
    let response: Response;
    try {
      response = await ServerConnection.makeRequest(url, {}, this.settings);
    } catch {
      throw new RequestFailed(
        {
          message: "The Jupyter server doesn't answer",
          where: '',
          remedy: 'Check that it still runs.'
        },
        0
      );
    }
    const text = await response.text();
    if (!response.ok) {
      throw new RequestFailed(refusal(text, response), response.status);
    }
    return JSON.parse(text) as T;
  }
}

function refusal(text: string, response: Response): Problem {
  const said = parsed(text);
  if (typeof said['message'] === 'string' && typeof said['remedy'] === 'string') {
    return { message: said['message'], where: String(said['where'] ?? ''), remedy: said['remedy'] };
  }
  if (response.status === 404) {
    return {
      message: 'The server part of nbops is not there',
      where: '',
      remedy: "Install nbops in the Jupyter server's own environment and start it again."
    };
  }
  const message = typeof said['message'] === 'string' ? said['message'] : response.statusText;
  return {
    message,
    where: `HTTP ${response.status}`,
    remedy: "The Jupyter server's log says more."
  };
}

function parsed(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
