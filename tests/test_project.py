"""Projects: found from anywhere inside, their settings checked."""

from __future__ import annotations

from pathlib import Path

import pytest

from nbops.errors import ProjectError
from nbops.project import Project


def test_root_is_found_from_a_sub_folder(project: Project) -> None:
    deep = project.root / "a" / "b"
    deep.mkdir(parents=True)
    assert Project.find(deep).root == project.root
    assert Project.find(deep).name == "trial"


def test_root_is_found_from_a_file(project: Project) -> None:
    notebook = project.root / "n.ipynb"
    notebook.touch()
    assert Project.find(notebook).root == project.root


def test_the_nearest_settings_win(project: Project) -> None:
    inner = project.root / "inner"
    inner.mkdir()
    (inner / "nbops.toml").touch()
    assert Project.find(inner).root == inner


def test_git_root_without_settings(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "deep").mkdir()
    assert Project.find(tmp_path / "deep").root == tmp_path


def test_tracking_is_sqlite_by_default(project: Project) -> None:
    assert project.tracking_uri == f"sqlite:///{project.root}/.nbops/mlflow.db"
    assert project.artifact_root == (project.root / ".nbops" / "artifacts").as_uri()


def test_tracking_uri_from_settings_beats_the_environment(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    assert Project.find(project.root).tracking_uri == "http://127.0.0.1:1"
    assert Project.find(project.root).artifact_root is None
    (project.root / "nbops.toml").write_text('[tracking]\nuri = "http://127.0.0.1:2"\n')
    assert Project.find(project.root).tracking_uri == "http://127.0.0.1:2"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[traking]\n", "did you mean 'tracking'"),
        ('[tracking]\nurl = "x"\n', "did you mean 'uri'"),
        ("tracking = 3\n", "must be a table"),
        ("[tracking\n", "not valid TOML"),
    ],
)
def test_wrong_settings_name_the_file_and_the_remedy(project: Project, text: str, message: str) -> None:
    (project.root / "nbops.toml").write_text(text)
    with pytest.raises(ProjectError, match=message) as caught:
        Project.find(project.root)
    assert "nbops.toml" in caught.value.where


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="no such file or folder"):
        Project.find(tmp_path / "gone")


def test_relative_paths(project: Project) -> None:
    assert project.relative(project.root / "data" / "x.csv") == "data/x.csv"
    assert project.relative("/elsewhere/x.csv") == "/elsewhere/x.csv"


def test_what_is_recorded_can_be_set(tmp_path: Path) -> None:
    assert (Project(tmp_path).redact, Project(tmp_path).held_memory, Project(tmp_path).kept_output) == ((), 0.1, 10**6)
    told = {"redact": ["patient_*", "re:[a-z]"], "memory": "2GB", "outputs": "0"}
    project = Project(tmp_path, {"tracking": told})
    assert (project.redact, project.held_memory, project.kept_output) == (("patient_*", "re:[a-z]"), 2 * 10**9, 0)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("redact", "x"),
        ("redact", ["re:("]),
        ("memory", "much"),
        ("memory", "200%"),
        ("outputs", "10%"),
        ("outputs", True),
    ],
)
def test_what_cannot_be_set_says_so(tmp_path: Path, key: str, value: object) -> None:
    project = Project(tmp_path, {"tracking": {key: value}})
    name = {"memory": "held_memory", "outputs": "kept_output"}.get(key, key)
    with pytest.raises(ProjectError, match=f"tracking. {key}"):
        getattr(project, name)
