"""`%nbops off`, `%nbops on`, `%%nbops skip`: nothing of what was executed is recorded, but that something was."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell

from kernels import Kernel
from nbops.project import Project
from nbops.tracking.recipe import recipe_of
from nbops.tracking.recording import recorder
from nbops.tracking.recording.cell import SKIPPED, UNRECORDED
from nbops.tracking.recording.records import SessionLog, read
from nbops.tracking.store import Store


def _run(shell: InteractiveShell, *cells: str) -> None:
    for cell in cells:
        shell.run_cell(cell, store_history=True)


def _log(project: Project) -> SessionLog:
    return read(next(project.sessions.iterdir()))


def _kept(project: Project) -> str:
    """Return all that is under ``.nbops/`` as one text."""
    files = [path for path in project.state.rglob("*") if path.is_file()]
    return "".join(path.read_text(encoding="utf-8", errors="replace") for path in files)


def test_while_off_nothing_is_recorded_but_that_it_was(
    shell: InteractiveShell, project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    _run(shell, "%load_ext nbops", "a = 1", "%nbops off", "diary = 'dear'; print(diary)", "1 / 0", "%nbops status")
    assert recorder.current() is None
    _run(shell, "%load_ext nbops", "%nbops on", "b = a", "%nbops on", "%nbops status")
    log = _log(project)
    assert [cell.start.source for cell in log.cells] == [
        *("%load_ext nbops", "a = 1", "%nbops off", UNRECORDED),
        *("%nbops on", "b = a", "%nbops on", "%nbops status"),
    ]
    assert [cell.start.hidden for cell in log.cells] == [None] * 3 + ["off"] + [None] * 4
    assert "diary" not in _kept(project)
    assert "dear" in capsys.readouterr().out


def test_a_session_may_end_while_off(shell: InteractiveShell, project: Project) -> None:
    _run(shell, "%load_ext nbops", "%nbops off", "x = 1", "%unload_ext nbops")
    log = _log(project)
    assert log.closed
    assert log.cells[-1].start.hidden == "off"
    assert recorder.of_kernel() is None


def test_a_recipe_that_rests_on_a_gap_says_so(shell: InteractiveShell, project: Project) -> None:
    _run(shell, "%load_ext nbops", "a = [1]", "%nbops off", "a.append(2)", "%nbops on", "b = sum(a)")
    log = _log(project)
    sources = [piece.source for piece in recipe_of(log, [log.cells[-1].start.seq]).pieces]
    assert UNRECORDED in sources
    assert "a = [1]" in sources


def test_of_a_skipped_cell_nothing_is_recorded_but_its_place(shell: InteractiveShell, project: Project) -> None:
    (project.root / "in.csv").write_text("q\n1\n", encoding="utf-8")
    hidden = "%%nbops skip\nimport pandas as pd\nfrom pathlib import Path\nfirst = pd.read_csv('in.csv')['q'].sum()\n"
    hidden += "print('diary of', first)\nother = 7\nfirst + 1"
    _run(shell, "%load_ext nbops", "before = 1", hidden, "after = first + 1", "%%nbops skip\n1 / 0", "end = before")
    log = _log(project)
    assert [cell.start.source for cell in log.cells] == [
        *("%load_ext nbops", "before = 1", SKIPPED, "after = first + 1", SKIPPED, "end = before"),
    ]
    skipped = log.cells[2].end
    assert skipped
    assert (skipped.outcome, skipped.outputs, skipped.defined, skipped.used, skipped.result) == ("ok", [], [], [], None)
    assert log.cells[2].data == []
    failed = log.cells[4].end
    assert failed
    assert (failed.outcome, failed.error, failed.traceback) == ("error", None, None)
    assert shell.user_ns["after"] == 2
    assert not {word for word in ("diary", "read_csv", "in.csv", "other") if word in _kept(project)}
    assert SKIPPED in [piece.source for piece in recipe_of(log, [4]).pieces]
    assert SKIPPED not in [piece.source for piece in recipe_of(log, [6]).pieces]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("%nbops off now", "'now' is too much"),
        ("%nbops runs 'x", "can't be read"),
        ("%%nbops skip it\n1", "unrecognized arguments: it"),
        ("%%nbops skp\n1", "did you mean 'skip'"),
    ],
)
def test_wrong_use_is_told_in_a_line(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str], line: str, said: str
) -> None:
    _run(shell, "%load_ext nbops", line)
    told = "".join(capsys.readouterr())
    assert said in told
    assert "Traceback" not in told


def test_without_a_recorder_it_is_said_how_to_get_one(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    _run(shell, "%load_ext nbops", "%nbops off", "%%nbops run x\n1")
    assert "%nbops on" in capsys.readouterr().err
    shell.run_cell("from nbops.tracking.recording import recorder; recorder.of_kernel().close()")
    _run(shell, "%nbops on")
    assert "%load_ext nbops" in capsys.readouterr().err


def test_the_verbs_are_completed(shell: InteractiveShell) -> None:
    _run(shell, "%load_ext nbops")
    for line, expected in (("%nbops st", "status"), ("%nbops ru", "runs"), ("%%nbops sk", "skip")):
        with provisionalcompleter():
            found = [completion.text for completion in shell.Completer.completions(line, len(line))]
        assert expected in found


@pytest.mark.slow
def test_fits_make_no_runs_while_off_or_skipped(project: Project, start_kernel: Callable[..., Kernel]) -> None:
    fit = "model = Ridge(alpha={}).fit([[1], [2], [3]], [1, 2, 4])"
    kernel = start_kernel()
    cells = [
        *("%load_ext nbops", "from sklearn.linear_model import Ridge", fit.format(1)),
        *("%%nbops skip\n" + fit.format(2), fit.format(3), "%nbops off", fit.format(4), "%nbops on", fit.format(5)),
    ]
    assert [kernel.run(cell).status for cell in cells] == ["ok"] * len(cells)
    kernel.stop()
    assert sorted(run.params["alpha"] for run in Store(project).runs()) == ["1", "3", "5"]
