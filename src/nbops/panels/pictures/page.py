"""Comparisons as HTML: a fragment for a notebook's output, or a page of its own that needs nothing else.

Every text is escaped; there is no script. `Pictured` is what a cell shows: its text where HTML can't be.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from nbops.panels.pictures import svg
from nbops.panels.pictures.charts import Bar, change_bars, curves, parallel
from nbops.panels.pictures.style import SERIES, css
from nbops.tracking.comparison.compare import Overview, Row
from nbops.tracking.comparison.data import described
from nbops.tracking.comparison.differences import CellChange, Change, Comparison, RunLabel
from nbops.tracking.comparison.directions import direction, verdict
from nbops.tracking.comparison.samples import is_of_fold
from nbops.tracking.comparison.significance import PairedTest, sentence
from nbops.tracking.schema import VERSION_KINDS, Point, RunSummary

Histories = Mapping[str, Mapping[str, Sequence[Point]]]
_MOST_BARS = 40
_ALONE = "svg.nbops { background: var(--nb-surface); }\n"


@dataclass(frozen=True, slots=True)
class Pictured:
    """HTML with a text beside it."""

    html: str
    text: str

    def _repr_mimebundle_(self, **_options: Any) -> dict[str, str]:
        return {"text/html": f"<style>{css()}</style>{self.html}", "text/plain": self.text}


def page(title: str, body: str) -> str:
    """Return a whole page around a fragment."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)}</title><style>{css()}\n"
        "body.nbops { background: var(--nb-surface); margin: 2rem auto; padding: 0 1rem; }</style></head>"
        f'<body class="nbops">{body}</body></html>\n'
    )


def alone(picture: str) -> str:
    """Return a picture as a file of its own, which brings its colours."""
    head, _, rest = picture.partition(">")
    style = escape(_ALONE + css(page=False), quote=False)
    return f"{head.replace('nbops-picture', 'nbops-picture nbops')}><style>{style}</style>{rest}\n"


def comparison(found: Comparison, histories: Histories | None = None) -> str:
    """Return in what two runs differ, as a fragment."""
    labels = [found.before, found.after]
    parts = [f"<h2>{_name(found.before)} <span class='nb-quiet'>→</span> {_name(found.after)}</h2>", _runs(labels)]
    if found.same:
        parts.append("<p>No difference.</p>")
    parts.append(_section("Metrics", metric_bars(found), _metrics(found), _tests(found.tests)))
    parts.append(_section("Histories", _curves(histories or {}, labels)))
    parts.append(_section("Params", _changes(found.params)))
    parts.append(_section("Data", *(_data(change) for change in found.data)))
    packages = [(change.name, change.kind, change.before, change.after) for change in found.environment]
    parts.append(_section("Environment", _table(("package", "", "before", "after"), packages)))
    models = [(change.name, _model(change.before), _model(change.after)) for change in found.models]
    parts.append(_section("Models", _table(("variable", "before", "after"), models)))
    parts.append(_section("Modules", _changes(found.modules)))
    parts.append(_section("Code", _code(found.code)))
    return f'<div class="nbops">{"".join(parts)}</div>'


def overview(
    found: Overview, runs: Sequence[RunSummary], configured: Mapping[str, str], histories: Histories | None = None
) -> str:
    """Return several runs side by side, as a fragment."""
    heads = [f"{run.name} {run.run_id[:8]}" for run in runs]
    params = [row for row in found.params if row.differs]
    parts = [
        f"<h2>{len(runs)} runs</h2>",
        _runs(found.runs),
        _section("All at once", _scrolled(parallel(runs))),
        _section(
            f"Metrics against {runs[0].name}",
            _against_first(found, configured),
            _matrix(heads, [row for row in found.metrics if not is_of_fold(row.name)], right=True),
        ),
        _section("Histories", _curves(histories or {}, found.runs)),
        _section("Params that differ", _matrix(heads, params)),
    ]
    return f'<div class="nbops">{"".join(parts)}</div>'


