"""``nbops run`` as it is typed: exit codes, JSON, dry runs, and how little a run with nothing to do costs."""

from __future__ import annotations

import io
import json
import re
import resource
import subprocess
import sys
from typing import Any

import pytest
from click.testing import CliRunner

from nbops.cli.run import command
from nbops.errors import SpecError
from nbops.pipeline.display import Display
from nbops.pipeline.events import Event, PipelineResult, StageResult

HEAVY = "{'mlflow', 'papermill', 'pandas', 'sklearn', 'nbformat', 'nbclient', 'rich'}"
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")
NBOPS = [sys.executable, "-c", "import sys; from nbops.cli import main; main(sys.argv[1:])"]


def invoke(*words: Any) -> Any:
    return CliRunner().invoke(command, [str(word) for word in words], standalone_mode=False)


def test_help_has_examples_and_exit_codes() -> None:
    result = CliRunner().invoke(command, ["--help"])

    assert result.exit_code == 0
    assert "nbops run train -p cut_month=8" in result.output
    assert "Exit codes" in result.output


@pytest.mark.slow
def test_nothing_to_do_is_cheap_and_imports_nothing_heavy(executed: Any) -> None:
    code = (
        "import sys; from nbops.cli import invoke; invoke(sys.argv[1:]); "
        f"assert not {HEAVY} & set(sys.modules), {HEAVY} & set(sys.modules)"
    )
    spent = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, "-c", code, "run", str(executed.root)], capture_output=True, text=True, timeout=60
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.returncode == 0, done.stderr
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)

    assert "tiny: 3 cached" in done.stdout
    assert "\x1b" not in done.stdout
    assert min(spent) < 0.5


@pytest.mark.slow
def test_json_and_dry_run(executed: Any) -> None:
    result = json.loads(invoke(executed.root, "--json").output)
    assert result["ok"] is True
    assert [stage["outcome"] for stage in result["stages"]] == ["cached"] * 3

    dry = invoke(executed.root, "add", "-p", "n=9", "--dry-run")
    assert dry.return_value == 0
    assert dry.output.splitlines() == [
        "▸ make  would be executed",
        "    parameter n: 3 → 9",
        "? add   may be executed (depends on what make makes)",
    ]
    assert "would be executed (forced)" in invoke(executed.root, "tree", "--force", "-n").output
    [make, *_] = json.loads(invoke(executed.root, "-n", "--json").output)
    assert (make["name"], make["state"]) == ("make", "current")


@pytest.mark.slow
def test_a_failed_stage_exits_with_1_and_shows_the_cell(tiny: Any) -> None:
    tiny.notebook("bad.ipynb", "1 / 0")
    tiny.yaml("stages:\n  bad: {notebook: bad.ipynb}\n")

    result = invoke(tiny.root)

    assert result.return_value == 1
    assert "stage 'bad', bad.ipynb, cell 1: ZeroDivisionError: division by zero\n  >   1 │ 1 / 0" in result.output
    assert "tiny: 1 failed" in result.output


def test_a_wrong_pipeline_exits_with_2(tiny: Any) -> None:
    tiny.yaml("stages:\n  make: {notebok: make.ipynb}\n")

    done = subprocess.run([*NBOPS, "run", str(tiny.root)], capture_output=True, text=True, timeout=60)

    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "error: pipeline.yaml:2:10: unknown key 'notebok' in stage 'make'",
        "  → did you mean 'notebook'?",
    ]


def test_paths_and_targets_are_told_apart(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tiny.root)
    (tiny.root / "other.yaml").write_text((tiny.root / "pipeline.yaml").read_text().replace("tree:", "forest:"))

    assert [line.split()[1] for line in invoke("add", "-n").output.splitlines()] == ["make", "add"]
    assert "forest" in invoke("other.yaml", "-n").output
    assert "tree" in invoke(".", "-n").output
    with pytest.raises(SpecError, match="no stage 'tre'"):
        raise invoke("tre", "-n").exception
    with pytest.raises(SpecError, match=r"no such pipeline file\n.*did you mean 'other.yaml'"):
        raise invoke("none.yaml").exception


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


EVENTS = [
    Event("a", "cached", text="restored x"),
    Event("b", "started", text="never executed"),
    Event("b", "cell", 2, 5),
    Event("", "note", text="slow [migration]"),
    Event("b", "failed", seconds=75.0, text="cell 2: boo\nmore"),
    Event("c", "skipped", text="needs b"),
]
RESULT = PipelineResult(
    "p",
    (StageResult("a", "cached"), StageResult("b", "failed", error="cell 2: boo\nmore"), StageResult("c", "skipped")),
    run_id="0123456789abcdef",
    seconds=80.0,
)


def show(stream: io.StringIO) -> str:
    with Display(["a", "b", "c"], stream) as display:
        for event in EVENTS:
            display(event)
        display.finish(RESULT)
    return stream.getvalue()


def test_plain_lines_without_a_terminal() -> None:
    assert show(io.StringIO()).splitlines() == [
        "· a  cached (restored x)",
        "▸ b  started (never executed)",
        "  slow [migration]",
        "✗ b  failed in 1:15 (cell 2: boo)",
        "– c  skipped (needs b)",
        "",
        "cell 2: boo",
        "more",
        "",
        "p: 1 cached, 1 failed, 1 skipped in 1:20 · run 01234567",
    ]


def test_a_live_table_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("NO_COLOR", raising=False)
    shown = show(Terminal())
    assert "2 of 5" in shown
    assert "slow [migration]" in shown
    assert "\x1b[1;31m" in shown

    monkeypatch.setenv("NO_COLOR", "1")
    shown = show(Terminal())
    assert "2 of 5" in shown
    assert "\x1b[1;31m" not in shown
    assert "31m" not in shown


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_narrow_terminal_cuts_remarks_and_long_names_only(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")
    long = "a_name_of_a_stage_that_goes_on_and_on"
    stream = Terminal()
    with Display(["features", long], stream) as display:
        display(Event("features", "started", text="changed: code; parameters; inputs train, test; module helper"))
        display(Event("features", "cell", 12, 15))
        display(Event("", "note", text="preparing the tracking database, " * 4))
    lines = [line.rstrip() for line in ESCAPES.sub("\n", stream.getvalue()).splitlines()]

    [running] = {line[: line.rindex("0.") - 1].strip() for line in lines if line.startswith("▸") and "0." in line}
    assert running.split() == ["▸", "features", "running", "12", "of", "15"]
    assert any(line.split() == ["a_name_of_a_stage_that_…", "waiting"] for line in lines)
    assert max(map(len, lines)) <= width
