"""A table of runs as plain HTML, for where no widget can live: a saved notebook, a web page, a mail.

Every text is escaped, nothing is styled beyond what a notebook does with tables by itself, and no script is needed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from html import escape

from nbops.tracking.schema import VERSION_KINDS, RunSummary


def key_metrics(runs: Sequence[RunSummary], most: int = 3) -> list[str]:
    """Return the metrics that most runs have, those of training last."""
    counts = Counter(name for run in runs for name in run.metrics)
    return sorted(counts, key=lambda name: (name.startswith("training_"), -counts[name], name))[:most]


def table(runs: Sequence[RunSummary], caption: str) -> str:
    """Return the runs as an HTML table."""
    metrics = key_metrics(runs)
    heads = ["run", "status", "started", *metrics, *VERSION_KINDS]
    lines = [
        "<table>",
        f"<caption>{escape(caption)}</caption>",
        f"<thead><tr>{_cells('th', heads)}</tr></thead>",
        "<tbody>",
        *(f"<tr>{_cells('td', _row(run, metrics))}</tr>" for run in runs),
        "</tbody>",
        "</table>",
    ]
    return "\n".join(lines)


def _row(run: RunSummary, metrics: Sequence[str]) -> list[str]:
    started = datetime.fromtimestamp(run.started, UTC).strftime("%Y-%m-%d %H:%M:%S")
    figures = [f"{run.metrics[name]:.4g}{_sign(run, name)}" if name in run.metrics else "–" for name in metrics]
    versions = [digest or "–" for digest in asdict(run.versions).values()]
    name = f"{run.name} (baseline)" if run.run_id == run.baseline else run.name
    return [name, run.status.lower(), started, *figures, *versions]


def _sign(run: RunSummary, metric: str) -> str:
    if run.run_id == run.baseline:
        return ""
    return {"better": " ▲", "worse": " ▼"}.get(run.against.get(metric, ""), "")


def _cells(tag: str, texts: Sequence[str]) -> str:
    return "".join(f"<{tag}>{escape(text)}</{tag}>" for text in texts)
