"""The environment version: Python, every distribution with its version and direct URL, platform, seeds and threads.

What is installed is kept until it changes (`distributions`), so that asking again costs microseconds; `settings` are those
of the moment. Direct URLs are out of the digest, commits are in it: where a repository was cloned from makes no difference.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from nbops.snapshot import distributions as found
from nbops.snapshot import settings

if TYPE_CHECKING:
    from importlib.metadata import Distribution


@dataclass(frozen=True, slots=True)
class Environment:
    """What code ran in.

    Attributes
    ----------
    python
        The interpreter's version, such as ``3.11.7``.
    implementation
        Such as ``CPython``.
    distributions
        Version by canonical name of every installed distribution.
    system, machine
        The operating system and the processor's architecture.
    threads
        The thread settings in force.
    direct
        Where those distributions came from that no registry gave.
    seeds
        The seeds in force.
    release
        The operating system as it calls itself, such as ``Debian GNU/Linux 12 (bookworm)``.
    """

    python: str
    implementation: str
    distributions: Mapping[str, str]
    system: str
    machine: str
    threads: Mapping[str, str]
    direct: Mapping[str, str] = field(default_factory=dict)
    seeds: Mapping[str, str] = field(default_factory=dict)
    release: str = ""

    @property
    def digest(self) -> str:
        """Eight hex digits over Python and all distributions."""
        commits = sorted(found.Installed(self.distributions, self.direct).commits.items())
        content: list[object] = [self.python, self.implementation, sorted(self.distributions.items())]
        text = json.dumps([*content, commits] if commits else content)
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    @property
    def lock(self) -> str:
        """Requirements, one a line, that ``uv pip install -r`` can install elsewhere; comments for what only is here."""
        lines = [
            found.requirement(name, version, self.direct.get(name))
            for name, version in sorted(self.distributions.items())
        ]
        return "".join(f"{line}\n" for line in (f"# Python {self.python}", *lines))


def capture(seeds: Mapping[str, str] | None = None) -> Environment:
    """Return the environment of this process, with the seeds in force now or those given."""
    now = found.installed()
    return Environment(
        python=platform.python_version(),
        implementation=platform.python_implementation(),
        distributions=now.versions,
        system=f"{platform.system()} {platform.release()}",
        machine=platform.machine(),
        threads=settings.threads(),
        direct=now.direct,
        seeds=settings.seeds() if seeds is None else seeds,
        release=_release(),
    )


def installed() -> dict[str, str]:
    """Return the version of each distribution on ``sys.path``, by canonical name; the first on the path wins."""
    return dict(found.installed().versions)


def distributions_for(modules: Iterable[str]) -> dict[str, str]:
    """Return the distributions that importing `modules` needs, with what these require, and their versions.

    Parameters
    ----------
    modules
        Names as imported, such as ``sklearn.linear_model``; the standard library and unknown names count for nothing.
    """
    by_module = module_distributions()
    waiting = [
        name
        for module in modules
        if (top := module.partition(".")[0]) not in sys.stdlib_module_names
        for name in by_module.get(top, ())
    ]
    versions: dict[str, str] = {}
    while waiting:
        name = found.canonical(waiting.pop())
        if name in versions or (known := _distribution(name)) is None:
            continue
        versions[name] = known.version
        waiting.extend(_requirements(known))
    return dict(sorted(versions.items()))


@lru_cache(maxsize=1)
def module_distributions() -> Mapping[str, list[str]]:
    """Return the distributions that provide each top-level module, kept for as long as the process lives."""
    from importlib.metadata import packages_distributions

    return {module: sorted(set(names)) for module, names in packages_distributions().items()}


@lru_cache(maxsize=1)
def _release() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:  # not a Linux, or one that doesn't say
        return f"macOS {version}" if (version := platform.mac_ver()[0]) else platform.version()


def _distribution(name: str) -> Distribution | None:
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def _requirements(known: Distribution) -> Iterable[str]:
    from packaging.requirements import InvalidRequirement, Requirement

    for line in known.requires or ():
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield requirement.name


@lru_cache(maxsize=2000)
def is_site_package(path: Path | str) -> bool:
    """Whether a module's file belongs to an installed distribution or to Python itself, not to the project."""
    resolved = Path(path).resolve()
    if "site-packages" in resolved.parts or "dist-packages" in resolved.parts:
        return True
    return resolved.is_relative_to(Path(os.__file__).resolve().parent)
