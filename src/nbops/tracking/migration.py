"""A migrated SQLite store without the wait.

MLflow creates its schema by replaying every migration, which takes 7 to 15 seconds. It is done once a user and MLflow
version, into a template in the user's cache folder; a new project's store is a copy of the template.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

_PREFIX = "sqlite:///"


def cache_folder() -> Path:
    """Return the per-user cache folder: ``NBOPS_CACHE``, else the platform's own place for caches."""
    if configured := os.environ.get("NBOPS_CACHE"):
        return Path(configured)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "nbops"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "nbops" / "Cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nbops"


def ensure_migrated(uri: str, say: Callable[[str], None] | None = None) -> None:
    """Make sure that a SQLite tracking store exists with its schema; other stores are left alone.

    Parameters
    ----------
    uri
        The MLflow tracking URI.
    say
        Told when the slow path is taken.
    """
    if not uri.startswith(_PREFIX):
        return
    database = Path(uri.removeprefix(_PREFIX))
    if database.exists():
        return
    from filelock import FileLock

    database.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{database}.lock"):
        if database.exists():
            return
        copy = database.with_name(f"{database.name}.{os.getpid()}.new")
        copy.unlink(missing_ok=True)
        try:
            shutil.copyfile(_template(say), copy)
        except PermissionError:  # no cache folder: slow each time, but it works
            _migrate(copy)
        copy.replace(database)


def _template(say: Callable[[str], None] | None) -> Path:
    from importlib.metadata import version

    from filelock import FileLock

    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    template = folder / f"mlflow-{version('mlflow')}.db"
    with FileLock(f"{template}.lock"):
        if not template.exists():
            if say:
                say("preparing the tracking database (once per user, about ten seconds)")
            fresh = template.with_name(f"{template.stem}.{os.getpid()}.new")
            fresh.unlink(missing_ok=True)
            _migrate(fresh)
            fresh.replace(template)
    return template


def _migrate(database: Path) -> None:
    from mlflow.store.db.utils import _initialize_tables
    from sqlalchemy import NullPool, create_engine

    engine = create_engine(f"{_PREFIX}{database}", poolclass=NullPool)
    _initialize_tables(engine)
    engine.dispose()
