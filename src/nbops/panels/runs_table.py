"""The table of runs as a widget in a notebook, live while its kernel lives.

The browser asks every few seconds, never twice before it was answered, so that a kernel busy with a long cell finds one
question waiting and not a thousand. The kernel looks at the project's traces first and asks MLflow only when something
was written. What a saved notebook shows is a static table, put out beside the widget; the widget hides it while alive.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import anywidget
import msgspec
import traitlets
from IPython.display import publish_display_data

from nbops.errors import NbopsError
from nbops.panels import static
from nbops.project import Project
from nbops.tracking.recording.traces import ProjectTraces
from nbops.tracking.schema import RunSummary
from nbops.tracking.store import Store

_HERE = Path(__file__).parent
_REMOTE_EVERY = 15.0


class RunsTable(anywidget.AnyWidget):  # type: ignore[misc]
    """A project's runs, newest first.

    Parameters
    ----------
    project
        Whose runs.
    limit
        How many at most.
    """

    _esm = _HERE / "runs_table.js"
    _css = _HERE / "runs_table.css"

    page = traitlets.Dict().tag(sync=True)
    twin = traitlets.Unicode().tag(sync=True)  # the CSS class of the static table beside this widget

    def __init__(self, project: Project, *, limit: int = 100) -> None:
        super().__init__(twin=f"nbops-static-{uuid4().hex}")
        self._store = Store(project)
        self._traces = ProjectTraces(project)
        self._local = project.tracking_uri.startswith("sqlite:///")
        self._asked = float("-inf")
        self._limit = limit
        self.runs: list[RunSummary] = []
        self.refresh()
        self.on_msg(_answer)

    def refresh(self) -> None:
        """Fetch the runs now."""
        project = self._store.project
        problem: dict[str, str] | None = None
        try:
            self.runs = self._store.runs(limit=self._limit, made_again=False) if self._store.exists else []
        except NbopsError as error:
            problem = {"message": error.message, "where": error.where, "remedy": error.remedy}
        self._asked = time.monotonic()
        self.page = {
            "project": project.name,
            "runs": msgspec.json.decode(msgspec.json.encode(self.runs)),  # through JSON: NaN becomes null
            "metrics": static.key_metrics(self.runs),
            "problem": problem,
        }

    def refresh_if_changed(self) -> None:
        """Fetch the runs when something was written since; a remote store is asked now and then."""
        changed = self._traces.look()
        if changed or (not self._local and time.monotonic() - self._asked > _REMOTE_EVERY):
            self.refresh()

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        bundle: tuple[dict[str, Any], dict[str, Any]] = super()._repr_mimebundle_(**options)
        data, metadata = bundle
        return {**data, "text/plain": self._caption(), "text/html": self._static()}, metadata

    def _ipython_display_(self) -> None:
        data, metadata = self._repr_mimebundle_()
        fallback = {kind: data.pop(kind) for kind in ("text/html", "text/plain")}
        publish_display_data(fallback)
        publish_display_data({**data, "text/plain": ""}, metadata)

    def _caption(self) -> str:
        count = len(self.runs)
        return f"{count} {'run' if count == 1 else 'runs'} of {self._store.project.name}"

    def _static(self) -> str:
        return f'<div class="nbops-static {self.twin}">{static.table(self.runs, self._caption())}</div>'


def _answer(widget: RunsTable, content: Any, _buffers: Any) -> None:
    if isinstance(content, dict) and content.get("ask") in {"now", "changed"}:
        if content["ask"] == "now":
            widget.refresh()
        else:
            widget.refresh_if_changed()
        widget.send({"answered": True})
