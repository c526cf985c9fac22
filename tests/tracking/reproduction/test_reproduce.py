"""Runs made again in a copy of the project: what they are compared by, what stays as it was, and how it can end."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from live import LiveNotebook
from lives_study import Study
from nbops.cli.runs import command
from nbops.errors import TrackingError
from nbops.project import Project
from nbops.tracking.recording.records import read
from nbops.tracking.reproduction.reproduce import REPRODUCTION_ARTIFACT, reproduce
from nbops.tracking.store import Store

pytestmark = pytest.mark.slow


def fingerprints(root: Path) -> dict[str, tuple[str, int]]:
    """Return content and time of each of a project's own files."""
    return {
        str(path.relative_to(root)): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in sorted(root.rglob("*"))
        if path.is_file() and ".nbops" not in path.parts and "__pycache__" not in path.parts
    }


@contextmanager
def changed(path: Path, old: str, new: str) -> Iterator[None]:
    """Change a file for a while."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(text, encoding="utf-8")


def test_a_run_is_reproduced_and_nothing_is_touched(study: Study) -> None:
    before = fingerprints(study.root)
    seen: list[tuple[int, int]] = []
    made = reproduce(study.store, study.edited, progress=lambda count, total: seen.append((count, total)))
    assert made.said() == "reproduced", [check for check in made.checks if check.level != "same"]
    assert fingerprints(study.root) == before
    assert list((study.project.state / "replay").iterdir()) == []
    assert seen[-1][0] <= seen[-1][1] == made.cells
    assert {check.kind for check in made.checks} >= {"input", "cell", "param", "metric", "model", "output"}
    run, again = study.store.run(study.edited), study.store.run(str(made.again))
    assert run.tags["nbops.reproduced"] == "reproduced"
    assert again.tags["nbops.reproduces"] == study.edited
    assert again.summary.status == "FINISHED"
    assert again.summary.versions.code == run.summary.versions.code
    assert [cell["source"] for cell in again.snapshot["code"]["cells"]] == [
        piece["source"] for piece in study.store.read_json(study.edited, "nbops/recipe.json")["pieces"]
    ]
    assert study.store.resolve("latest") == study.edited
    listed = CliRunner().invoke(command, [str(study.root), "--json"])
    assert made.again not in listed.stdout
    assert made.again in CliRunner().invoke(command, [str(study.root), "--json", "--all"]).stdout
    assert again.summary.params["C"] == "0.1"
    assert again.summary.metrics == run.summary.metrics
    kept = study.store.read_json(study.edited, REPRODUCTION_ARTIFACT)
    assert (kept["verdict"], kept["tolerance"]) == ("reproduced", {"exact": 1e-9, "close": 1e-2})
    assert made.notebook
    assert (study.root / made.notebook).is_file()
    assert read(study.project.sessions / f"{again.tags['nbops.session']}.jsonl").closed


def test_what_differs_first_is_named(study: Study) -> None:
    with changed(study.root / "data" / "in.csv", "\n1,3,0\n", "\n6,0,1\n"):
        made = reproduce(study.store, study.first)
    assert made.verdict == "differs"
    assert made.first
    assert (made.first.kind, made.first.name, made.first.cell_id) == ("input", "data/in.csv", "read")
    assert made.said().startswith(f"differs, here: cell {made.first.position} (read), input data/in.csv")
    assert study.store.run(study.first).tags["nbops.reproduced"] == "differs"


def test_a_recipe_that_fails_names_the_cell(study: Study) -> None:
    with changed(study.root / "ground.py", "return df.a", "return df.nothing"):
        made = reproduce(study.store, study.first)
    assert made.verdict == "differs"
    assert made.first
    assert (made.first.kind, made.first.cell_id) == ("cell", "features")
    assert "AttributeError" in made.first.after
    assert made.again
    assert study.store.run(made.again).summary.status == "FAILED"


def test_an_interrupt_leaves_nothing_under_way(study: Study) -> None:
    code = "import time; time.sleep(60)"
    with changed(study.root / "ground.py", "def ratio", f"{code}\ndef ratio"):
        process = subprocess.Popen(
            [sys.executable, "-m", "nbops", "reproduce", study.first],
            cwd=study.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        assert process.stdout
        for line in process.stdout:
            if line.startswith(("cell 1", "cell 2")):
                break
        time.sleep(1)
        os.killpg(process.pid, signal.SIGINT)
        said = process.communicate(timeout=60)[0]
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert list((study.project.state / "replay").iterdir()) == []
    assert not [run for run in study.store.runs() if run.status == "RUNNING"]


@pytest.fixture(scope="module")
def dice(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Return a project whose notebook made three runs: without a seed, over a file by its absolute path, with a secret."""
    root = tmp_path_factory.mktemp("dice") / "dice"
    root.mkdir()
    (root / "nbops.toml").write_text('[project]\nname = "dice"\n', encoding="utf-8")
    (root / "kept.txt").write_text("kept", encoding="utf-8")
    cells = [
        ("load", "%load_ext nbops"),
        ("throw", "%%nbops run throw\nimport mlflow, random\nmlflow.log_metric('pips', 1000 * random.random())"),
        (
            "write",
            "%%nbops run write\nimport mlflow, os, json\n"
            "place = json.loads(os.environ.get('NBOPS_REPLAY_GUARD', '{\"folder\": \".\"}'))\n"
            "path = os.path.join(place['folder'], 'kept.txt')\n"
            "with open(path, 'a') as file:\n    file.write('')\nmlflow.log_metric('written', 1)",
        ),
        (
            "secret",
            "import nbops\npassword = 'hunter2'\nwith nbops.run('secret'):\n    mlflow.log_metric('length', len(password))",
        ),
    ]
    live = LiveNotebook(root / "dice.ipynb", cells)
    with live:
        assert live.run() == ["ok"] * 4
    return Store(Project.find(root))


def test_what_is_drawn_without_a_seed_differs(dice: Store) -> None:
    made = reproduce(dice, "throw")
    assert made.first
    assert (made.verdict, made.first.kind, made.first.name) == ("differs", "metric", "pips")


def test_the_project_is_guarded_from_its_own_runs(dice: Store) -> None:
    made = reproduce(dice, "write")
    assert made.verdict == "differs"
    assert made.first
    assert "PermissionError" in made.first.after
    assert (dice.project.root / "kept.txt").read_text(encoding="utf-8") == "kept"


def test_a_masked_secret_is_no_recipe(dice: Store) -> None:
    with pytest.raises(TrackingError, match="holds a secret, which was masked"):
        reproduce(dice, "secret")


def test_a_project_that_is_too_large_is_not_copied(dice: Store) -> None:
    with pytest.raises(TrackingError, match="too large to be copied"):
        reproduce(dice, "throw", max_copy=10)
    assert list((dice.project.state / "replay").iterdir()) == []


def test_the_verdict_as_json(dice: Store) -> None:
    thrown = [run.run_id for run in dice.runs() if run.name == "throw" and run.notebook == "dice.ipynb"]
    answer = subprocess.run(
        [sys.executable, "-m", "nbops", "reproduce", thrown[0], "--tolerance", "1e9", "--json"],
        cwd=dice.project.root,
        capture_output=True,
        text=True,
        check=False,
    )
    content = json.loads(answer.stdout)
    assert (answer.returncode, content["verdict"], content["again"] is not None) == (0, "close", True), content["first"]
