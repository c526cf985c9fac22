"""Changes of what belongs to libraries: attributes set on their modules and classes, functions registered with them.

No name of the notebook leads to such a change where it works, so the statement is lasting, and what it put in place is looked
at with every later statement: its functions may run whenever the library does.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import FunctionType, ModuleType
from typing import Any

from nbops.tracking.flow.places import is_library, module_of, package_of
from nbops.tracking.flow.plan import Plan
from nbops.tracking.flow.reach import Reached

# Packages whose state only decides what is shown.
DISPLAY = frozenset(
    {"matplotlib", "seaborn", "IPython", "plotly", "bokeh", "altair", "tqdm", "warnings", "logging", "rich"}
)
# Packages whose hidden state is known otherwise, or which have none: calling their functions changes nothing else.
KNOWN = DISPLAY | frozenset(
    {
        "numpy",
        "pandas",
        "sklearn",
        "scipy",
        "random",
        "os",
        "sys",
        "time",
        "json",
        "pathlib",
        "posixpath",
        "shutil",
        "gc",
        "mlflow",
        "torch",
        "pyarrow",
        "polars",
        "math",
        "itertools",
        "functools",
        "collections",
        "re",
        "copy",
        "pickle",
        "joblib",
        "csv",
        "io",
        "glob",
        "heapq",
        "bisect",
        "subprocess",
        "tempfile",
        "typing",
        "dataclasses",
        "pprint",
        "datetime",
        "urllib",
        "requests",
        "operator",
        "string",
        "textwrap",
        "zipfile",
        "tarfile",
        "gzip",
        "statistics",
        "sqlite3",
        "builtins",
        "asyncio",
        "contextlib",
        "traceback",
        "inspect",
        "types",
        "enum",
        "abc",
        "threading",
        "concurrent",
        "uuid",
        "hashlib",
        "base64",
        "statsmodels",
        "nbops",
        "_io",
        "posix",
        "importlib",
        "ipykernel",
        "weakref",
        "numbers",
        "decimal",
        "fractions",
        "platform",
    }
)


class Patches:
    """Watches the library modules and classes that a statement could set attributes on."""

    def __init__(self, plan: Plan, reached: Reached, namespace: dict[str, Any]) -> None:
        self.lasting = False
        self.values: list[Any] = []
        self._targets: list[Any] = []
        for chain in plan.stores:
            self._watch_chain(chain, namespace)
        if reached.stores or "setattr" in plan.attributes or "delattr" in plan.attributes:
            mentioned = reached.attributes | plan.attributes
            for module in list(reached.modules.values()):
                self._watch(module)
                held = module.__dict__ if type(module) is ModuleType else {}
                for name in mentioned:
                    if isinstance(found := held.get(name), type | ModuleType):
                        self._watch(found)
        self._before = [dict(vars(target)) for target in self._targets]
        self._registers = any(name.startswith("register") for name in plan.attributes) or (
            not plan.quiet and any(name.startswith("register") for name in reached.attributes)
        )

    def _watch_chain(self, chain: tuple[str, ...], namespace: dict[str, Any]) -> None:
        value = namespace.get(chain[0])
        for name in chain[1:]:
            self._watch(value)
            if not isinstance(value, type | ModuleType):
                return
            value = vars(value).get(name)

    def _watch(self, value: Any) -> None:
        name: object
        if isinstance(value, type):
            name = module_of(value)
        elif type(value) is ModuleType:
            name = value.__dict__.get("__name__")
        else:
            return
        if (
            is_library(name)
            and package_of(str(name)) not in DISPLAY
            and all(each is not value for each in self._targets)
        ):
            self._targets.append(value)

    def finish(self, plan: Plan, bound: Iterable[Any]) -> None:
        """Find out what was patched or registered."""
        for target, before in zip(self._targets, self._before, strict=True):
            for name, value in list(vars(target).items()):
                old = before.get(name)
                if old is not value and (
                    name in before or not isinstance(value, type | ModuleType) or _is_users(value)
                ):
                    self.lasting = True
                    self.values.append(value)
            self.lasting = self.lasting or bool(before.keys() - vars(target).keys())
        if self._registers:
            self.lasting = True
            self.values += bound


def _is_users(value: Any) -> bool:
    return not is_library(value.__dict__.get("__module__", value.__dict__.get("__name__")))


def packages_set_up(plan: Plan, reached: Reached, namespace: dict[str, Any]) -> set[str]:
    """Return the packages whose hidden state a call with a thrown-away result may have changed: ``lib.configure()``."""
    found: set[str] = set()
    for root in plan.thrown:
        value = namespace.get(root)
        if type(value) is ModuleType:
            found.add(package_of(str(value.__dict__.get("__name__"))))
        elif isinstance(value, FunctionType | type) and not is_library(value.__module__):
            found |= reached.packages
        elif isinstance(value, FunctionType | type) or type(value).__name__ == "builtin_function_or_method":
            found.add(package_of(str(getattr(value, "__module__", None) or "builtins")))
    return found - KNOWN
