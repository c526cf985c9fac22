"""What a statement used that no name leads to: files, databases, random generators, packages that it set up, figures.

What libraries open in C++ or Rust isn't reported: the names of their functions and packages tell that it may happen. Random
generators and the like are *things* of the ledger, which are read and written by every use, and only written by a seed.
"""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

from nbops.tracking.flow.patches import packages_set_up
from nbops.tracking.flow.reach import Seen

if TYPE_CHECKING:
    from nbops.tracking.flow.step import RunningStep

_SILENT = frozenset(
    {
        "pyarrow",
        "polars",
        "duckdb",
        "h5py",
        "tables",
        "netCDF4",
        "cv2",
        "torch",
        "tensorflow",
        "xgboost",
        "lightgbm",
        "catboost",
        "onnx",
        "onnxruntime",
    }
)
_SILENT_CALLS = frozenset(
    {
        "to_parquet",
        "read_parquet",
        "to_feather",
        "read_feather",
        "to_orc",
        "read_orc",
        "to_hdf",
        "read_hdf",
        "HDFStore",
        "to_sql",
        "tofile",
        "fromfile",
        "memmap",
    }
)
_DATABASES = frozenset(
    {"sqlite3", "sqlalchemy", "duckdb", "psycopg2", "psycopg", "pymysql", "MySQLdb", "pyodbc", "adbc_driver_manager"}
)
_STATE_READERS = frozenset({"get_state", "getstate", "get_rng_state", "bit_generator", "check_random_state"})
_ASKING = frozenset(
    {"exists", "lexists", "isfile", "is_file", "isdir", "is_dir", "stat", "lstat", "getsize", "getmtime", "access"}
)
_FILES = (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom, io.FileIO, io.BufferedReader)


class Endings:
    """The uses of one statement that have no name."""

    def __init__(self, step: RunningStep) -> None:
        self._step = step
        self._figures = False

    def begin(self) -> None:
        """Look for what the statement may use that has no name."""
        step = self._step
        self._figures = _figures()
        reached, plan, traffic = step.reached, step.plan, step.traffic
        texts = plan.texts | reached.texts
        for name in reached.names:
            value = step.namespace.get(name)
            if type(value) is str or type(value).__module__.startswith("pathlib"):
                texts.add(str(value))
        found = bool(step.flow.ledger.files) and traffic.spelled(texts)
        silent = not (reached.packages & _SILENT).isdisjoint(_SILENT) or bool(
            (plan.attributes | reached.attributes) & _SILENT_CALLS
        )
        if silent and not plan.inert:
            traffic.goes_outside(everything=not found)

    def finish_files(self, changed: list[Seen]) -> None:
        """Take note of the files that the statement read and wrote."""
        step = self._step
        traffic = step.traffic
        if step.flow.ledger.files:
            traffic.spelled(step.reached.texts)
        traffic.finish(asks=not (step.plan.attributes | step.reached.attributes).isdisjoint(_ASKING))
        for seen in step.reached.seen.values():
            if type(seen.value) in _FILES and not step.plan.quiet:
                name = getattr(seen.value, "name", None)
                mode = str(getattr(seen.value, "mode", ""))
                if isinstance(name, str | bytes):
                    traffic.reads(name)
                    if not set(mode).isdisjoint("wxa+"):
                        traffic.writes(name)
            elif type(seen.value).__name__ == "memmap" and isinstance(
                name := getattr(seen.value, "filename", None), str
            ):
                traffic.reads(name)
                if any(each.value is seen.value or each.root == seen.root for each in changed):
                    traffic.writes(name)
        step.needs |= traffic.needs
        if traffic.database or not step.reached.packages.isdisjoint(_DATABASES):
            self._use("database")
        for path in traffic.written:
            step.flow.ledger.files[path] = frozenset((step.at,))
        if traffic.unsure:
            step.flow.ledger.files["*"] = step.flow.ledger.files.get("*", frozenset()) | {step.at}

    def finish_random(self) -> None:
        """Take note of the random generators that it used or seeded."""
        step = self._step
        things = step.flow.ledger.things
        if (step.plan.attributes | step.reached.attributes) & _STATE_READERS:
            for name in ("random", "numpy", "torch"):
                step.needs |= things.get(f"random {name}", frozenset())
        for name in step.flow.randomness.look():
            if step.plan.seeds:
                things[f"random {name}"] = frozenset((step.at,))
            else:
                self._use(f"random {name}")

    def finish_things(self) -> None:
        """Take note of the packages that it set up, and of figures."""
        step = self._step
        for package in packages_set_up(step.plan, step.reached, step.namespace):
            self._use(f"package {package}")
        if "matplotlib" in step.reached.packages and not step.plan.inert:
            things = step.flow.ledger.things
            if self._figures:
                step.needs |= things.get("figures", frozenset())
            things["figures"] = frozenset((step.at,)) if _figures() else frozenset()

    def _use(self, thing: str) -> None:
        """Read and write something that has no name."""
        step = self._step
        things = step.flow.ledger.things
        step.needs |= things.get(thing, frozenset())
        things[thing] = frozenset((step.at,))


def _figures() -> bool:
    """Whether pyplot holds open figures."""
    helpers = sys.modules.get("matplotlib._pylab_helpers")
    return helpers is not None and bool(helpers.Gcf.figs)