def table_of_runs(runs: Sequence[RunSummary], title: str, baseline: str | None = None) -> str:
    """Return a table of runs with their parallel coordinates, as a fragment."""
    counts = Counter(name for run in runs for name in run.metrics if not is_of_fold(name))
    metrics = sorted(counts, key=lambda name: (name.startswith("training_"), -counts[name], name))[:6]
    heads = ("run", "status", "started", *metrics, *VERSION_KINDS)
    rows = []
    for run in runs:
        mark = " <span class='nb-mark'>baseline</span>" if run.run_id == run.baseline else ""
        cells = [
            f"<td><code>{run.run_id[:8]}</code> {escape(run.name)}{mark}</td>",
            f"<td class=nb-word>{escape(run.status.lower())}</td>",
            f"<td class=nb-word>{time.strftime('%Y-%m-%d %H:%M', time.localtime(run.started))}</td>",
            *(_judged(run, name) for name in metrics),
            *(f"<td><code>{escape(getattr(run.versions, kind) or '–')}</code></td>" for kind in VERSION_KINDS),
        ]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    body = f'<div class="nb-scroll"><table class="nb"><tr>{head}</tr>{"".join(rows)}</table></div>'
    drawn = _section("All at once", _scrolled(parallel(runs, baseline=baseline)))
    return f'<div class="nbops"><h2>{escape(title)}</h2>{drawn}<h3>Runs</h3>{body}</div>'


def picture_of(found: Comparison | Overview, runs: Sequence[RunSummary], configured: Mapping[str, str]) -> str:
    """Return the one picture that says most: metrics of two runs as bars, of more against the first one."""
    if isinstance(found, Comparison):
        return metric_bars(found)
    return _against_first(found, configured) or parallel(runs)


def metric_bars(found: Comparison) -> str:
    """Return the picture of two runs' metrics, empty if none can be compared."""
    bars = [
        Bar(change.name, change.before, change.after, change.verdict)
        for change in found.metrics
        if not is_of_fold(change.name) and change.before is not None and change.after is not None and change.verdict
    ]
    return change_bars(bars[:_MOST_BARS], f"{found.after.name} against {found.before.name}") if bars else ""


def _against_first(found: Overview, configured: Mapping[str, str]) -> str:
    bars = []
    for row in found.metrics:
        first = row.values[0]
        for run, value in list(zip(found.runs, row.values, strict=True))[1:]:
            if isinstance(first, float) and isinstance(value, float) and not is_of_fold(row.name):
                told = verdict(first, value, direction(row.name, configured))
                bars.append(Bar(row.name, first, value, told, run.name))
    return change_bars(bars[:_MOST_BARS], f"against {found.runs[0].name}") if bars else ""


def _curves(histories: Histories, runs: Sequence[RunLabel]) -> str:
    if not histories:
        return ""
    keys = "".join(
        f'<span class="nb-key nb-s{number % SERIES}"></span>{escape(run.name)} <code>{run.run_id[:8]}</code>&ensp;'
        for number, run in enumerate(runs)
    )
    drawn = "".join(curves(metric, series) for metric, series in histories.items())
    return f'<p>{keys}</p><div class="nb-row">{drawn}</div>'


def _runs(runs: Sequence[RunLabel]) -> str:
    rows = []
    for run in runs:
        cells = [
            f"<td><code>{run.run_id[:8]}</code></td><td>{escape(run.name)}</td><td>{escape(run.status.lower())}</td>"
        ]
        for kind in VERSION_KINDS:
            own = getattr(run.versions, kind)
            differs = any(getattr(other.versions, kind) != own for other in runs)
            cells.append(f"<td{' class=nb-differs' if differs else ''}><code>{escape(own or '–')}</code></td>")
        rows.append(f"<tr>{''.join(cells)}</tr>")
    head = "".join(f"<th>{name}</th>" for name in ("run", "name", "status", *VERSION_KINDS))
    return f'<div class="nb-scroll"><table class="nb"><tr>{head}</tr>{"".join(rows)}</table></div>'


