import { describe, expect, it } from 'vitest';

import type { ProjectInfo, RunPage } from '../src/api/schema';
import { keepLive } from '../src/model/live';
import { RequestFailed } from '../src/model/loadable';
import { ProjectModel, type Source } from '../src/model/project';
import { sampleDetail, sampleRun } from './samples';

/** A server of two projects, whose answers can be held back. */
class TwoProjects implements Source {
  asked = 0;
  broken = false;
  gate: Promise<void> = Promise.resolve();

  async project(path: string): Promise<ProjectInfo> {
    const root = path.split('/')[0] ?? '';
    return { name: root, root, served: '', experiment: root, tracked: true };
  }

  async runs(path: string): Promise<RunPage> {
    this.asked += 1;
    const answer = { runs: [sampleRun(path)], more: false };
    await this.gate;
    if (this.broken) {
      throw new RequestFailed({ message: 'locked', where: 'mlflow.db', remedy: 'wait' }, 500);
    }
    return answer;
  }

  run = async () => sampleDetail();
  cells = async () => [];
}

const shown = (model: ProjectModel): string[] | string =>
  model.state.runs.kind === 'ready'
    ? model.state.runs.value.runs.map(run => run.run_id)
    : model.state.runs.kind;

const settle = (ms = 0): Promise<void> => new Promise(resolve => setTimeout(resolve, ms));

describe('ProjectModel', () => {
  it('shows the runs of the project that the path lies in', async () => {
    const model = new ProjectModel(new TwoProjects());
    expect(shown(model)).toBe('loading');
    await model.follow('flights/a.ipynb');
    expect(shown(model)).toEqual(['flights/a.ipynb']);
  });

  it('does not ask again for another notebook of the same project', async () => {
    const source = new TwoProjects();
    const model = new ProjectModel(source);
    await model.follow('flights/a.ipynb');
    await model.follow('flights/b.ipynb');
    expect(source.asked).toBe(1);
    expect(model.path).toBe('flights/b.ipynb');
  });

  it('drops an answer that comes after the user went on', async () => {
    const source = new TwoProjects();
    const model = new ProjectModel(source);
    let release = (): void => undefined;
    source.gate = new Promise(resolve => (release = resolve));
    const slow = model.follow('flights/a.ipynb');
    await settle();
    source.gate = Promise.resolve();
    await model.follow('crickets/b.ipynb');
    release();
    await slow;
    expect(shown(model)).toEqual(['crickets/b.ipynb']);
    expect(model.state.busy).toBe(false);
  });

  it('says why the server refused, and recovers', async () => {
    const source = new TwoProjects();
    const model = new ProjectModel(source);
    source.broken = true;
    await model.follow('flights/a.ipynb');
    expect(model.state.runs).toEqual({
      kind: 'failed',
      problem: { message: 'locked', where: 'mlflow.db', remedy: 'wait' }
    });
    source.broken = false;
    await model.refresh();
    expect(shown(model)).toEqual(['flights/a.ipynb']);
  });

  it('asks nothing before it was told what to follow', async () => {
    const source = new TwoProjects();
    await new ProjectModel(source).refresh();
    expect(source.asked).toBe(0);
  });
});

describe('keepLive', () => {
  it('fetches soon after a change in this project, once for many', async () => {
    const source = new TwoProjects();
    const model = new ProjectModel(source);
    keepLive(model, 10);
    await model.follow('flights/a.ipynb');
    for (let i = 0; i < 5; i++) {
      model.notice({ root: 'flights', changed: ['runs'] });
    }
    model.notice({ root: 'crickets', changed: ['runs'] });
    await settle(60);
    expect(source.asked).toBe(2);
  });
});
