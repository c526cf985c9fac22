"""A shared database: migrated once and said, by whoever comes first; what is wrong with it is told without its password."""

from __future__ import annotations

import threading
from pathlib import Path

import psycopg
import pytest

from nbops.errors import MissingExtra, TrackingError
from nbops.project import Project
from nbops.tracking.store import Store
from nbops.tracking.store.migration import ensure_migrated
from postgres import Cluster

pytestmark = pytest.mark.slow


def on(root: Path, uri: str) -> Store:
    return Store(Project(root, {"tracking": {"uri": uri}}))


def test_two_first_users_migrate_once_and_say_so(postgres: Cluster) -> None:
    uri = postgres.create()
    told: list[str] = []
    failures: list[BaseException] = []

    def first_use() -> None:
        try:
            ensure_migrated(uri, told.append)
        except BaseException as error:
            failures.append(error)
            raise

    users = [threading.Thread(target=first_use) for _ in range(2)]
    for user in users:
        user.start()
    for user in users:
        user.join()
    assert not failures
    assert len(told) == 1
    assert "secret" not in told[0]
    ensure_migrated(uri, told.append)
    assert len(told) == 1


def test_artifacts_go_below_the_project_unless_it_says_where(postgres: Cluster, migrated: str, tmp_path: Path) -> None:
    store = on(tmp_path, postgres.create(template=migrated))
    run_id = store.start_run("x")
    store.log_text(run_id, "here", "a.txt")
    (kept,) = (tmp_path / ".nbops/artifacts").rglob("a.txt")
    assert kept.read_text() == "here"
    assert store.run(run_id).artifacts == ["a.txt"]


def test_what_is_wrong_is_told_without_the_password(postgres: Cluster, migrated: str, tmp_path: Path) -> None:
    good = postgres.create(template=migrated)
    for wrong, told in (
        (good.replace("secret", "hunter2"), "password authentication failed"),
        (f"{good}_gone", "does not exist"),
    ):
        with pytest.raises(TrackingError, match=told) as caught:
            on(tmp_path, wrong).runs()
        assert "hunter2" not in str(caught.value)
        assert "secret" not in str(caught.value)
        assert "[tracking] uri" in str(caught.value)
    with psycopg.connect(good, autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'of another MLflow'")
    with pytest.raises(TrackingError, match="another MLflow") as caught:
        on(tmp_path, good).runs()
    assert "mlflow db upgrade" in str(caught.value)


def test_a_driver_that_is_missing_is_named(postgres: Cluster, tmp_path: Path) -> None:
    uri = postgres.create().replace("postgresql://", "postgresql+asyncpg://")
    with pytest.raises(MissingExtra, match=r"nbops\[postgres\]"):
        on(tmp_path, uri).runs()
