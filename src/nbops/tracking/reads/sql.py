"""Queries: which were sent where, without credentials.

Frames that pandas and polars make of queries tell like any reader's. SQLAlchemy tells of each statement by its own
events, sqlite3 by its connections (`sqlite`), duckdb's relations when they are fetched. A query is never run a second time,
and rows that a library hands out one by one aren't kept: the database's file stands for them, or nothing does.
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from nbops.tracking.reads import calls
from nbops.tracking.reads.places import is_data_path, is_users_call
from nbops.tracking.reads.read import Read, is_query
from nbops.tracking.reads.sqlite import database_of
from nbops.tracking.redaction.redact import redact_text

_FETCHES = (
    "df", "to_df", "fetchdf", "fetch_df", "arrow", "to_arrow_table", "fetch_arrow_table", "pl", "fetchall", "fetchnumpy",
)  # fmt: skip
_WRAPPED = re.compile(r'(?s)SELECT \* FROM \(\n(.*)\n\) AS "unnamed_relation_\w+"\s*$')
_MADE_UP = re.compile(r"\b(unnamed_relation|__duckdb_source)_\w+")


def querying(reader: str, query: str, connection: str) -> calls.Teller:
    """Return what tells of a function that reads from a query, its first argument, and a connection, its second."""

    def told(args: tuple[Any, ...], kwargs: dict[str, Any], answer: Any) -> Read:
        asked = args[0] if args else kwargs.get(query)
        where = args[1] if len(args) > 1 else kwargs.get(connection)
        return Read(reader, asked if isinstance(asked, str) else _text(asked), answer, origin_of(where))

    return told


def origin_of(connection: Any) -> str:
    """Return which database a connection goes to, without credentials."""
    if isinstance(connection, str):
        return _without_secrets(connection)
    engine = getattr(connection, "engine", None) or getattr(connection, "bind", None) or connection
    url = getattr(engine, "url", None)
    if url is not None and hasattr(url, "render_as_string"):
        return str(url.render_as_string(hide_password=True)).replace(":***@", "@")
    path = database_of(connection)
    return f"sqlite:///{path}" if path is not None else type(connection).__module__.partition(".")[0]


def watch_sqlalchemy(module: Any) -> None:
    """Tell of statements that are sent through SQLAlchemy."""
    from sqlalchemy import event

    event.listen(module.Engine, "after_cursor_execute", _on_statement)


def watch_duckdb(module: Any) -> None:
    """Tell of what is fetched from duckdb's relations and connections."""
    for kind in (module.DuckDBPyRelation, module.DuckDBPyConnection):
        for name in _FETCHES:
            if method := getattr(kind, name, None):
                setattr(kind, name, _fetching(method, name))


def _on_statement(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
    if calls.listening() and is_query(statement) and not statement.upper().startswith("PRAGMA"):
        asker = sys._getframe(1)
        calls.guarded(lambda: _tell_statement(connection, statement, asker))


def _tell_statement(connection: Any, statement: str, asker: FrameType) -> None:
    origin = origin_of(connection)
    if is_data_path(origin.removeprefix("sqlite:///")) and is_users_call(asker):
        calls.tell(lambda: Read("sqlalchemy", redact_text(statement.strip()), None, origin))


def _fetching(method: Callable[..., Any], name: str) -> Callable[..., Any]:
    @functools.wraps(method)
    def fetch(self: Any, *args: Any, **kwargs: Any) -> Any:
        answer = method(self, *args, **kwargs)
        if calls.listening():
            calls.tell(lambda: Read(f"duckdb.{name}", _query_of(self), answer, "duckdb"))
        return answer

    return fetch


def _query_of(relation: Any) -> str:
    """Return the query of a relation, without the names that duckdb makes up for relations and frames."""
    if not hasattr(relation, "sql_query"):  # a connection doesn't know what it was asked
        return "a query"
    text = str(relation.sql_query())
    if wrapped := _WRAPPED.search(text):
        text = wrapped[1]
    return redact_text(_MADE_UP.sub(r"\1", text))


def _without_secrets(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    return redact_text(f"{scheme}://{rest.rpartition('@')[2]}") if separator else redact_text(url)


def _text(asked: Any) -> str:
    """Return the text of a query that is an object, such as a statement or a table of SQLAlchemy."""
    return redact_text(str(asked)) if asked is not None else ""
