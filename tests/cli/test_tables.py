"""The table of runs at the widths that terminals have."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from nbops.cli import tables
from nbops.cli.runs import _table
from nbops.tracking.schema import RunSummary, Versions

WIDE_PARAMS = {"C": "0.1", "estimator": "Pipeline(steps=[('a', A()), ('b', B())])", "steps": "[/b] [red]"}
METRICS = {"training_score": 0.9, "accuracy": 0.937063, "Pipeline_score_unknown_dataset": 0.93}


def summary(run_id: str, name: str, parent: str | None, age: float) -> RunSummary:
    return RunSummary(
        run_id=run_id,
        name=name,
        experiment="e",
        status="FINISHED",
        started=time.time() - age,
        ended=time.time() - age + 14,
        params=WIDE_PARAMS,
        metrics=METRICS,
        versions=Versions("c0dec0de", "dadadada", None, "e0e0e0e0", "f0f0f0f0"),
        notebook=None,
        cell_id=None,
        stage=None,
        parent=parent,
    )


RUNS = [
    summary("cccccccc", "train", "aaaaaaaa", 10),
    summary("bbbbbbbb", "a_stage_whose_name_goes_on_and_on_and_on", "aaaaaaaa", 20),
    summary("aaaaaaaa", "pipe[line]", None, 30),
]


@pytest.fixture
def printed(request: pytest.FixtureRequest) -> list[str]:
    stream = io.StringIO()
    Console(file=stream, width=request.param).print(_table(RUNS, request.param))
    return stream.getvalue().splitlines()


@pytest.mark.parametrize(
    ("printed", "params", "words", "digest"),
    [(80, False, False, "c0de"), (120, False, True, "c0de"), (140, True, True, "c0de"), (200, True, True, "c0dec0de")],
    indirect=["printed"],
)
def test_a_run_is_one_line_at_any_width(printed: list[str], params: bool, words: bool, digest: str) -> None:
    head, _, *rows = [line for line in printed if line.strip()]

    assert [row.split()[0] for row in rows] == ["aaaaaaaa", "cccccccc", "bbbbbbbb"], "stages below their pipeline"
    assert "pipe[line]" in rows[0]
    assert all(("FINISHED" in row and "14.0 s" in row) is words and "accuracy=" in row for row in rows)
    assert ("params" in head, "code" in head) == (params, True)
    assert all(("C=0.1" in row) is params and f" {digest} " in row for row in rows)


def test_without_a_terminal_there_is_room_for_all(capsys: pytest.CaptureFixture[str]) -> None:
    tables.print_table(_table(RUNS, tables.width()))

    shown = capsys.readouterr().out
    assert "a_stage_whose_name_goes_on_and_on" in shown
    assert "accuracy=0.937063" in shown
    assert all("f0f0f0f0" in line for line in shown.splitlines() if "FINISHED" in line)
    assert "\x1b" not in shown
