"""The command line as users meet it: a process, its output, its exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from loop import Loop
from nbops.project import Project


def nbops(*arguments: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "nbops", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize(
    "verb", ["init", "run", "status", "graph", "logs", "gc", "runs", "diff", "promote", "serve", "lab"]
)
def test_every_verb_has_help_with_examples(verb: str, tmp_path: Path) -> None:
    answer = nbops(verb, "--help", cwd=tmp_path)
    assert answer.returncode == 0
    assert "Examples:" in answer.stdout
    assert f"nbops {verb}" in answer.stdout


def test_help_lists_the_verbs_in_order(tmp_path: Path) -> None:
    listed = nbops("--help", cwd=tmp_path).stdout.split("Commands:")[1]
    verbs = [line.split()[0] for line in listed.splitlines() if line.startswith("  ") and line[2] != " "]
    assert verbs == sorted(verbs)
    assert {"init", "run", "runs", "show", "diff", "promote", "package", "serve", "lab"} <= set(verbs)


def test_an_unknown_verb_names_the_nearest(tmp_path: Path) -> None:
    answer = nbops("promot", cwd=tmp_path)
    assert answer.returncode == 2
    assert "did you mean 'promote'?" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_no_runs_yet_says_how_to_make_one(project: Project) -> None:
    answer = nbops("runs", cwd=project.root)
    assert answer.returncode == 0
    assert "%load_ext nbops" in answer.stdout
    assert json.loads(nbops("runs", "--json", cwd=project.root).stdout) == []


@pytest.mark.parametrize(
    "arguments", [("promote",), ("package",), ("serve",), ("show", "latest"), ("run",), ("runs", "nowhere")]
)
def test_what_cannot_be_done_yet_says_what_comes_first(arguments: tuple[str, ...], project: Project) -> None:
    answer = nbops(*arguments, cwd=project.root)
    assert answer.returncode in (1, 2)
    assert answer.stderr.startswith("error: ") or "Usage:" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_debug_shows_the_traceback(project: Project) -> None:
    assert "Traceback" in nbops("--debug", "show", "nowhere", cwd=project.root).stderr


def test_wrong_settings_stop_every_verb(project: Project) -> None:
    (project.root / "nbops.toml").write_text("[modle]\n")
    answer = nbops("runs", cwd=project.root)
    assert answer.returncode == 1
    assert "did you mean 'model'?" in answer.stderr


def test_completion_is_offered(tmp_path: Path) -> None:
    answer = nbops(cwd=tmp_path, _NBOPS_COMPLETE="bash_source")
    assert "complete" in answer.stdout


def test_init_keeps_what_is_there(tmp_path: Path) -> None:
    root = tmp_path / "churn"
    assert nbops("init", str(root), cwd=tmp_path).returncode == 0
    (root / "pipeline.yaml").write_text("mine")
    again = nbops("init", str(root), cwd=tmp_path)
    assert "kept  pipeline.yaml" in again.stdout
    assert (root / "pipeline.yaml").read_text() == "mine"
    assert (root / ".github" / "workflows" / "nbops.yml").is_file()
    assert 'name = "churn"' in (root / "nbops.toml").read_text()


def test_init_refuses_names_that_cannot_be(tmp_path: Path) -> None:
    answer = nbops("init", "new", "--name", "a b", cwd=tmp_path)
    assert answer.returncode == 1
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
def test_runs_show_and_diff(loop: Loop) -> None:
    root = loop.project.root
    runs = json.loads(nbops("runs", "--json", cwd=root).stdout)
    assert [run["stage"] for run in runs] == ["train", "data", None]
    train = runs[0]
    assert all(train["versions"].values())
    shown = nbops("show", train["run_id"][:8], "--code", cwd=root).stdout
    assert train["versions"]["code"] in shown
    assert "LogisticRegression" in shown
    differing = nbops("diff", train["run_id"], runs[1]["run_id"], cwd=root).stdout
    assert "accuracy" in differing
    assert "\x1b[" not in shown + differing
    assert nbops("diff", train["run_id"], train["run_id"], cwd=root).stdout.strip() == "no difference"


@pytest.mark.slow
def test_promote_and_package_print_what_they_did(loop: Loop) -> None:
    promoted = nbops("promote", "--reason", "first", cwd=loop.project.root)
    assert "version 1 is now 'champion'" in promoted.stdout
    assert "beats_baseline" in promoted.stdout
    packaged = nbops("package", "--json", cwd=loop.project.root)
    assert json.loads(packaged.stdout)["path"] == str(loop.bundle.path)


@pytest.mark.slow
def test_replay_reports_predictions_latency_and_drift(loop: Loop) -> None:
    answer = nbops(
        "serve", "--replay", "data/test.csv", "--rows", "60", "--batch", "7", "--json", cwd=loop.project.root
    )
    report = json.loads(answer.stdout)
    assert (report["rows"], report["requests"], report["errors"]) == (60, 9, 0)
    assert all(0 <= prediction <= 1 for prediction in report["predictions"])
    assert {column["column"] for column in report["drift"]} == {"radius", "texture", "smoothness"}
    assert report["latency_ms"]["single"]["p50"] > 0


@pytest.mark.slow
def test_replay_of_a_table_without_a_column_names_it(loop: Loop, tmp_path: Path) -> None:
    table = tmp_path / "rows.csv"
    table.write_text("radius,textur,smoothness\n1,2,3\n")
    answer = nbops("serve", "--replay", str(table), cwd=loop.project.root)
    assert answer.returncode == 1
    assert "no column 'texture'" in answer.stderr
    assert "did you mean 'textur'?" in answer.stderr
