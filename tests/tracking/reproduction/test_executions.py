"""All executions of a cell, the last run, and the same as DataFrames and on the command line."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import nbops
from lives_study import Study
from nbops.errors import TrackingError
from nbops.tracking.reproduction.executions import history
from nbops.tracking.reproduction.latest import latest

pytestmark = pytest.mark.slow


def test_a_cell_by_its_id_number_and_name(study: Study) -> None:
    by_id = history(study.project, "fit")
    assert [(one.seq, one.outcome) for one in by_id] == [(7, "ok"), (9, "ok")]
    assert by_id[0].version != by_id[1].version
    assert "-strength = 0.5" in by_id[1].diff
    assert "+strength = 0.1" in by_id[1].diff
    assert [one.runs for one in by_id] == [(study.first,), (study.edited,)]
    assert [one.seq for one in history(study.project, "7")] == [7, 9]
    assert [one.cell_id for one in history(study.project, "unused")] == ["aside"]
    assert history(study.project, "boom")[0].error == "ZeroDivisionError: division by zero"
    assert len(history(study.project)) == 9


def test_an_unknown_or_ambiguous_cell_says_so(study: Study) -> None:
    with pytest.raises(TrackingError, match="no executed cell"):
        history(study.project, "nowhere")
    with pytest.raises(TrackingError, match="no cell was recorded"):
        history(study.project, "fit", notebook="other.ipynb")


def test_the_last_run_and_the_one_before(study: Study) -> None:
    run, before = latest(study.store, "study.ipynb")
    assert run.run_id == study.edited
    assert before
    assert before.run_id == study.first


def test_dataframes(study: Study) -> None:
    root = study.root
    runs = nbops.runs(project=root)
    assert {study.first, study.edited} <= set(runs.index)
    assert runs.loc[study.edited, "params.C"] == "0.1"
    assert str(runs["started"].dtype).startswith("datetime64")
    shown = nbops.show(study.edited, project=root)
    assert set(shown.loc[shown.kind == "version", "name"]) == {"code", "data", "model", "environment", "experiment"}
    differences = nbops.diff(study.first, study.edited, project=root)
    assert "C" in set(differences.loc[differences.kind == "params", "name"])
    executions = nbops.history("fit", project=root)
    assert list(executions["seq"]) == [7, 9]
    stale = nbops.stale(root / "study.ipynb")
    assert list(stale.columns) == ["notebook", "cell", "cell_id", "executed", "reason", "what", "chain"]
    assert nbops.runs(where="metrics.nothing > 1", project=root).empty


def test_the_command_line(study: Study) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "nbops", *arguments], cwd=study.root, capture_output=True, text=True, check=False
        )

    listed = run("history", "fit")
    assert listed.returncode == 0, listed.stderr
    assert study.first[:8] in listed.stdout
    assert "+strength = 0.1" in listed.stdout
    assert [one["seq"] for one in json.loads(run("history", "fit", "--json").stdout)] == [7, 9]
    last = run("last", "study.ipynb")
    assert last.returncode == 0, last.stderr
    assert study.edited in last.stdout
    assert study.first[:8] in last.stdout
    stale = run("stale", "study.ipynb", "--exit-code", "--json")
    assert stale.returncode == (1 if json.loads(stale.stdout) else 0)
    printed = run("restore", study.first[:8], "-o", "-")
    assert json.loads(printed.stdout)["nbformat"] == 4
    refused = run("restore", study.first[:8], "-o", "study.ipynb")
    assert (refused.returncode, "there is a file already" in refused.stderr) == (1, True)
    swept = run("gc", "--dry-run", "--older-than", "0d", "--keep", "0", "--json")
    assert json.loads(swept.stdout)["removed"] == []
