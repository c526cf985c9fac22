"""What is read through sqlite3: its connections are made of a class that tells of queries when their rows are fetched.

`sqlite3.connect` makes its connections of whatever class it's asked for. Rows that are fetched all at once are told; where
they are taken one by one the database's file stands for them. SQLAlchemy, which takes `connect` from another module, tells
by itself.
"""

from __future__ import annotations

import functools
import sqlite3
import sys
from types import FrameType
from typing import Any

from nbops.tracking.reads import calls
from nbops.tracking.reads.places import is_data_path, is_users_call
from nbops.tracking.reads.read import Read, is_query
from nbops.tracking.redaction.redact import redact_text

_FACTORY = 5
"""The position of the class among the parameters of `connect`."""


class _Cursor(sqlite3.Cursor):
    _asked: str | None = None

    def execute(self, sql: str, parameters: Any = (), /) -> _Cursor:
        super().execute(sql, parameters)
        self._asked = sql if is_query(sql) else None
        return self

    def fetchall(self) -> list[Any]:
        rows = super().fetchall()
        self._tell(rows)
        return rows

    def fetchone(self) -> Any:
        self._tell(None)
        return super().fetchone()

    def fetchmany(self, size: int | None = 1) -> list[Any]:
        self._tell(None)
        return super().fetchmany(self.arraysize if size is None else size)

    def __iter__(self) -> _Cursor:
        self._tell(None)
        return self

    def _tell(self, rows: list[Any] | None) -> None:
        asked, self._asked = self._asked, None
        if asked is not None:
            asker = sys._getframe(2)
            calls.tell(lambda: _read(self.connection, asked, rows, asker))


class _Connection(sqlite3.Connection):
    def cursor(self, factory: Any = _Cursor) -> Any:
        return super().cursor(factory)

    def execute(self, sql: str, parameters: Any = (), /) -> Any:
        return self.cursor().execute(sql, parameters)


for _kind, _name in ((_Cursor, "Cursor"), (_Connection, "Connection")):
    _kind.__name__ = _kind.__qualname__ = _name
    _kind.__module__ = "sqlite3"


def watch_sqlite(module: Any) -> None:
    """Make the connections that users open from now on tell."""
    connect = module.connect

    @functools.wraps(connect)
    def connecting(*args: Any, **kwargs: Any) -> Any:
        if calls.listening() and len(args) <= _FACTORY and "factory" not in kwargs:
            kwargs["factory"] = _Connection
        return connect(*args, **kwargs)

    calls.replace(module, "connect", connect, connecting)


def database_of(connection: Any) -> str | None:
    """Return the path of the database that a connection of sqlite3 is to; None for another connection."""
    if not isinstance(connection, sqlite3.Connection):
        return None
    cursor = sqlite3.Cursor(connection)
    cursor.row_factory = None
    for _, name, path in cursor.execute("PRAGMA database_list").fetchall():
        if name in ("main", b"main"):
            return (path.decode() if isinstance(path, bytes) else path) or ":memory:"
    return None


def _read(connection: sqlite3.Connection, query: str, rows: list[Any] | None, asker: FrameType) -> Read | None:
    path = database_of(connection) or ":memory:"
    if not is_data_path(path) or not is_users_call(asker):
        return None
    answer = None if rows is None else list(rows)
    return Read("sqlite3", redact_text(query.strip()), answer, f"sqlite:///{path}")
