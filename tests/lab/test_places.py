"""Paths of the browser, relative to the served folder, as paths of a project."""

from __future__ import annotations

from pathlib import Path

import pytest

from nbops.lab.places import PathRefused, locate


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """repo/ is a project; repo/notebooks/ holds a notebook."""
    notebooks = tmp_path / "repo" / "notebooks"
    notebooks.mkdir(parents=True)
    (tmp_path / "repo" / "nbops.toml").write_text("")
    (notebooks / "a.ipynb").write_text("{}")
    return tmp_path


def test_the_project_may_lie_below_the_served_folder(tree: Path) -> None:
    place = locate(tree, "repo/notebooks/a.ipynb")
    assert (place.root, place.served, place.path) == ("repo", "", "notebooks/a.ipynb")
    assert place.project.root == tree / "repo"


def test_the_project_may_be_the_served_folder(tree: Path) -> None:
    place = locate(tree / "repo", "notebooks/a.ipynb")
    assert (place.root, place.served, place.path) == (".", "", "notebooks/a.ipynb")


def test_the_project_may_lie_around_the_served_folder(tree: Path) -> None:
    place = locate(tree / "repo" / "notebooks", "a.ipynb")
    assert (place.root, place.served, place.path) == ("..", "notebooks", "notebooks/a.ipynb")


def test_a_leading_slash_means_the_served_folder(tree: Path) -> None:
    assert locate(tree / "repo", "/notebooks/a.ipynb").path == "notebooks/a.ipynb"


def test_a_notebook_that_is_not_there_yet_has_a_project(tree: Path) -> None:
    assert locate(tree, "repo/notebooks/new/b.ipynb").path == "notebooks/new/b.ipynb"


def test_the_project_in_the_environment_is_not_meant_here(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBOPS_PROJECT", "/")
    assert locate(tree / "repo").project.root == tree / "repo"


@pytest.mark.parametrize("path", ["../x", "notebooks/../../x", "..", "a\0b"])
def test_paths_out_of_the_served_folder_are_refused(tree: Path, path: str) -> None:
    with pytest.raises(PathRefused):
        locate(tree / "repo", path)


def test_a_link_that_leads_out_is_refused(tree: Path) -> None:
    (tree / "repo" / "door").symlink_to(tree)
    with pytest.raises(PathRefused, match="leads out"):
        locate(tree / "repo", "door/x.ipynb")
