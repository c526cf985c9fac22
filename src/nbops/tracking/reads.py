"""Which tables were read: pandas' readers tell, once pandas is imported.

Each ``pandas.read_*`` function is wrapped to hand what it returned to the recorder. The frame is kept as a shallow
copy, which under copy-on-write (pandas 3) stays as it was read whatever the cell does with the original; older pandas has no
such guarantee, so there it is fingerprinted at once.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import wrapt

from nbops.project import Project
from nbops.tracking.redact import redact_source

_READERS = (
    "read_csv",
    "read_excel",
    "read_feather",
    "read_fwf",
    "read_hdf",
    "read_json",
    "read_orc",
    "read_parquet",
    "read_pickle",
    "read_sas",
    "read_spss",
    "read_sql",
    "read_sql_query",
    "read_sql_table",
    "read_stata",
    "read_table",
    "read_xml",
)


@dataclass(frozen=True, slots=True)
class Read:
    """A table that was read. `frame` is a pandas DataFrame that no one else changes."""

    source: str
    reader: str
    frame: Any


def watch_pandas(project: Project, tell: Callable[[Read], None]) -> None:
    """Call `tell` with every table that pandas reads from now on in this process."""

    def wrap(pandas: Any) -> None:
        for name in _READERS:
            if hasattr(pandas, name):
                wrapt.wrap_function_wrapper(pandas, name, _telling(project, tell, name))

    wrapt.register_post_import_hook(wrap, "pandas")


def _telling(project: Project, tell: Callable[[Read], None], reader: str) -> Callable[..., Any]:
    def call(wrapped: Callable[..., Any], _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        frame = wrapped(*args, **kwargs)
        if hasattr(frame, "copy") and hasattr(frame, "columns"):
            given = args[0] if args else next(iter(kwargs.values()), None)
            tell(Read(_name(project, given), reader, frame.copy(deep=False)))
        return frame

    return call


def _name(project: Project, given: Any) -> str:
    if isinstance(given, str | os.PathLike):
        text = os.fspath(given)
        if isinstance(text, bytes):
            text = os.fsdecode(text)
        return project.relative(text) if Path(text).exists() else redact_source(text)
    return str(getattr(given, "name", None) or type(given).__name__)
