"""How the faces print: tables for people, JSON for machines, colours only on a terminal."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from nbops.tracking.schema import VERSION_KINDS, RunSummary, Versions

if TYPE_CHECKING:
    from rich.table import Table

_WIDEST = 24
_WITHOUT_TERMINAL = 200
_VERDICTS = {"better": ("green", "▲"), "worse": ("red", "▼"), "same": ("dim", "="), "different": ("", "≠")}
_STATUS_STYLE = {"FINISHED": "green", "FAILED": "red", "KILLED": "red", "RUNNING": "yellow"}


def print_json(value: Any) -> None:
    """Print dataclasses and plain values as indented JSON."""
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))


def width() -> int:
    """Return how wide tables may be: the terminal, or wide enough for all on anything but one."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else _WITHOUT_TERMINAL


def in_notebook() -> bool:
    """Whether a cell of a notebook is asking, which can show more than text."""
    if "IPython" not in sys.modules:
        return False
    from IPython.core.getipython import get_ipython

    return getattr(get_ipython(), "kernel", None) is not None


def print_table(table: Table) -> None:
    """Print a table; on anything but a terminal it is as wide as its content."""
    from rich.console import Console

    Console(width=width(), highlight=False).print(table)


def plain_table(title: str, *columns: str) -> Table:
    """Return an empty table in the house's style; a column whose name starts with ``>`` is right-aligned."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(title=title or None, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column.lstrip(">"), justify="right" if column.startswith(">") else "left", overflow="fold")
    return table


def status_text(status: str) -> str:
    """Return a run's status in its colour, as rich markup."""
    style = _STATUS_STYLE.get(status)
    return f"[{style}]{status}[/{style}]" if style else status


def verdict_text(verdict: str | None, *, word: bool = True) -> str:
    """Return better, worse, same or different with its sign and colour, as rich markup."""
    if verdict is None:
        return ""
    style, sign = _VERDICTS[verdict]
    text = f"{sign} {verdict}" if word else sign
    return f"[{style}]{text}[/{style}]" if style else text


def ago(moment: float) -> str:
    """Return a time as people say it: ``12 s ago``, ``3 h ago``, or the date."""
    seconds = max(0.0, time.time() - moment)
    for size, unit in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= size:
            days = unit == "d" and seconds >= 7 * size
            return time.strftime("%Y-%m-%d", time.localtime(moment)) if days else f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


def took(run: RunSummary) -> str:
    """Return how long a run took."""
    return "" if run.ended is None else f"{run.ended - run.started:.1f} s"


def number(value: float) -> str:
    """Return a metric with six significant digits."""
    return f"{value:.6g}"


def versions_text(versions: Versions) -> str:
    """Return the five digests in their order, a dash for one that isn't there."""
    return " ".join(getattr(versions, kind) or "-" for kind in VERSION_KINDS)


def pairs(values: Sequence[tuple[str, str]], limit: int = 4) -> str:
    """Return ``a=1 b=2 …`` for at most `limit` pairs, long values cut."""
    shown = " ".join(f"{key}={_cut(value)}" for key, value in values[:limit])
    return f"{shown} …" if len(values) > limit else shown


def metrics_text(run: RunSummary, names: Sequence[str], limit: int = 4) -> str:
    """Return ``a=1▲ b=2 …`` as rich markup: each with how it compares with the baseline, where there is one."""
    from rich.markup import escape

    texts = []
    for name in names[:limit]:
        told = run.against.get(name) if run.run_id != run.baseline else None
        sign = verdict_text(told, word=False) if told in ("better", "worse") else ""
        texts.append(f"{escape(name)}={number(run.metrics[name])}{sign}")
    return " ".join(texts) + (" …" if len(names) > limit else "")


def _cut(value: str) -> str:
    line = " ".join(value.split())
    return line if len(line) <= _WIDEST else f"{line[: _WIDEST - 1]}…"
