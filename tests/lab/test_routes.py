"""The REST routes of a real Jupyter server, asked over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("route", ["project", "runs", "runs/abc", "cells?notebook=chirp.ipynb"])
def test_every_route_wants_a_token(lab: Any, route: str) -> None:
    assert lab.get(route, authenticated=False).status_code == 403


def test_describes_the_project_of_the_served_folder(lab: Any) -> None:
    assert lab.get("project").json() == {
        "name": "crickets",
        "root": ".",
        "served": "",
        "experiment": "crickets",
        "tracked": True,
    }


def test_a_notebook_belongs_to_the_nearest_project(lab: Any) -> None:
    said = lab.get("project", path="inner/not-saved-yet.ipynb").json()
    assert (said["name"], said["root"], said["tracked"]) == ("inner", "inner", False)


def test_lists_runs_newest_first(lab: Any) -> None:
    page = lab.get("runs").json()
    ours = [run for run in page["runs"] if run["name"] in {"first", "second"}]
    assert [run["name"] for run in ours] == ["second", "first"]
    assert ours[1]["params"] == {"window": "3"}
    assert ours[1]["metrics"] == {"auc": 0.71}
    assert ours[1]["versions"]["code"] == "1a2b3c4d"
    assert ours[0]["metrics"]["auc"] is None, "JSON has no NaN"
    assert page["more"] is False


def test_says_when_there_are_older_runs(lab: Any) -> None:
    page = lab.get("runs", limit="1").json()
    assert len(page["runs"]) == 1
    assert page["more"] is True


@pytest.mark.parametrize("limit", ["0", "-1", "many", "1e3", "99999"])
def test_a_limit_that_cannot_be_meant_is_refused(lab: Any, limit: str) -> None:
    answer = lab.get("runs", limit=limit)
    assert answer.status_code == 400
    assert "whole number" in answer.json()["message"]


def test_shows_a_run_by_a_prefix_of_its_id(lab: Any) -> None:
    run = lab.runs[0]
    detail = lab.get(f"runs/{run[:12]}").json()
    assert detail["summary"]["run_id"] == run
    assert detail["tags"]["nbops.notebook"] == "chirp.ipynb"


def test_an_unknown_run_is_a_problem_with_a_reason(lab: Any) -> None:
    answer = lab.get("runs/ffffffffffffffffffffffffffffffff")
    assert answer.status_code == 404
    assert set(answer.json()) == {"message", "where", "remedy"}
    assert answer.json()["message"]


def test_badges_tell_how_each_cell_ended(lab: Any) -> None:
    badges = {badge["cell_id"]: badge for badge in lab.get("cells", notebook="chirp.ipynb").json()}
    assert {cell: badge["outcome"] for cell, badge in badges.items()} == {
        "train": "ok",
        "oops": "error",
        "long": "running",
    }
    assert badges["train"]["runs"] == lab.runs
    assert badges["train"]["duration"] == 0.5
    assert len(badges["train"]["version"]) == 8


def test_a_notebook_without_records_has_no_badges(lab: Any) -> None:
    assert lab.get("cells", notebook="other.ipynb").json() == []


def test_cells_wants_a_notebook(lab: Any) -> None:
    assert lab.get("cells").status_code == 400


def test_looking_writes_nothing_into_an_untracked_project(lab: Any) -> None:
    assert lab.get("runs", path="inner").json() == {"runs": [], "more": False}
    assert lab.get("cells", notebook="inner/a.ipynb").json() == []
    answer = lab.get("runs/abc", path="inner")
    assert (answer.status_code, answer.json()["remedy"]) == (404, "run %load_ext nbops")
    assert [path.name for path in (lab.root / "inner").iterdir()] == ["nbops.toml"]


@pytest.mark.parametrize("path", ["..", "../x.ipynb", "inner/../../x", "/../x", "door/x.ipynb"])
def test_paths_that_lead_out_of_the_served_folder_are_refused(lab: Any, path: str, tmp_path: Any) -> None:
    door = lab.root / "door"
    if not door.is_symlink():
        door.symlink_to(tmp_path)
    for answer in (lab.get("runs", path=path), lab.get("cells", notebook=path), lab.get("project", path=path)):
        assert answer.status_code == 403
        assert answer.json()["message"]


def test_a_broken_configuration_is_the_users_to_mend(lab: Any) -> None:
    (lab.root / "broken").mkdir(exist_ok=True)
    (lab.root / "broken" / "nbops.toml").write_text("[tracking\n")
    answer = lab.get("runs", path="broken/a.ipynb")
    assert answer.status_code == 400
    assert "TOML" in answer.json()["message"]
    assert answer.json()["where"].endswith("nbops.toml")
