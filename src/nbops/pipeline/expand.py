"""One stage made many: ``foreach`` a list or mapping, ``matrix`` every combination of several lists.

Each instance has a name of its own, ``train@depth=3,kind=tree`` or ``report@march``: made of the values, so that it is
the same whatever else is in the list, and such that it can be a file's name everywhere.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nbops.pipeline.interpolate import Scope, interpolated
from nbops.pipeline.yamltree import Place

FANOUT_KEYS = {"foreach", "matrix"}
FANOUT_EXAMPLES = {
    "foreach": "foreach: [march, april]",
    "matrix": "matrix: {depth: [3, 5], kind: [tree, linear]}",
}
INSTANCE = "@"
_MOST = 1000
_LONGEST = 40
_UNSAFE = re.compile(r"[^A-Za-z0-9_.+-]")
_AXIS = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


@dataclass(frozen=True, slots=True)
class Instance:
    """One of a stage's instances: its name, the stage's, and what ``matrix``, ``item`` and ``key`` mean in it."""

    name: str
    base: str
    bindings: Mapping[str, Any] = field(default_factory=dict)


def instances(name: str, fields: Mapping[str, Place], scope: Scope) -> list[Instance]:
    """Return a stage's instances, in the order of its lists; itself alone when it isn't fanned out.

    Raises
    ------
    SpecError
        If the lists are empty or no lists, or two instances would be the same.
    """
    given = {key: interpolated(fields[key], scope) for key in FANOUT_KEYS & fields.keys()}
    if not given:
        return [Instance(name, name)]
    if len(given) == 2:
        raise fields["matrix"].error(f"stage '{name}' has both 'foreach' and 'matrix'", "a matrix may have one list")
    [(key, place)] = given.items()
    labelled = _foreach(place) if key == "foreach" else _matrix(place)
    if not labelled:
        raise place.error(f"{place.what} is empty", place.example)
    if len(labelled) > _MOST:
        raise place.error(f"{place.what} makes {len(labelled)} stages: at most {_MOST}")
    found: dict[str, Instance] = {}
    for label, bindings in labelled:
        one = f"{name}{INSTANCE}{label}"
        if one.lower() in found:  # some file systems don't tell upper and lower case apart
            raise place.error(f"{place.what} has '{label}' twice", "make its values different")
        found[one.lower()] = Instance(one, name, bindings)
    return list(found.values())


def base(name: str) -> str:
    """Return the stage of which this is an instance; itself when it is none."""
    return name.partition(INSTANCE)[0]


def label(value: Any) -> str:
    """Return a value as it stands in an instance's name: readable where that's safe, with a digest where it isn't."""
    plain = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
    safe = _UNSAFE.sub("-", plain)[:_LONGEST].rstrip(".")
    if safe == plain and safe:
        return safe
    digest = hashlib.sha256(plain.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    readable = "" if isinstance(value, Mapping | list) else safe.strip("-.")
    return f"{readable}-{digest}" if readable else digest


def _foreach(place: Place) -> list[tuple[str, dict[str, Any]]]:
    value = place.value()
    if isinstance(value, Mapping):
        return [(label(key), {"item": item, "key": key}) for key, item in value.items()]
    if isinstance(value, list):
        return [(label(item), {"item": item, "key": position}) for position, item in enumerate(value)]
    raise place.error(f"{place.what} must be a list or a mapping", place.example)


def _matrix(place: Place) -> list[tuple[str, dict[str, Any]]]:
    axes: dict[str, list[Any]] = {}
    for axis, entry in place.entries().items():
        values = entry.value()
        if not _AXIS.match(axis):
            raise entry.error(f"'{axis}' can't be a name in a matrix", "use letters, digits and '_', a letter first")
        if not isinstance(values, list) or not values:
            raise entry.error(f"{entry.what} must be a list of values", place.example)
        axes[axis] = values
    size = 1
    for values in axes.values():
        size *= len(values)
    if size > _MOST:
        raise place.error(f"{place.what} makes {size} stages: at most {_MOST}")
    if not axes:
        return []
    found = []
    for combination in itertools.product(*axes.values()):
        values_by_axis = dict(zip(axes, combination, strict=True))
        name = ",".join(f"{axis}={label(value)}" for axis, value in values_by_axis.items())
        found.append((name, {"matrix": values_by_axis}))
    return found
