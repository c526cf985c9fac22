"""`%nbops` and `%%nbops` in an IPython shell: wrong use is one line, cells keep their value and their namespace."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from nbops.project import Project
from nbops.tracking.recording import recorder


@pytest.fixture
def shell(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    monkeypatch.chdir(project.root)
    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"
    shell = InteractiveShell(config=config)
    before = dict(os.environ)  # MLflow tells child processes its settings by variables
    assert shell.run_cell("%load_ext nbops", store_history=True).success
    yield shell
    if active := recorder.current():
        active.autologging.unwatch()
        active.close()
    InteractiveShell.clear_instance()
    os.environ.clear()
    os.environ |= before


def test_the_magic_says_what_it_does(shell: InteractiveShell) -> None:
    for kind in ("line", "cell"):
        said = shell.magics_manager.magics[kind]["nbops"].__doc__
        assert not [
            words for words in ("%nbops off", "%nbops on", "%nbops status", "%%nbops skip") if words not in said
        ]


def test_status_is_the_recorders_and_with_words_the_pipelines(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert shell.run_cell("%nbops status").success
    assert "recording is on" in capsys.readouterr().out
    (tmp_path / "p").mkdir()
    assert not shell.run_cell(f"%nbops status {tmp_path / 'p'}").success
    assert "pipeline.yaml" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("%%nbops rum x\n1", "did you mean 'run'"),
        ("%%nbops run\n1", "the following arguments are required: name"),
        ("%%nbops run x -p lr\n1", "'lr' isn't NAME=VALUE"),
        ("%%nbops score --input frame\n1", "--output"),
        ("%nbops nonsense", "nonsense"),
    ],
)
def test_wrong_use_is_told_in_a_line(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str], cell: str, said: str
) -> None:
    assert not shell.run_cell(cell, store_history=True).success
    shown = capsys.readouterr()
    assert said in shown.out + shown.err
    assert "Traceback" not in shown.out + shown.err


def test_help_lists_the_verbs(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    assert shell.run_cell("%nbops", store_history=True).success
    assert "runs" in capsys.readouterr().out


@pytest.mark.slow
def test_a_cell_in_a_run_behaves_as_if_it_stood_alone(shell: InteractiveShell) -> None:
    assert shell.run_cell("from __future__ import annotations", store_history=True).success
    result = shell.run_cell(
        "%%nbops run trial -p lr=0.1\nimport math\ndef f(x: Unknown): return x + 1\n%precision 3\nf(1)",
        store_history=True,
    )
    assert (result.result, shell.user_ns["f"](2), shell.user_ns["math"].pi > 3) == (2, 3, True)
    quiet = shell.run_cell("%%nbops run quiet\nf(1);", store_history=True)
    assert quiet.success
    assert quiet.result is None
    failed = shell.run_cell("%%nbops run failing\nx = 1\nraise ValueError('mine')", store_history=True)
    assert isinstance(failed.error_in_exec, ValueError)
    assert shell.user_ns["x"] == 1
    active = recorder.current()
    assert active
    active.flush()
    runs = {run.name: run for run in active.autologging.store.runs()}
    assert {name: run.status for name, run in runs.items()} == {
        "trial": "FINISHED",
        "quiet": "FINISHED",
        "failing": "FAILED",
    }
    assert runs["trial"].params == {"lr": "0.1"}
    assert all(run.versions.code for run in runs.values())
