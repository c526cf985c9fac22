"""Which cells are stale, and why: records as a kernel would have written them, and files that change."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from nbops.errors import TrackingError
from nbops.notebook import document
from nbops.project import Project
from nbops.snapshot.fingerprint import fingerprint_frame
from nbops.tracking.recording.records import Data, End, Session, Start, Step
from nbops.tracking.recording.writer import Writer
from nbops.tracking.reproduction.stale import StaleCell, stale


class Written:
    """A session file and a notebook, written by hand."""

    def __init__(self, project: Project, **cells: str) -> None:
        self.project = project
        self.path = project.root / "n.ipynb"
        self.save(**cells)
        self.writer = Writer(project.sessions / "s.jsonl")
        self.writer.write(Session("s", os.getpid(), 0.0, time.time() - 100, notebook="n.ipynb"))
        self.seq = 0
        self.clock = time.time() - 90

    def save(self, **cells: str) -> None:
        made = [{"cell_type": "code", "id": name, "source": source, "metadata": {}} for name, source in cells.items()]
        document.write(self.path, document.new(made))

    def run(self, name: str, source: str, *steps: Step, data: Data | None = None, **end: list[str]) -> None:
        self.seq += 1
        self.clock += 1
        self.writer.write(Start(self.seq, name, source, self.clock))
        if data:
            self.writer.write(data)
        self.writer.write(End(self.seq, "ok", 0.1, steps=list(steps), **end))

    def stale(self) -> dict[str, StaleCell]:
        return {cell.cell_id: cell for cell in stale(self.project, self.path)}


def test_nothing_is_stale_after_a_run_from_top_to_bottom(project: Project) -> None:
    written = Written(project, a="x = 1  # one", b="y = x", c="z = y")
    written.run("a", "x = 1", defined=["x"])
    written.run("b", "y = x", defined=["y"], used=["x"])
    written.run("c", "z = y", defined=["z"], used=["y"])
    assert written.stale() == {}


def test_an_edited_cell_makes_those_stale_that_needed_it(project: Project) -> None:
    written = Written(project, a="x = 2", b="y = x", c="z = y", other="w = 1")
    written.run("a", "x = 1", defined=["x"])
    written.run("b", "y = x", defined=["y"], used=["x"])
    written.run("c", "z = y", defined=["z"], used=["y"])
    written.run("other", "w = 1", defined=["w"])
    found = written.stale()
    assert [reason.kind for reason in found["a"].reasons] == ["edited"]
    assert found["b"].reasons[0].chain == (1, 2)
    assert (found["c"].reasons[0].what, found["c"].reasons[0].chain) == ("cell 1", (1, 2, 3))
    assert "other" not in found


def test_executed_again_and_removed(project: Project) -> None:
    written = Written(project, a="x = 1", b="y = x", d="v = u")
    written.run("a", "x = 1", defined=["x"])
    written.run("gone", "u = 1", defined=["u"])
    written.run("b", "y = x", defined=["y"], used=["x"])
    written.run("d", "v = u", defined=["v"], used=["u"])
    written.run("a", "x = 1", defined=["x"])
    found = written.stale()
    assert set(found) == {"b", "d"}
    assert found["b"].reasons[0].kind == "executed again"
    assert found["d"].reasons[0].kind == "removed"


def test_an_older_version_of_a_cell_may_still_be_needed(project: Project) -> None:
    written = Written(project, a="x = 2", b="z = x + y")
    written.run("a", "x = 1; y = 1", defined=["x", "y"])
    written.run("a", "x = 2", defined=["x"])
    written.run("b", "z = x + y", defined=["z"], used=["x", "y"])
    assert written.stale() == {}


def test_statements_are_told_apart_where_they_are_known(project: Project) -> None:
    (project.root / "local.py").write_text("one = 1\n", encoding="utf-8")
    past = time.time() - 1000
    os.utime(project.root / "local.py", (past, past))
    written = Written(project, a="import json\nimport local", b="x = json.dumps(1)", c="y = local.one")
    written.run("a", "import json\nimport local", Step(1, 1, []), Step(2, 2, []), defined=["json", "local"])
    written.run("b", "x = json.dumps(1)", Step(1, 1, [(1, 0)]), defined=["x"], used=["json"])
    written.run("c", "y = local.one", Step(1, 1, [(1, 1)]), defined=["y"], used=["local"])
    assert written.stale() == {}
    (project.root / "local.py").write_text("one = 2\n", encoding="utf-8")
    found = written.stale()
    assert set(found) == {"a", "c"}
    assert (found["c"].reasons[0].kind, found["c"].reasons[0].chain) == ("module", (1, 3))


def test_files_count_by_their_content_where_it_is_known(project: Project) -> None:
    import pandas as pd

    table = project.root / "in.csv"
    table.write_text("a\n1\n2\n", encoding="utf-8")
    (project.root / "in.txt").write_text("1", encoding="utf-8")
    past = time.time() - 1000
    os.utime(project.root / "in.txt", (past, past))
    written = Written(project, a="df = read('in.csv')", b="text = open('in.txt').read()", c="df")
    data = Data(1, "in.csv", "read_csv", fingerprint_frame(pd.read_csv(table)), 2, {"a": "long"})
    written.run("a", "df = read('in.csv')", data=data, defined=["df"])
    written.run("b", "text = open('in.txt').read()", Step(1, 1, reads=["in.txt"]), defined=["text"])
    written.run("c", "df", used=["df"])
    assert written.stale() == {}, "written again with the same content"
    table.write_text("a\n1\n3\n", encoding="utf-8")
    (project.root / "in.txt").unlink()
    found = written.stale()
    assert [(cell, found[cell].reasons[0].kind, found[cell].reasons[0].what) for cell in found] == [
        ("a", "file", "in.csv"),
        ("b", "file", "in.txt"),
        ("c", "file", "in.csv"),
    ]


def test_needs_in_a_circle_come_to_an_end(project: Project) -> None:
    written = Written(project, a="x = 1", b="y = 1")
    written.run("a", "x = 1", Step(1, 1, [(2, 0)]), defined=["x"])
    written.run("b", "y = 1", Step(1, 1, [(1, 0)]), defined=["y"])
    assert written.stale() == {}


def test_a_notebook_that_was_never_recorded_says_so(project: Project, tmp_path: Path) -> None:
    document.write(project.root / "new.ipynb", document.new([]))
    with pytest.raises(TrackingError, match="none of its cells was recorded"):
        stale(project, project.root / "new.ipynb")
    assert stale(project) == []
