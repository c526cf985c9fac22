"""The readers of each library, and what in a call says where from.

A table of functions by module: most read from their first argument. Each module is waited for, and its functions are
made to tell when it is imported.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import wrapt

from nbops.tracking.reads import sql, sqlite
from nbops.tracking.reads.calls import first_argument, intercept
from nbops.tracking.reads.read import Read

# The first parameter's name of each reader, for calls by keyword.
_READERS: dict[str, dict[str, str]] = {
    "pandas": {
        "read_csv": "filepath_or_buffer",
        "read_excel": "io",
        "read_feather": "path",
        "read_fwf": "filepath_or_buffer",
        "read_hdf": "path_or_buf",
        "read_html": "io",
        "read_iceberg": "table_identifier",
        "read_json": "path_or_buf",
        "read_orc": "path",
        "read_parquet": "path",
        "read_pickle": "filepath_or_buffer",
        "read_sas": "filepath_or_buffer",
        "read_spss": "path",
        "read_stata": "filepath_or_buffer",
        "read_table": "filepath_or_buffer",
        "read_xml": "path_or_buffer",
    },
    "pyarrow": {"memory_map": "path"},
    "pyarrow.csv": {"read_csv": "input_file", "open_csv": "input_file"},
    "pyarrow.json": {"read_json": "input_file", "open_json": "input_file"},
    "pyarrow.parquet": {"read_table": "source", "read_pandas": "source"},
    "pyarrow.feather": {"read_table": "source", "read_feather": "source"},
    "pyarrow.orc": {"read_table": "source"},
    "pyarrow.ipc": {"open_file": "source", "open_stream": "source"},
    "pyarrow.dataset": {
        "dataset": "source",
        "parquet_dataset": "metadata_path",
    },
    "polars": {
        "read_avro": "source",
        "read_csv": "source",
        "read_csv_batched": "source",
        "read_excel": "source",
        "read_ipc": "source",
        "read_ipc_stream": "source",
        "read_json": "source",
        "read_lines": "source",
        "read_ndjson": "source",
        "read_ods": "source",
        "read_parquet": "source",
        "scan_csv": "source",
        "scan_iceberg": "source",
        "scan_ipc": "source",
        "scan_lance": "source",
        "scan_lines": "source",
        "scan_ndjson": "source",
        "scan_parquet": "source",
        "scan_pyarrow_dataset": "source",
    },
}
# Classes whose making opens a file: the argument after `self`.
_OPENED: dict[str, dict[str, str]] = {
    "pyarrow.parquet": {"ParquetFile": "source", "ParquetDataset": "path_or_paths"},
    "pyarrow.orc": {"ORCFile": "source"},
    "pandas": {"ExcelFile": "path_or_buffer"},
}


def wait_for_libraries() -> None:
    """Make the readers of each library tell, now or when it is imported."""
    for module in (*_READERS, "deltalake", "duckdb", "sqlalchemy.engine", "sqlite3"):
        wrapt.register_post_import_hook(_ARRIVALS.get(module, _arrived), module)


def _arrived(module: Any) -> None:
    for name, parameter in _READERS.get(module.__name__, {}).items():
        intercept(module, name, first_argument(name, parameter))
    for name, parameter in _OPENED.get(module.__name__, {}).items():
        if kind := getattr(module, name, None):
            intercept(kind, "__init__", _opening(name, parameter))


def _opening(name: str, parameter: str) -> Callable[..., Read | None]:
    told = first_argument(name, parameter, 1)

    def opened(args: tuple[Any, ...], kwargs: dict[str, Any], answer: Any) -> Read | None:
        return told(args, kwargs, None)

    return opened


def _pandas(module: Any) -> None:
    _arrived(module)
    for name, parameter in (("read_sql", "sql"), ("read_sql_query", "sql"), ("read_sql_table", "table_name")):
        intercept(module, name, sql.querying(name, parameter, "con"))
    intercept(module, "read_gbq", sql.querying("read_gbq", "query_or_table", "project_id"))


def _polars(module: Any) -> None:
    _arrived(module)
    intercept(module, "read_database", sql.querying("read_database", "query", "connection"))
    intercept(module, "read_database_uri", sql.querying("read_database_uri", "query", "uri"))
    for name in ("read_delta", "scan_delta"):
        intercept(module, name, _delta_of_polars(name))


def _deltalake(module: Any) -> None:
    for name in ("to_pandas", "to_pyarrow_table", "to_pyarrow_dataset"):
        intercept(module.DeltaTable, name, _delta(name))


def _delta_of_polars(name: str) -> Callable[..., Read | None]:
    told = first_argument(name, "source")
    asked = first_argument(name, "version", 1)

    def of_version(args: tuple[Any, ...], kwargs: dict[str, Any], answer: Any) -> Read:
        read, version = told(args, kwargs, answer), asked(args, kwargs, None)
        given: Any = read.given if read else None
        if hasattr(given, "table_uri"):
            return Read(name, given.table_uri, answer, version=f"delta:{given.version()}")
        number = version.given if version else None
        return Read(name, given, answer, version=f"delta:{number}" if isinstance(number, int) else None)

    return of_version


def _delta(name: str) -> Callable[..., Read | None]:
    def told(args: tuple[Any, ...], kwargs: dict[str, Any], answer: Any) -> Read:
        return Read(f"DeltaTable.{name}", args[0].table_uri, answer, version=f"delta:{args[0].version()}")

    return told


_ARRIVALS: dict[str, Callable[[Any], None]] = {
    "pandas": _pandas,
    "polars": _polars,
    "deltalake": _deltalake,
    "duckdb": sql.watch_duckdb,
    "sqlalchemy.engine": sql.watch_sqlalchemy,
    "sqlite3": sqlite.watch_sqlite,
}
