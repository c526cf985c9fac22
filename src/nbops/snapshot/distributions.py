"""What is installed: names, versions, and where from if not from a registry.

Names and versions are read from the names of ``*.dist-info`` folders (0.4 ms for 145 of them); of their files only
``direct_url.json`` is looked for, which installers write beside what came from a repository, an archive or a folder
(PEP 610). All of it is kept until a folder of ``sys.path`` changes, which installing, upgrading and removing does.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

_Stamp = tuple[tuple[str, int], ...]


LOCAL = "local project"
EDITABLE = "local project (editable)"
_SEPARATORS = re.compile(r"[-_.]+")


@dataclass(frozen=True, slots=True)
class Installed:
    """All distributions.

    Attributes
    ----------
    versions
        Version by canonical name.
    direct
        Where those came from that no registry gave: an address without credentials, with the commit of a repository,
        `LOCAL` or `EDITABLE`.
    """

    versions: Mapping[str, str]
    direct: Mapping[str, str]

    @property
    def commits(self) -> dict[str, str]:
        """The commit of each distribution that came from a repository."""
        return {
            name: where.partition("#")[0].rpartition("@")[2] for name, where in self.direct.items() if _is_vcs(where)
        }


_kept: tuple[_Stamp, Installed] | None = None


def installed() -> Installed:
    """Return the distributions on ``sys.path``, the same object until they change; the first on the path wins."""
    global _kept
    stamp = _stamp()
    if _kept is None or _kept[0] != stamp:
        versions: dict[str, str] = {}
        direct: dict[str, str] = {}
        for folder, _ in stamp:
            for name, version, entry in _scan(folder):
                if name not in versions:
                    versions[name] = version
                    if found := _direct(entry):
                        direct[name] = found
        _kept = stamp, Installed(versions, direct)
    return _kept[1]


def canonical(name: str) -> str:
    """Return a distribution's name as all tools compare it (PEP 503); `packaging` takes 30 ms to import."""
    return _SEPARATORS.sub("-", name).lower()


def requirement(name: str, version: str, where: str | None) -> str:
    """Return the line of a lock for a distribution: a requirement, or a comment that says why there is none."""
    if where is None:
        public, _, build = version.partition("+")  # "2.4.0+cpu" is a build that only its own index has
        return f"{name}=={public}" + (f"  # {version} where it was locked" if build else "")
    if where.startswith("local "):
        return f"# {name}=={version} is a {where}: install it from there"
    return f"{name} @ {where}"


def _stamp() -> _Stamp:
    found = []
    for folder in dict.fromkeys(sys.path):
        try:
            found.append((folder or ".", os.stat(folder or ".").st_mtime_ns))  # noqa: PTH116  # 10 times as fast
        except OSError:  # sys.path may name folders that aren't there
            continue
    return tuple(found)


def _scan(folder: str) -> Iterator[tuple[str, str, str]]:
    try:
        entries = list(os.scandir(folder))
    except OSError:  # a zip file
        return
    for entry in entries:
        stem, dot, ending = entry.name.rpartition(".")
        if dot and ending in ("dist-info", "egg-info") and "-" in stem:
            name, version = stem.split("-")[:2]
            yield canonical(name), version, entry.path


def _direct(folder: str) -> str | None:
    file = f"{folder}/direct_url.json"
    if not os.access(file, os.F_OK):  # nearly none has one, and an exception takes 10 times as long
        return None
    try:
        told = json.loads(Path(file).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return _understood(told, Path(folder)) if isinstance(told, dict) else None


def _understood(told: Mapping[str, Any], folder: Path) -> str | None:
    url = _without_credentials(str(told.get("url", "")))
    part = f"#subdirectory={told['subdirectory']}" if told.get("subdirectory") else ""
    if isinstance(vcs := told.get("vcs_info"), dict):
        commit = vcs.get("commit_id", "")
        return (
            f"local repository @{commit}"
            if url.startswith("file:")
            else f"{vcs.get('vcs', 'git')}+{url}@{commit}{part}"
        )
    if isinstance(local := told.get("dir_info"), dict) and local.get("editable"):
        return EDITABLE
    if url.startswith("file:"):
        return None if _by_conda(folder) else LOCAL
    return url + part


def _is_vcs(where: str) -> bool:
    return where.startswith(("git+", "hg+", "svn+", "bzr+", "local repository"))


def _by_conda(folder: Path) -> bool:
    """Whether Conda installed it, whose direct URLs name the folders of a build machine."""
    try:
        return (folder / "INSTALLER").read_text("utf-8").strip() == "conda"
    except OSError:  # no installer said so
        return False


def _without_credentials(url: str) -> str:
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    kept = f"{user.partition(':')[0]}@" if at and parts.scheme.endswith("ssh") else ""
    return urlunsplit((parts.scheme, kept + host, parts.path, "", ""))
