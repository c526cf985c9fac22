"""Environments by package: added, removed, up- or downgraded; a direct URL counts beside the version.

Python, its implementation, the system, threads and seeds stand among them in brackets.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from packaging.version import InvalidVersion, Version

from nbops.tracking.comparison.differences import PackageChange, PackageKind

_FACTS = ("python", "implementation", "system", "release", "machine")


def package_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[PackageChange]:
    """Return what differs between two snapshots' environments, by name; none where one wasn't recorded."""
    if not before.get("environment") or not after.get("environment"):
        return []
    old, new = _packages(before["environment"]), _packages(after["environment"])
    names = sorted(old.keys() | new.keys(), key=lambda name: (not name.startswith("("), name))
    return [
        PackageChange(name, _kind(name, old.get(name), new.get(name)), old.get(name), new.get(name))
        for name in names
        if old.get(name) != new.get(name)
    ]


def _packages(environment: Mapping[str, Any]) -> dict[str, str]:
    found = {f"({key})": str(environment[key]) for key in _FACTS if environment.get(key)}
    found |= {str(name): str(version) for name, version in (environment.get("distributions") or {}).items()}
    urls = environment.get("direct") or {}
    found |= {name: f"{found.get(name, '')} @ {url}".strip() for name, url in urls.items()}
    found |= {f"({name})": str(value) for name, value in (environment.get("threads") or {}).items()}
    return found | {f"(seed: {name})": str(value) for name, value in (environment.get("seeds") or {}).items()}


def _kind(name: str, before: str | None, after: str | None) -> PackageKind:
    if before is None:
        return "added"
    if after is None:
        return "removed"
    if name.startswith("(") and name != "(python)":
        return "changed"
    try:
        old, new = Version(before), Version(after)
    except InvalidVersion:
        return "changed"
    return "upgraded" if new > old else "downgraded"