def _metrics(found: Comparison) -> str:
    rows = []
    for change in [change for change in found.metrics if not is_of_fold(change.name)] or found.metrics:
        told = change.verdict or ""
        numbers = "".join(
            f'<td class="nb-number">{"–" if value is None else f"{value:.6g}"}</td>'
            for value in (change.before, change.after)
        )
        rows.append(f'<tr><td>{escape(change.name)}</td>{numbers}<td class="nb-{told}-text">{told}</td></tr>')
    head = "<tr><th>metric</th><th>before</th><th>after</th><th></th></tr>"
    return f'<table class="nb">{head}{"".join(rows)}</table>' if rows else ""


def _tests(tests: Iterable[PairedTest]) -> str:
    by_result: dict[str, list[str]] = {}
    for test in tests:
        by_result.setdefault(sentence(test), []).append(test.metric)
    rows = [(", ".join(names), text) for text, names in by_result.items()]
    return _table(("metric", "by chance?"), rows)


def _data(change: Any) -> str:
    rows = list(described(change).items())
    return f"<p><b>{escape(change.source)}</b> {change.kind}</p>{_table((), rows)}"


def _changes(changes: Iterable[Change]) -> str:
    return _table(("name", "before", "after"), [(change.name, change.before, change.after) for change in changes])


def _matrix(heads: Sequence[str], rows: Sequence[Row], *, right: bool = False) -> str:
    lines = []
    for row in rows:
        usual = Counter(map(str, row.values)).most_common(1)[0][0]
        cells = []
        for value in row.values:
            kind = "nb-number" if right else "nb-differs" if row.differs and str(value) != usual else ""
            cells.append(f'<td class="{kind}">{escape(_text(value))}</td>')
        lines.append(f"<tr><td>{escape(row.name)}</td>{''.join(cells)}</tr>")
    head = "".join(f"<th>{escape(name)}</th>" for name in ("", *heads))
    return f'<div class="nb-scroll"><table class="nb"><tr>{head}</tr>{"".join(lines)}</table></div>' if lines else ""


def _code(cells: Sequence[CellChange]) -> str:
    parts = []
    for cell in cells:
        if cell.kind == "same":
            continue
        place = (
            f"{cell.before} → {cell.after}"
            if cell.before and cell.after and cell.before != cell.after
            else cell.after or cell.before
        )
        parts.append(f"<p><b>cell {place}</b> {cell.kind}</p>")
        if cell.diff:
            lines = "".join(f"<span{_diff_class(text)}>{escape(text)}</span>" for text in cell.diff.split("\n"))
            parts.append(f"<pre>{lines}</pre>")
    same = sum(cell.kind == "same" for cell in cells)
    if parts and same:
        parts.append(f'<p class="nb-quiet">{same} {"cell is" if same == 1 else "cells are"} the same.</p>')
    return "".join(parts)


def _diff_class(line: str) -> str:
    kind = {"+": "plus", "-": "minus", "@": "at"}.get(line[:1])
    return f' class="nb-{kind}"' if kind else ""


def _table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = "".join("<tr>" + "".join(f"<td>{escape(_text(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    head = "<tr>" + "".join(f"<th>{escape(name)}</th>" for name in heads) + "</tr>" if heads else ""
    return f'<div class="nb-scroll"><table class="nb">{head}{lines}</table></div>' if lines else ""


def _judged(run: RunSummary, metric: str) -> str:
    if metric not in run.metrics:
        return '<td class="nb-number">–</td>'
    told = run.against.get(metric, "") if run.run_id != run.baseline else ""
    sign = {"better": " ▲", "worse": " ▼"}.get(told, "")
    return f'<td class="nb-number nb-{told}-text">{svg.short(run.metrics[metric])}{sign}</td>'


def _section(title: str, *parts: str) -> str:
    body = "".join(parts)
    return f"<section><h3>{escape(title)}</h3>{body}</section>" if body else ""


def _scrolled(picture: str) -> str:
    return f'<div class="nb-scroll">{picture}</div>' if picture else ""


def _name(run: RunLabel) -> str:
    return f"{escape(run.name)} <code>{run.run_id[:8]}</code>"


def _model(model: Mapping[str, Any] | None) -> str:
    return "–" if model is None else ", ".join(f"{key} {value}" for key, value in model.items())


def _text(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
