"""The moment of a run: what has to be caught while it is made, in the kernel, beside the user's work.

The commit and what differs from it, the environment with its threads and seeds, the machine. All but threads and seeds is
kept until it changes, and nothing heavy is imported for it: it is caught after every cell that logs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from functools import lru_cache
from typing import Any

from nbops.project import Project
from nbops.snapshot import code, environment, hardware
from nbops.tracking.redaction import masks
from nbops.tracking.redaction.diffs import redact_diff


def prepare() -> None:
    """Find out what takes longest the first time, while nobody waits for a cell yet: what is installed."""
    environment.installed()


def moment(project: Project, *, seeds: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the code version's git part and the environment version as they are now, in plain values.

    Parameters
    ----------
    project
        Where the code is.
    seeds
        Those that were in force when the run was made, where that was before.
    """
    version = code.capture(project.root, ())
    found = environment.capture(seeds)
    return {
        "code": {
            "commit": version.commit,
            "branch": version.branch,
            "dirty": version.dirty,
            "diff": _redacted(version.diff, masks.rules()),
            "modules": code.loaded_modules(project.root),
        },
        "environment": {"digest": found.digest, **_shallow(found), "hardware": _shallow(hardware.capture())},
        "lock": found.lock,
    }


@lru_cache(maxsize=2)
def _redacted(diff: str, rules: tuple[object, ...]) -> str:
    """Return the difference, masked by these rules: a secret that is learned later is masked from then on."""
    return redact_diff(diff)


def _shallow(value: Any) -> dict[str, Any]:
    found = {field.name: getattr(value, field.name) for field in fields(value)}
    return {name: list(held) if isinstance(held, tuple) else held for name, held in found.items()}
