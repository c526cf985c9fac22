"""The store where it isn't the same on every database (see `stores/` for what is): first use, upgrades, and no answer."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from nbops.errors import TrackingError
from nbops.project import Project
from nbops.tracking.schema import DatasetVersion
from nbops.tracking.store import Store


@pytest.fixture
def store(project: Project) -> Store:
    return Store(project)


def test_a_store_that_nothing_wrote_is_empty_and_stays_unmade(store: Store, project: Project) -> None:
    assert store.runs() == []
    assert not store.exists
    with pytest.raises(TrackingError, match="no run"):
        store.resolve("latest")
    assert not project.state.exists()


def test_a_dataset_that_others_logged_in_their_own_words(store: Store) -> None:
    from mlflow.entities import Dataset, DatasetInput

    run_id = store.start_run("x")
    odd = Dataset("odd", "1", "delta", "not json", schema="[1]", profile='{"num_rows": "many"}')
    store.client.log_inputs(run_id, datasets=[DatasetInput(odd, [])])
    assert store.run(run_id).datasets == [DatasetVersion("odd", "not json", "1")]


def test_the_schema_is_copied_not_migrated_again(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Store(project).start_run("fills the user's cache")
    other = Project(tmp_path / "other")
    told: list[str] = []
    began = time.monotonic()
    Store(other, say=told.append).start_run("x")
    assert told == []
    assert time.monotonic() - began < 5


def test_a_store_of_an_older_mlflow_is_upgraded_and_kept(project: Project) -> None:
    store = Store(project)
    store.start_run("before")
    database = project.state / "mlflow.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'not a revision of any MLflow'")
        connection.commit()
    with pytest.raises(TrackingError, match="the database is as it was"):
        Store(project).runs()
    assert list(project.state.glob("mlflow.db.*.bak"))


@pytest.mark.parametrize(
    "uri", ["http://127.0.0.1:1", "postgresql://someone:hunter2@127.0.0.1:1/runs", "https://127.0.0.1:1/mlflow"]
)
def test_a_store_that_does_not_answer_is_told_at_once(project: Project, uri: str) -> None:
    (project.root / "nbops.toml").write_text(f'[tracking]\nuri = "{uri}"\n', encoding="utf-8")
    began = time.monotonic()
    with pytest.raises(TrackingError, match="doesn't answer") as caught:
        Store(Project.find(project.root)).runs()
    assert time.monotonic() - began < 5
    assert "hunter2" not in str(caught.value)
