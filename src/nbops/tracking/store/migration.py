"""A migrated tracking database without the wait.

MLflow creates its schema by replaying every migration, which takes 7 to 15 seconds. For SQLite it is done once a user and
MLflow version, into a template in the user's cache folder; a new project's store is a copy of the template. Any other
database is migrated here too, before MLflow would do it unasked: once, under a lock of the database's own, and said. A
project's own SQLite file that an older MLflow left is copied beside itself and upgraded; a shared database is not, because
others use it with the MLflow that they have.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbops.errors import MissingExtra, TrackingError
from nbops.tracking.store.reach import without_password

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

_PREFIX = "sqlite:///"
_DATABASES = ("postgresql", "mysql", "mssql", "sqlite")
_LOCK = 0x6E626F7073  # "nbops"


def is_database(uri: str) -> bool:
    """Whether a tracking URI is that of a database, which MLflow talks to without a server."""
    return uri.partition(":")[0].partition("+")[0] in _DATABASES


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
    """Make sure that a tracking database exists with its schema; a server's is its own business.

    Parameters
    ----------
    uri
        The MLflow tracking URI.
    say
        Told when the slow path is taken.

    Raises
    ------
    TrackingError
        If the database can't be opened, or another version of MLflow made its schema.
    """
    if uri.startswith(_PREFIX):
        _ensure_file(Path(uri.removeprefix(_PREFIX)), say)
    elif is_database(uri):
        _ensure_database(uri, say)


def _ensure_file(database: Path, say: Callable[[str], None] | None) -> None:
    if database.exists():
        if database.parent.name == ".nbops":
            _ensure_upgraded(database, say)
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


def _ensure_upgraded(database: Path, say: Callable[[str], None] | None) -> None:
    """Upgrade a file that an older MLflow left, keeping a copy; whether it's older costs one small query."""
    template = _template_path()
    if not template.exists() or _file_revision(database) in (None, _file_revision(template)):
        return
    from filelock import FileLock
    from mlflow.store.db.utils import _upgrade_db
    from sqlalchemy import NullPool, create_engine

    with FileLock(f"{database}.lock"):
        found = _file_revision(database)
        if found == _file_revision(template):
            return
        if say:
            say("upgrading the tracking database for this version of MLflow (once, some ten seconds)")
        kept = database.with_name(f"{database.name}.{found}.bak")
        shutil.copyfile(database, kept)
        engine = create_engine(f"{_PREFIX}{database}", poolclass=NullPool)
        try:
            _upgrade_db(engine)
        except Exception as error:  # alembic knows no order for a revision that this MLflow hasn't heard of
            shutil.copyfile(kept, database)
            raise TrackingError(
                f"the database's schema can't be upgraded from revision {found}: {error}",
                where=str(database),
                remedy="was it used with a newer MLflow? then install that one; the database is as it was",
            ) from error
        finally:
            engine.dispose()


def _file_revision(database: Path) -> str | None:
    import sqlite3

    connection = sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)
    try:
        found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error:  # not MLflow's, or not whole: MLflow will say
        return None
    finally:
        connection.close()
    return str(found[0]) if found else None


def _ensure_database(uri: str, say: Callable[[str], None] | None) -> None:
    from sqlalchemy import NullPool, create_engine
    from sqlalchemy.exc import DBAPIError, NoSuchModuleError

    shown = without_password(uri)
    try:
        engine = create_engine(uri, poolclass=NullPool)
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise MissingExtra("postgres", f"{shown}: this database ({error})") from error
    try:
        with _alone(engine) as connection:
            found = _revision(connection)
            if found is None:
                if say:
                    say(f"preparing the tracking database {shown} (once, some ten seconds)")
                _initialize(engine)
            elif found != _newest():
                raise TrackingError(
                    f"the database's schema is of another MLflow (revision {found}, this one's is {_newest()})",
                    where=shown,
                    remedy="install the MLflow that the others use, or back the database up and run "
                    f"`mlflow db upgrade {shown}`",
                )
    except DBAPIError as error:
        reason = str(error.orig).strip().split("\n")[0]
        remedy = "check user, password and the database's name in `[tracking] uri`; an empty database is enough"
        raise TrackingError(f"can't open the tracking database: {reason}", where=shown, remedy=remedy) from error
    finally:
        engine.dispose()


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """Hold a lock on the database, where it has one to give, so that two first users don't migrate it at once."""
    from sqlalchemy import text

    with engine.connect() as connection:
        locks = engine.dialect.name == "postgresql"
        if locks:
            connection.execute(text(f"SELECT pg_advisory_lock({_LOCK})"))
        try:
            yield connection
        finally:
            if locks:
                connection.rollback()
                connection.execute(text(f"SELECT pg_advisory_unlock({_LOCK})"))


def _revision(connection: Connection) -> str | None:
    from alembic.migration import MigrationContext

    found = MigrationContext.configure(connection).get_current_revision()
    connection.commit()
    return found


def _newest() -> str:
    from mlflow.store.db.utils import _get_latest_schema_revision

    return str(_get_latest_schema_revision())


def _initialize(engine: Any) -> None:
    from mlflow.store.db.utils import _initialize_tables

    _initialize_tables(engine)


def _template_path() -> Path:
    from importlib.metadata import version

    return cache_folder() / f"mlflow-{version('mlflow')}.db"


def _template(say: Callable[[str], None] | None) -> Path:
    from filelock import FileLock

    template = _template_path()
    template.parent.mkdir(parents=True, exist_ok=True)
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
    from sqlalchemy import NullPool, create_engine

    engine = create_engine(f"{_PREFIX}{database}", poolclass=NullPool)
    _initialize(engine)
    engine.dispose()
