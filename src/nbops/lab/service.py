"""What one running Jupyter server knows of nbops: its root, the stores it has open, and its watcher.

`LabService.install` is called once while the server starts: it registers routes and the event schema and does
nothing else. Stores are opened on the first question about a project, in a thread, because MLflow takes seconds to
import and its calls block; a project that was never tracked is answered without opening anything, so that looking at
a folder writes nothing into it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from nbops.errors import TrackingError
from nbops.lab import events
from nbops.lab.messages import Change, ProjectInfo, RunPage
from nbops.lab.places import Place, locate
from nbops.lab.watcher import ChangeWatcher
from nbops.project import Project
from nbops.tracking.schema import CellBadge, RunDetail

if TYPE_CHECKING:
    from nbops.tracking.store import Store

_Answer = TypeVar("_Answer")


class LabService:
    """The queries behind the REST routes.

    Parameters
    ----------
    server_root
        The folder that Jupyter serves.
    report
        Told of every change in a project that was asked for.
    """

    def __init__(self, server_root: Path, report: Callable[[Change], None]) -> None:
        self.server_root = server_root
        self.watcher = ChangeWatcher(report)
        self._stores: dict[Path, Store] = {}
        self._opening = threading.Lock()
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="nbops-lab")

    @classmethod
    def install(cls, server: Any) -> LabService:
        """Put the routes and events of nbops into a Jupyter `ServerApp`."""
        from nbops.lab.routes import routes

        events.register(server.event_logger)
        service = cls(Path(server.root_dir), lambda change: events.emit(server.event_logger, change))
        server.web_app.add_handlers(".*$", routes(server.web_app.settings["base_url"], service))
        return service

    async def ask(self, question: Callable[..., _Answer], *arguments: Any) -> _Answer:
        """Run a blocking query in a thread of its own."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, question, *arguments)

    def place(self, path: str) -> Place:
        """Return where a path of the browser lies, and watch its project from now on."""
        place = locate(self.server_root, path)
        self.watcher.watch(place.project, place.root)
        return place

    def project(self, place: Place) -> ProjectInfo:
        """Describe the project."""
        project = place.project
        return ProjectInfo(
            name=project.name,
            root=place.root,
            served=place.served,
            experiment=project.experiment,
            tracked=self._store(project).exists,
        )

    def runs(self, place: Place, limit: int) -> RunPage:
        """Return the newest runs."""
        if not self._store(place.project).exists:
            return RunPage(runs=[], more=False)
        found = self._opened(place.project).runs(limit=limit + 1, made_again=False)
        return RunPage(runs=found[:limit], more=len(found) > limit)

    def run(self, place: Place, ref: str) -> RunDetail:
        """Return a run by its id or a unique prefix of it."""
        if not self._store(place.project).exists:
            raise TrackingError(
                "nothing was tracked in this project yet", where=place.project.name, remedy="run %load_ext nbops"
            )
        return self._opened(place.project).run(ref)

    def badges(self, place: Place) -> list[CellBadge]:
        """Return the last execution of every cell of a notebook."""
        from nbops.tracking.recording.cells import badges

        return badges(place.project, place.path) if place.project.sessions.is_dir() else []

    def _store(self, project: Project) -> Store:
        from nbops.tracking.store import Store

        store = self._stores.get(project.root)
        if store is None or store.project != project:  # nbops.toml may have changed
            store = self._stores[project.root] = Store(project)
        return store

    def _opened(self, project: Project) -> Store:
        store = self._store(project)
        with self._opening:  # two first questions at once would import MLflow and migrate twice
            store.client  # noqa: B018
        return store
