"""Versions of the distributions that a notebook's imports need, remembered while nothing is installed or removed.

Finding which distribution provides a module reads the metadata of all of them, a tenth of a second or more; listing
what is installed takes less than a millisecond, and tells whether the last answer still holds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nbops.notebook.document import write_atomically
from nbops.pipeline.keys import digest_of
from nbops.snapshot.environment import distributions_for, installed

_FORMAT = 1


class Versions:
    """Answers of `distributions_for`, kept in a file."""

    def __init__(self, memo: Path) -> None:
        self._memo = memo
        self._installed = digest_of(installed())
        self._known = self._load()
        self._changed = False

    def of(self, modules: Iterable[str]) -> dict[str, str]:
        """Return version by distribution for what importing some modules needs."""
        wanted = sorted(set(modules))
        if not wanted:
            return {}
        name = " ".join(wanted)
        if name not in self._known:
            self._known[name] = distributions_for(wanted)
            self._changed = True
        return self._known[name]

    def save(self) -> None:
        """Write what was learnt."""
        if self._changed:
            content = {"format": _FORMAT, "installed": self._installed, "versions": self._known}
            write_atomically(self._memo, json.dumps(content).encode())
            self._changed = False

    def _load(self) -> dict[str, dict[str, str]]:
        try:
            content: Any = json.loads(self._memo.read_text(encoding="utf-8"))
            if content["format"] != _FORMAT or content["installed"] != self._installed:
                return {}
            return {str(name): dict(versions) for name, versions in content["versions"].items()}
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return {}  # it is only a memory: without it the metadata is read again
