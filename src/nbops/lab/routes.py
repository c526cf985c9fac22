"""REST routes under ``nbops/api/``.

Each route reads its arguments, asks the service in a thread and answers JSON; an `NbopsError` becomes a `Problem` with
the error's own HTTP status. Every route needs Jupyter's authentication and authorisation (resource ``nbops``).

=================================  ==========================================
``project?path=``                  the project that a path lies in
``runs?path=&limit=``              its newest runs
``runs/<id or prefix>?path=``      one run with all that is known of it
``cells?notebook=``                the last execution of each cell
=================================  ==========================================
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import msgspec
from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from tornado.web import HTTPError, authenticated

from nbops.errors import NbopsError
from nbops.lab.messages import Problem
from nbops.lab.service import LabService

_DEFAULT_RUNS = 200
_MAX_RUNS = 2_000


def routes(base_url: str, service: LabService) -> list[tuple[Any, ...]]:
    """Return tornado's rules for the routes above."""
    table = {
        "project": ProjectHandler,
        "runs": RunsHandler,
        r"runs/(?P<ref>[0-9A-Za-z_-]+)": RunHandler,
        "cells": CellsHandler,
    }
    return [
        (url_path_join(base_url, "nbops/api", pattern), handler, {"service": service})
        for pattern, handler in table.items()
    ]


class _Handler(APIHandler):  # type: ignore[misc]
    auth_resource = "nbops"

    def initialize(self, service: LabService) -> None:
        self.service = service

    @authenticated  # type: ignore[untyped-decorator]
    @authorized  # type: ignore[untyped-decorator]
    async def get(self, **_captured: str) -> None:
        self.finish(msgspec.json.encode(await self.answer()))

    @abstractmethod
    async def answer(self) -> object:
        """Return what the route has to say, as plain values or dataclasses."""

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        error = kwargs.get("exc_info", (None, None, None))[1]
        if not isinstance(error, NbopsError):
            super().write_error(status_code, **kwargs)
            return
        self.set_status(error.http_status)
        self.finish(msgspec.json.encode(Problem(message=error.message, where=error.where, remedy=error.remedy)))

    def log_exception(self, kind: Any, value: Any, trace: Any) -> None:
        if not isinstance(value, NbopsError):  # a user's mistake is answered, not logged with a traceback
            super().log_exception(kind, value, trace)


class ProjectHandler(_Handler):
    """The project that a path lies in."""

    async def answer(self) -> object:
        place = self.service.place(self.get_query_argument("path", ""))
        return await self.service.ask(self.service.project, place)


class RunsHandler(_Handler):
    """The newest runs of a project."""

    async def answer(self) -> object:
        place = self.service.place(self.get_query_argument("path", ""))
        return await self.service.ask(self.service.runs, place, self._limit())

    def _limit(self) -> int:
        asked = self.get_query_argument("limit", str(_DEFAULT_RUNS))
        if not asked.isascii() or not asked.isdigit() or not 1 <= int(asked) <= _MAX_RUNS:
            raise HTTPError(400, f"limit must be a whole number from 1 to {_MAX_RUNS}, not {asked[:20]!r}")
        return int(asked)


class RunHandler(_Handler):
    """One run with all that is known of it."""

    async def answer(self) -> object:
        place = self.service.place(self.get_query_argument("path", ""))
        return await self.service.ask(self.service.run, place, self.path_kwargs["ref"])


class CellsHandler(_Handler):
    """The last execution of every cell of a notebook."""

    async def answer(self) -> object:
        place = self.service.place(self.get_query_argument("notebook"))
        return await self.service.ask(self.service.badges, place)
