"""One statement while it runs: what it can reach before, and what is different after.

Its needs are the last writers of the names, objects, files and hidden states that it saw. Objects that can't be compared
count as changed by whatever may have used them, and where the search had to stop, all changes so far are needed.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterable
from types import CodeType
from typing import TYPE_CHECKING, Any

from nbops.tracking.flow.codes import mentioned
from nbops.tracking.flow.files import Traffic
from nbops.tracking.flow.ledger import At, Writers
from nbops.tracking.flow.namespace import Before, is_users
from nbops.tracking.flow.patches import Patches, packages_set_up
from nbops.tracking.flow.places import library_folders
from nbops.tracking.flow.plan import Plan
from nbops.tracking.flow.reach import Reached, Seen, look_again
from nbops.tracking.flow.settings import differ, settings
from nbops.tracking.flow.statements import Span
from nbops.tracking.recording.records import Step
from nbops.tracking.redaction.redact import redact_value

if TYPE_CHECKING:
    from nbops.tracking.flow.tracer import Flow

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
_LASTING_MAGICS = frozenset(
    {"load_ext", "reload_ext", "config", "alias", "alias_magic", "autoreload", "macro", "pylab", "gui"}
)
_ASKING = frozenset(
    {"exists", "lexists", "isfile", "is_file", "isdir", "is_dir", "stat", "lstat", "getsize", "getmtime", "access"}
)
_FILES = (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom, io.FileIO, io.BufferedReader)
_OPTIONS = frozenset({"set_option", "reset_option", "option_context", "options"})
_SHOWN = re.compile(r"_\d*$|__$|___$|Out$|_oh$")
_PLAIN = (bool, int, float, str, type(None))
_MOST_CODES = 300
_MOST_FILES = 200
_MOST_ROOTS = 200
_NEW_NODES = 100


class RunningStep:
    """A statement of a cell while it runs."""

    def __init__(self, flow: Flow, at: At, span: Span | None, plan: Plan, code: Any) -> None:
        self.flow = flow
        self.at = at
        self.span = span
        self.plan = plan
        self.broken = False
        self.defined: set[str] = set()
        self.used: set[str] = set()
        self.changed: set[str] = set()
        self._code = code
        self._codes = 0
        self._needs: set[At] = set()
        self._everything = plan.everything
        self._namespace: dict[str, Any] = flow.shell.user_ns
        self._reached = Reached(self._namespace)
        self._asked = 0
        self._traffic = Traffic(flow.files, flow.ledger)

    def before(self) -> None:
        """Look at all that the statement may read."""
        plan, flow = self.plan, self.flow
        if plan.ours:
            return
        if self.at[1] == 0:
            flow.randomness.look()
        if plan.counts_references:
            flow.ledger.let_go()
        names = set(plan.reads)
        names.update(word for word in plan.words if word in self._namespace)
        if self._everything:
            names.update(name for name in self._namespace if is_users(name) and not _SHOWN.match(name))
        self._read(names)
        if not plan.inert:
            for value in flow.extra_roots:
                self._reached.add_value(value, "")
            self._ask()
        self._patches = Patches(plan, self._reached, self._namespace)
        self._options = not (plan.attributes | self._reached.attributes).isdisjoint(_OPTIONS)
        self._settings = settings(flow.shell, options=self._options)
        self._figures = _figures()
        self._look_for_files()
        if plan.counts_references:
            self._reached.seen.clear()
        self._before = Before(self._namespace, blind=plan.counts_references)

    def on_event(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Take what Python reports while the statement runs."""
        if event != "exec":
            self._traffic.on_event(event, arguments)
            return
        code = arguments[0]
        if (
            type(code) is not CodeType
            or code is self._code
            or code.co_filename.startswith((*library_folders(), "<frozen"))
        ):
            return
        self._codes += 1
        if self._codes > _MOST_CODES:
            self._everything = True
            return
        said = mentioned(code)
        if "globals" in said.globals:
            self._everything = True
        self._reached.texts |= said.texts
        self._reached.attributes |= said.attributes
        self._reached.stores = self._reached.stores or said.stores
        self._read(said.globals)
        if self.flow.ledger.files:
            self._traffic.spelled(said.texts)

    def after(self, failed: bool) -> Step:
        """Write down what the statement did."""
        if self.plan.ours:
            return self._step(failed, lasting=False)
        if self.broken:
            return self.given_up(failed)
        ledger = self.flow.ledger
        bound = self._before.bound_since(self._namespace)
        deleted = self._before.deleted_since(self._namespace)
        changed = self._changed_objects() if not self.plan.inert or self._codes else []
        self._finish_files(changed)
        self._finish_random()
        self._finish_things(changed)
        if self._everything or self._reached.everything:
            self._needs |= ledger.everything()
        elif self._reached.exhausted:
            self._needs |= ledger.all_changes()
        self._patches.finish(self.plan, [self._namespace[name] for name in bound if name in self._namespace])
        self.flow.extra_roots = [*self.flow.extra_roots, *self._patches.values][-_MOST_ROOTS:]
        lasting = self._is_lasting()
        ledger.history.append(self.at)
        self._write_names(bound, deleted, failed)
        self._write_objects(changed)
        self._look_at_new(bound)
        ledger.sweep()
        return self._step(failed, lasting=lasting, values=self._plain_values(bound, failed))

    def given_up(self, failed: bool) -> Step:
        """Return the record of a statement that couldn't be traced: it needs all before, and all after need it."""
        self._needs |= set(self.flow.ledger.history)
        self.flow.ledger.history.append(self.at)
        return self._step(failed, lasting=True)

    def _read(self, names: Iterable[str]) -> None:
        """Take note of names that are read, and of everything that their values lead to."""
        names = list(names)
        ledger = self.flow.ledger
        for name in names:
            self._needs |= ledger.names.get(name, frozenset())
        if "Out" in names or "_oh" in names:
            self._read([name for name in self._namespace if _SHOWN.match(name) and name not in ("Out", "_oh")])
        self._reached.add_names(names)
        self._ask()

    def _ask(self) -> None:
        """Ask the ledger about the objects reached since the last time."""
        ledger, reached = self.flow.ledger, self._reached
        for seen in list(reached.seen.values())[self._asked :]:
            self._needs.update(ledger.changes_of(seen.value, seen.content))
        self._asked = len(reached.seen)
        for value in reached.shared:
            self._needs.update(ledger.writers_of(value))
        for name in reached.names:
            self._needs |= ledger.names.get(name, frozenset())
        for package in reached.packages:
            self._needs |= ledger.things.get(f"package {package}", frozenset())
        self.used.update(name for name in reached.names if is_users(name))

    def _look_for_files(self) -> None:
        reached, plan, traffic = self._reached, self.plan, self._traffic
        texts = plan.texts | reached.texts
        for name in reached.names:
            value = self._namespace.get(name)
            if type(value) is str or type(value).__module__.startswith("pathlib"):
                texts.add(str(value))
        found = bool(self.flow.ledger.files) and traffic.spelled(texts)
        silent = not (reached.packages & _SILENT).isdisjoint(_SILENT) or bool(
            (plan.attributes | reached.attributes) & _SILENT_CALLS
        )
        if silent and not plan.inert:
            traffic.goes_outside(everything=not found)

    def _changed_objects(self) -> list[Seen]:
        """Return the objects that the statement changed, or may have."""
        reached, plan = self._reached, self.plan
        changed: list[Seen] = []
        for seen in list(reached.seen.values()):
            if seen.content.uses:
                if not plan.quiet:
                    changed.append(seen)
            elif seen.changed():
                changed.append(seen)
        roots = {seen.root for seen in changed}
        suspects = {chain[0] for chain in plan.stores} - roots
        if reached.exhausted and not plan.quiet:
            suspects |= reached.names - roots
        for name in suspects:
            seen_root = reached.seen.get(id(self._namespace.get(name)))
            if seen_root is not None and seen_root not in changed:
                changed.append(seen_root)
        self.changed = {seen.root for seen in changed} - {""}
        return changed

    def _finish_files(self, changed: list[Seen]) -> None:
        traffic = self._traffic
        if self.flow.ledger.files:
            traffic.spelled(self._reached.texts)
        traffic.finish(asks=not (self.plan.attributes | self._reached.attributes).isdisjoint(_ASKING))
        for seen in self._reached.seen.values():
            if type(seen.value) in _FILES and not self.plan.quiet:
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
        self._needs |= traffic.needs
        if traffic.database or not self._reached.packages.isdisjoint(_DATABASES):
            self._use("database")
        for path in traffic.written:
            self.flow.ledger.files[path] = frozenset((self.at,))
        if traffic.unsure:
            self.flow.ledger.files["*"] = self.flow.ledger.files.get("*", frozenset()) | {self.at}

    def _finish_random(self) -> None:
        things = self.flow.ledger.things
        if (self.plan.attributes | self._reached.attributes) & _STATE_READERS:
            for name in ("random", "numpy", "torch"):
                self._needs |= things.get(f"random {name}", frozenset())
        for name in self.flow.randomness.look():
            if self.plan.seeds:
                things[f"random {name}"] = frozenset((self.at,))
            else:
                self._use(f"random {name}")

    def _finish_things(self, changed: list[Seen]) -> None:
        for package in packages_set_up(self.plan, self._reached, self._namespace):
            self._use(f"package {package}")
        if "matplotlib" in self._reached.packages and not self.plan.inert:
            things = self.flow.ledger.things
            if self._figures:
                self._needs |= things.get("figures", frozenset())
            things["figures"] = frozenset((self.at,)) if _figures() else frozenset()

    def _use(self, thing: str) -> None:
        """Read and write something that has no name."""
        things = self.flow.ledger.things
        self._needs |= things.get(thing, frozenset())
        things[thing] = frozenset((self.at,))

    def _is_lasting(self) -> bool:
        plan = self.plan
        if plan.future:
            return True
        if plan.imports:
            return False
        shell = "get_ipython" in plan.attributes and not plan.magic
        return (
            shell
            or plan.magic in _LASTING_MAGICS
            or self._patches.lasting
            or differ(self._settings, settings(self.flow.shell, options=self._options))
        )

    def _write_names(self, bound: set[str], deleted: set[str], failed: bool) -> None:
        ledger, plan, mine = self.flow.ledger, self.plan, frozenset((self.at,))
        sure = bound | deleted | (set() if failed else plan.binds)
        dotted = plan.imports and plan.perhaps
        for name in sure:
            old: Writers = ledger.names.get(name, frozenset())
            ledger.names[name] = old | mine if dotted and name in plan.perhaps else mine
        for name in (plan.perhaps | plan.binds) - sure:
            if name in self._namespace:
                ledger.names[name] = ledger.names.get(name, frozenset()) | mine
        self.defined = {name for name in sure if is_users(name) and not _SHOWN.match(name)}

    def _write_objects(self, changed: list[Seen]) -> None:
        ledger = self.flow.ledger
        different = {id(seen.value) for seen in changed}
        for key, seen in self._reached.seen.items():
            if key in different:
                content = None if seen.content.uses else look_again(seen)
                ledger.keep(seen.value, content, self.at)
            else:
                ledger.keep(seen.value, seen.content, None)

    def _look_at_new(self, bound: set[str]) -> None:
        """Mark what new values hold now, so that a change behind the statements' backs shows later."""
        fresh = Reached(self._namespace, nodes=_NEW_NODES)
        for name in bound:
            if name in self._namespace and not _SHOWN.match(name):
                fresh.add_value(self._namespace[name], name)
        for key, seen in fresh.seen.items():
            if key not in self._reached.seen and not self.flow.ledger.knows(key):
                self.flow.ledger.keep(seen.value, seen.content, None)

    def _plain_values(self, bound: set[str], failed: bool) -> dict[str, bool | int | float | str | None]:
        names = self.plan.values & (bound | (set() if failed else self.plan.binds))
        found: dict[str, bool | int | float | str | None] = {}
        for name in sorted(names):
            value = self._namespace.get(name, _MISSING)
            if type(value) in _PLAIN and not (type(value) is str and len(value) > 200) and not name.startswith("_"):
                found[name] = redact_value(name, value)  # type: ignore[assignment]
        return found

    def _step(self, failed: bool, *, lasting: bool, values: dict[str, Any] | None = None) -> Step:
        self._needs.discard(self.at)
        first, last = (self.span.first, self.span.last) if self.span else (1, 1)
        relative = self.flow.project.relative
        return Step(
            first=first,
            last=last,
            needs=sorted(self._needs),
            lasting=lasting,
            failed=failed,
            reads=[relative(path) for path in list(self._traffic.read)[:_MOST_FILES]],
            writes=[relative(path) for path in list(self._traffic.written)[:_MOST_FILES]],
            names=sorted(self.used),
            values=values or {},
        )


_MISSING = object()


def _figures() -> bool:
    """Whether pyplot holds open figures."""
    helpers = sys.modules.get("matplotlib._pylab_helpers")
    return helpers is not None and bool(helpers.Gcf.figs)
