"""How a pipeline run looks while it runs: a live table on a terminal, plain lines everywhere else.

Rich is imported when the first stage is executed on a terminal, so that a run with nothing to do prints its lines and
is gone. Without a terminal, or with ``NO_COLOR``, there are no colours and no cursor movements.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

from nbops.pipeline.events import Event, PipelineResult

if TYPE_CHECKING:
    from rich.console import Group

_MARKS = {
    "executed": "✓",
    "cached": "·",
    "failed": "✗",
    "skipped": "–",
    "cancelled": "✗",
    "timeout": "✗",
    "started": "▸",
    "": " ",
}
_STYLES = {"executed": "green", "cached": "dim", "failed": "bold red", "skipped": "yellow", "cancelled": "red"}
_STYLES["timeout"] = _STYLES["failed"]
_FAILURES = ("failed", "timeout")
_PLAIN_PROGRESS_S = 10.0
_WIDEST_NAME = 24
_BESIDE_NAME_AND_REMARK = 38  # mark, state, cell i of n, elapsed, and the gaps


@dataclass(slots=True)
class _Row:
    state: str = ""
    cell: int = 0
    cells: int = 0
    began: float = 0.0
    seconds: float = 0.0
    text: str = ""
    told: float = 0.0


class Display:
    """Shows the events of a run; used as a context manager around it.

    Parameters
    ----------
    stages
        The names of the stages, in order.
    stream
        Where to; standard output when None.
    """

    def __init__(self, stages: Iterable[str] = (), stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._rows = {name: _Row() for name in stages}
        self._notes: list[str] = []
        self._terminal = self._stream.isatty() and os.environ.get("TERM") != "dumb"
        self._live: Any = None

    def __enter__(self) -> Display:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if not event.stage:
            self._note(event.text)
            return
        row = self._rows.setdefault(event.stage, _Row())
        if event.kind == "note":
            self._note(f"{event.stage}: {event.text}")
            return
        if event.kind == "cell":
            row.cell, row.cells = event.cell, event.cells
        else:
            row.state, row.seconds, row.text = event.kind, event.seconds, event.text.split("\n")[0]
        if event.kind == "started":
            row.began = row.told = time.monotonic()
            if self._terminal and self._live is None:
                self._go_live()
        if self._live is None:
            self._line(event, row)

    def finish(self, result: PipelineResult) -> None:
        """Say how the run ended: errors in full, then one line."""
        self.__exit__(None, None, None)
        for stage in result.stages:
            if stage.outcome in _FAILURES:
                self._write(f"\n{stage.error}")
        if any(stage.outcome in _FAILURES for stage in result.stages):
            self._write("")
        counts = [
            f"{sum(stage.outcome == kind for stage in result.stages)} {kind}"
            for kind in ("executed", "cached", "failed", "timeout", "skipped")
            if any(stage.outcome == kind for stage in result.stages)
        ]
        run = f" · run {result.run_id[:8]}" if result.run_id else ""
        self._write(f"{result.pipeline}: {', '.join(counts)} in {_duration(result.seconds)}{run}")

    def _line(self, event: Event, row: _Row) -> None:
        if event.kind == "cell":
            if time.monotonic() - row.told < _PLAIN_PROGRESS_S:
                return
            row.told = time.monotonic()
            what = f"cell {row.cell} of {row.cells}"
        else:
            what = event.kind + (f" in {_duration(row.seconds)}" if row.seconds else "")
        about = f" ({row.text})" if row.text and event.kind != "cell" else ""
        self._write(f"{_MARKS.get(event.kind, '▸')} {event.stage:<{self._width}}  {what}{about}")

    def _note(self, text: str) -> None:
        if self._live is not None:
            self._notes.append(text)
        else:
            self._write(f"  {text}")

    def _write(self, text: str) -> None:
        print(text, file=self._stream, flush=True)

    @property
    def _width(self) -> int:
        return max((len(name) for name in self._rows), default=0)

    def _go_live(self) -> None:
        from rich.console import Console
        from rich.live import Live

        console = Console(file=self._stream)
        self._live = Live(get_renderable=lambda: self._table(console.width), console=console, refresh_per_second=8)
        self._live.start()

    def _table(self, width: int) -> Group:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, padding=(0, 2, 0, 0), show_header=True, header_style="dim")
        for title in ("", "stage", "state", "cell"):
            table.add_column(title, no_wrap=True)
        table.add_column("elapsed", justify="right", no_wrap=True)
        table.add_column("", no_wrap=True, style="dim")
        name_width = min(self._width, _WIDEST_NAME)
        # remarks get what the others leave: rich would take from every column alike
        remark_width = max(0, width - name_width - _BESIDE_NAME_AND_REMARK)
        for name, row in self._rows.items():
            running = row.state == "started"
            seconds = time.monotonic() - row.began if running else row.seconds
            table.add_row(
                _MARKS.get(row.state, " "),
                _escape(_cut(name, name_width)),
                "running" if running else row.state or "waiting",
                f"{row.cell} of {row.cells}" if row.cells else "",
                _duration(seconds) if seconds else "",
                _escape(_cut(row.text, remark_width)),
                style="cyan" if running else _STYLES.get(row.state, ""),
            )
        # notes stand below the table: as a row, a long one would take the room of the columns
        return Group(table, *(Text(f"  {note}", style="dim") for note in self._notes))


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: max(0, width - 1)]}…" if width else ""


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
