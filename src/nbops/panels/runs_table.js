// The table of runs in a notebook's output. It shows `page`, asks the kernel for changes every two seconds while it is
// in sight, and hides the static table that was put out beside it for times without a kernel.

const ASK_EVERY_MS = 2000;
const KINDS = ['code', 'data', 'model', 'environment', 'experiment'];

function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) {
      node.setAttribute(name, value);
    }
  }
  node.append(...children);
  return node;
}

function number(value) {
  if (value === null || value === undefined) {
    return '–';
  }
  return Number.isInteger(value) ? value.toLocaleString('en-US') : String(Number(value.toPrecision(4)));
}

function verdict(run, name) {
  const sign = run.run_id === run.baseline ? undefined : { better: ' ▲', worse: ' ▼' }[run.against[name]];
  const words = `${run.against[name]} than the baseline`;
  return sign ? [element('span', { class: 'nbops-verdict', 'data-verdict': run.against[name], title: words }, sign)] : [];
}

function row(run, metrics) {
  const started = new Date(run.started * 1000).toLocaleString();
  const status = run.status.toLowerCase();
  return element(
    'tr',
    { 'data-run': run.run_id, 'data-status': run.status },
    element(
      'td',
      { class: 'nbops-name', title: `${status}, ${run.run_id}` },
      element('span', { class: 'nbops-mark', role: 'img', 'aria-label': status }),
      run.run_id === run.baseline ? `${run.name} (baseline)` : run.name
    ),
    element('td', {}, started),
    ...metrics.map(name => element('td', { class: 'nbops-figure' }, number(run.metrics[name]), ...verdict(run, name))),
    ...KINDS.map(kind =>
      element('td', { class: 'nbops-digest', title: `${kind} version` }, run.versions[kind] ?? '–')
    )
  );
}

function table(page) {
  const heads = ['run', 'started', ...page.metrics, ...KINDS];
  return element(
    'table',
    { 'aria-label': `Runs of ${page.project}` },
    element('thead', {}, element('tr', {}, ...heads.map(head => element('th', { scope: 'col' }, head)))),
    element('tbody', {}, ...page.runs.map(run => row(run, page.metrics)))
  );
}

function body(page) {
  if (page.problem) {
    const { message, where, remedy } = page.problem;
    return element('p', { role: 'alert', class: 'nbops-problem' }, [where, message, remedy].filter(Boolean).join(' · '));
  }
  if (page.runs.length === 0) {
    return element('p', {}, 'No runs yet. Give a cell the first line ', element('code', {}, '%%nbops run first-try'), '.');
  }
  return table(page);
}

function hideStatic(twin) {
  for (const fallback of document.getElementsByClassName(twin)) {
    const output = fallback.closest('.jp-OutputArea-child') ?? fallback;
    output.style.display = 'none';
  }
}

function render({ model, el }) {
  const title = element('strong');
  const refresh = element('button', { type: 'button', title: 'Refresh the runs' }, 'Refresh');
  const place = element('div', { class: 'nbops-scroll' });
  el.classList.add('nbops-table');
  el.append(element('div', { class: 'nbops-bar' }, title, refresh), place);

  let waiting = false;
  const ask = what => {
    if (waiting) {
      return;
    }
    waiting = true;
    refresh.disabled = true;
    try {
      model.send({ ask: what });
    } catch {
      // the kernel ended or restarted, and its comms were closed: nobody will answer any more
      clearInterval(clock);
      refresh.title = 'The kernel that showed these runs has ended: run the cell again';
    }
  };
  const draw = () => {
    const page = model.get('page');
    const count = page.runs.length;
    title.textContent = `${page.project} · ${count} ${count === 1 ? 'run' : 'runs'}`;
    place.replaceChildren(body(page));
  };
  const answered = () => {
    waiting = false;
    refresh.disabled = false;
  };
  refresh.addEventListener('click', () => ask('now'));
  model.on('change:page', draw);
  model.on('msg:custom', answered);
  const clock = setInterval(() => {
    hideStatic(model.get('twin'));
    if (el.isConnected && document.visibilityState === 'visible') {
      ask('changed');
    }
  }, ASK_EVERY_MS);
  draw();
  requestAnimationFrame(() => hideStatic(model.get('twin')));

  return () => {
    clearInterval(clock);
    model.off('change:page', draw);
    model.off('msg:custom', answered);
  };
}

export default { render };
