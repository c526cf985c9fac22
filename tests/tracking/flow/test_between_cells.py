"""What happens between the look after one statement and the look before the next."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.tracking.flow.notebooks import Failures, new_shell

from nbops.project import Project
from nbops.tracking.flow import Flow
from nbops.tracking.recording.records import Step


class Notebook:
    """A shell whose cells are traced."""

    def __init__(self, folder: Path) -> None:
        self.failures = Failures()
        self.shell = new_shell()
        self.flow = Flow(self.shell, Project(folder), self.failures.note)
        self.flow.start()
        self._seq = 0

    def run(self, source: str) -> list[Step]:
        self._seq += 1
        self.flow.begin(self._seq, source)
        assert self.shell.run_cell(source, store_history=True).success
        return self.flow.end()


@pytest.fixture
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BETWEEN_CELLS", "before")
    started = Notebook(tmp_path)
    yield started
    started.flow.stop()
    assert started.failures == []


def test_a_setting_changed_between_cells_is_the_next_ones_doing(notebook: Notebook) -> None:
    assert not notebook.run("x = len('abc')")[0].lasting
    assert not notebook.run("y = len('abc')")[0].lasting
    os.environ["BETWEEN_CELLS"] = "after"  # as a widget's callback may do
    assert notebook.run("z = len('abc')")[0].lasting
    assert not notebook.run("z = len('abc')")[0].lasting


def test_a_cell_that_was_never_asked_for_is_settled_by_the_next(notebook: Notebook) -> None:
    notebook.flow.begin(0, "x = len('abc')")
    assert notebook.shell.run_cell("x = len('abc')", store_history=True).success
    (step,) = notebook.run("y = abs(x)")
    assert step.names == ["x"]
    assert step.needs == [(0, 0)]


def test_what_is_executed_silently_belongs_to_no_cell(notebook: Notebook) -> None:
    notebook.flow.begin(0, "x = len('abc')")
    notebook.shell.run_cell("x = len('abc')", store_history=True)
    notebook.flow.ended()
    notebook.shell.run_cell("x = 'a front end looks at variables'", silent=True)
    (step,) = notebook.flow.end()
    assert step.values == {"x": 3}
    assert notebook.run("y = abs(3)")[0].needs == []


def test_a_large_value_is_not_held_while_it_is_replaced(notebook: Notebook) -> None:
    namespace = notebook.shell.user_ns
    notebook.run("import numpy as np\nlarge, small = np.zeros(10_000_000), np.zeros(10)")
    freed: list[str] = []
    for name in ("large", "small"):
        weakref.finalize(namespace[name], freed.append, name)
    namespace["note"] = lambda: freed.append("replaced")
    notebook.run("for _ in range(1):\n    large = small = None\n    note()")
    assert freed == ["large", "replaced", "small"]
