"""uvicorn, set up for one service: no access log, no server header, a bounded goodbye, exit status 0 on SIGTERM."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn


class GracefulServer(uvicorn.Server):  # type: ignore[misc]
    """A uvicorn server that says when it listens, and ends normally when it is told to stop."""

    ready: Callable[[], None]
    should_exit: bool
    force_exit: bool

    @classmethod
    def of(cls, app: Any, *, grace: int, keep_alive: int, ready: Callable[[], None]) -> GracefulServer:
        """Return a server for `app` that calls `ready` once it accepts connections."""
        server = cls(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                ws="none",
                lifespan="on",
                backlog=2048,
                timeout_keep_alive=keep_alive,
                timeout_graceful_shutdown=grace,
            )
        )
        server.ready = ready
        return server

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start accepting, then say so."""
        await super().startup(sockets)
        self.ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop after the requests under way; at once on a second Ctrl-C.

        uvicorn's own handler raises the signal again at the end, which would make a wanted stop look like a crash.
        """
        self.force_exit = bool(self.should_exit) and sig == signal.SIGINT
        self.should_exit = True
