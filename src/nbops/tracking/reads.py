"""Which tables were read: pandas' readers tell, once pandas is imported.

Each ``pandas.read_*`` function is replaced by one that calls it and then tells the listener what it returned. A frame is
kept as a shallow copy, which under copy-on-write (pandas 3) stays as it was read whatever the cell does with the original; of
what isn't a frame yet, such as an iterator over chunks, the file is told.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import wrapt

from nbops.project import Project
from nbops.tracking.redact import redact_text

# The first parameter's name of each reader, for calls by keyword.
_READERS = {
    "read_csv": "filepath_or_buffer",
    "read_excel": "io",
    "read_feather": "path",
    "read_fwf": "filepath_or_buffer",
    "read_hdf": "path_or_buf",
    "read_json": "path_or_buf",
    "read_orc": "path",
    "read_parquet": "path",
    "read_pickle": "filepath_or_buffer",
    "read_sas": "filepath_or_buffer",
    "read_spss": "path",
    "read_sql": "sql",
    "read_sql_query": "sql",
    "read_sql_table": "table_name",
    "read_stata": "filepath_or_buffer",
    "read_table": "filepath_or_buffer",
    "read_xml": "path_or_buffer",
}


@dataclass(frozen=True, slots=True)
class Read:
    """A call of a reader.

    Attributes
    ----------
    reader
        The function's name.
    given
        What it read from: its first argument.
    answer
        What it returned.
    """

    reader: str
    given: Any
    answer: Any

    @property
    def frame(self) -> Any:
        """The DataFrame that was returned, None if it was something else."""
        return self.answer if hasattr(self.answer, "columns") and hasattr(self.answer, "copy") else None

    @property
    def path(self) -> Path | None:
        """The local file or folder that was read, None if there is none."""
        given = self.given if isinstance(self.given, str | bytes | os.PathLike) else getattr(self.given, "name", None)
        if not isinstance(given, str | bytes | os.PathLike):
            return None
        path = Path(os.fsdecode(given))
        try:
            return path if path.exists() else None
        except (OSError, ValueError):  # SQL is too long for a path, or holds what no path can
            return None

    def source(self, project: Project) -> str:
        """Return where from: a path relative to the project, a URL, SQL, or the kind of an object."""
        if self.path:
            return project.relative(self.path)
        if isinstance(self.given, str | bytes | os.PathLike):
            return redact_text(os.fsdecode(self.given))
        return type(self.given).__name__


Listener = Callable[[Read], None]
_listener: Listener | None = None
_watching = False


def watch_pandas(listener: Listener | None) -> None:
    """Tell `listener`, and no other, of every table that pandas reads from now on; None: nobody."""
    global _listener, _watching
    _listener = listener
    if not _watching:
        _watching = True
        wrapt.register_post_import_hook(_replace_readers, "pandas")


def _replace_readers(pandas: Any) -> None:
    for name in _READERS:
        if hasattr(pandas, name):
            setattr(pandas, name, _telling(pandas, name))


def _telling(pandas: Any, reader: str) -> Callable[..., Any]:
    function = getattr(pandas, reader)

    def read(*args: Any, **kwargs: Any) -> Any:
        answer = function(*args, **kwargs)
        if _listener:
            _listener(Read(reader, _given(reader, args, kwargs), answer))
        return answer

    functools.update_wrapper(read, function)
    read.__module__ = "pandas"  # where pickle finds it again: process pools get it by name
    # pandas blames its warnings on the first caller outside of its own folder: that must stay the user's line
    read.__code__ = read.__code__.replace(co_filename=str(Path(pandas.__file__).with_name("<nbops>")))
    return read


def _given(reader: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    return args[0] if args else kwargs.get(_READERS[reader])
