"""The journal replayed: whatever a kernel sends, cut off anywhere, is what nbclient had."""

from __future__ import annotations

import asyncio
import copy
import json
from pathlib import Path
from typing import Any

import nbformat
import papermill  # noqa: F401  # which loads our engine, not the other way round
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nbclient.exceptions import CellExecutionError

from nbops.errors import NotebookError
from nbops.notebook.document import read
from nbops.pipeline.execution import ExecutionRecord
from nbops.pipeline.following import FollowedClient
from nbops.pipeline.journal import Journal, execution_of, journal_of, recover

WIDGET = {"_model_name": "OutputModel", "_model_module": "@jupyter-widgets/output", "_model_module_version": "1.0.0"}
texts = st.sampled_from(["a", "é\n", "10 %\r", "\x1b[31mred\b", "x" * 300, "\u2028"])
ids = st.none() | st.sampled_from(["p", "q"])


def bundle(kind: str, **content: Any) -> tuple[str, dict[str, Any]]:
    return kind, content


def shown(kind: str, text: str, display_id: str | None, **more: Any) -> tuple[str, dict[str, Any]]:
    transient = {"display_id": display_id} if display_id else {}
    return kind, {"data": {"text/plain": text}, "metadata": {"n": text}, "transient": transient, **more}


messages = st.one_of(
    st.builds(lambda name, text: bundle("stream", name=name, text=text), st.sampled_from(["stdout", "stderr"]), texts),
    st.builds(lambda text, name: shown("display_data", text, name), texts, ids),
    st.builds(lambda text, name: shown("update_display_data", text, name), texts, st.sampled_from(["p", "q"])),
    st.builds(lambda text, name: shown("execute_result", text, name, execution_count=7), texts, ids),
    st.builds(lambda wait: bundle("clear_output", wait=wait), st.booleans()),
    st.just(bundle("error", ename="E", evalue="e", traceback=["t"])),
    st.just(bundle("no such type")),
    st.builds(lambda on: bundle("capture", on=on), st.booleans()),
    st.just(bundle("next cell")),
)


class Rig:
    """A client without a kernel: messages are handed to it as its kernel's would be."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "out.ipynb"
        cells = [nbformat.v4.new_code_cell(f"cell {n}") for n in range(4)]
        notebook = nbformat.v4.new_notebook(cells=cells)
        notebook.metadata["papermill"] = {}
        self.record = ExecutionRecord(notebook, output_path=str(self.path), progress_bar=False)
        self.record.notebook_start()
        self.client = FollowedClient(self.record)
        self.client.reset_execution_trackers()
        self.client.kc = Deaf()
        self.client.clear_before_next_output = False
        self.at = 0
        self.captures = False
        self.record.cell_start(self.cell, 0)
        self.send("comm_open", comm_id="w", target_name="jupyter.widget", data={"state": {**WIDGET, "outputs": []}})

    @property
    def cell(self) -> Any:
        return self.record.nb.cells[self.at]

    def take(self, kind: str, content: dict[str, Any]) -> None:
        if kind == "next cell":
            if self.at < 3 and not self.captures:
                self.record.cell_ended(self.cell, self.at, "ok")
                self.at += 1
                self.client.clear_before_next_output = False
                self.record.cell_start(self.cell, self.at)
        elif kind == "capture":
            if content["on"] != self.captures:
                self.captures = content["on"]
                self.send("comm_msg", comm_id="w", data={"state": {"msg_id": f"m{self.at}" if self.captures else ""}})
        elif kind != "no such type" or not self.captures:  # at which nbclient itself stumbles
            self.send(kind, **content)

    def send(self, kind: str, **content: Any) -> None:
        head = {"msg_id": f"m{self.at}", "msg_type": kind}
        message = {"msg_type": kind, "header": dict(head), "parent_header": head, "content": content, "buffers": []}
        self.client.process_message(message, self.cell, self.at)

    def state(self) -> Any:
        cells = [
            (
                cell.outputs,
                cell.execution_count,
                "lost" if index == self.at else cell.metadata.nbops["status"],
            )
            for index, cell in enumerate(self.record.nb.cells)
        ]
        return json.loads(json.dumps([cells, self.client.widget_state]))


class Deaf:
    """A kernel client that hears nothing of what Output widgets tell their kernel."""

    class session:
        @staticmethod
        def msg(*_: Any, **__: Any) -> None:
            return None

    class shell_channel:
        @staticmethod
        def send(_: Any) -> None:
            return None


def recovered(journal: Path, notebook: Path) -> Any:
    content = recover(journal, notebook).content
    cells = [
        [cell["outputs"], cell["execution_count"], cell["metadata"]["nbops"]["status"]] for cell in content["cells"]
    ]
    states = content["metadata"].get("widgets", {}).get("application/vnd.jupyter.widget-state+json", {})
    return [cells, {comm: one["state"] for comm, one in states.get("state", {}).items()}]


@settings(max_examples=150, deadline=None)
@given(script=st.lists(messages, max_size=25), cut=st.floats(0, 1))
def test_the_journal_gives_what_the_client_had(tmp_path_factory: Any, script: list[Any], cut: float) -> None:
    folder = tmp_path_factory.mktemp("journal")
    rig = Rig(folder)
    journal = journal_of(rig.path)
    first = journal.stat().st_size
    states = {first: rig.state()}
    for kind, content in script:
        rig.take(kind, copy.deepcopy(content))
        states[journal.stat().st_size] = rig.state()
    whole = journal.read_bytes()
    end = first + int(cut * (len(whole) - first))
    journal.write_bytes(whole[:end])
    lines_end = whole.rfind(b"\n", 0, end) + 1
    # a message may write two lines: only between messages is there a state to compare with
    if lines_end in states:
        assert recovered(journal, rig.path) == states[lines_end]
    else:
        recover(journal, rig.path)
    journal.write_bytes(whole)
    assert recovered(journal, rig.path) == states[len(whole)]


def test_a_later_whole_write_changes_nothing(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.send("stream", name="stdout", text="a")
    rig.record._write()
    rig.send("stream", name="stdout", text="b")
    assert recovered(journal_of(rig.path), rig.path) == rig.state()


def test_a_clean_end_leaves_no_journal(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.record.cell_ended(rig.cell, 0, "ok")
    rig.record.outcome = "ok"
    rig.record.notebook_complete()
    assert [path.name for path in tmp_path.iterdir()] == ["out.ipynb"]
    assert recover(journal_of(rig.path), rig.path).content == read(rig.path).content


def test_an_older_executions_journal_changes_nothing(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.send("stream", name="stdout", text="old")
    old = journal_of(rig.path).read_bytes()
    Rig(tmp_path)
    journal_of(rig.path).write_bytes(old)
    assert recover(journal_of(rig.path), rig.path).content == read(rig.path).content


def test_an_older_execution_does_not_remove_a_newer_ones_journal(tmp_path: Path) -> None:
    first, second = Journal(tmp_path / "a.ipynb", "1"), Journal(tmp_path / "a.ipynb", "2")
    first.remove()
    assert execution_of(second.path) == "2"
    second.remove()
    assert not second.path.exists()


def test_a_newer_format_gives_a_clear_error(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    journal = journal_of(rig.path)
    journal.write_bytes(journal.read_bytes().replace(b'"nbops_journal":1', b'"nbops_journal":99'))
    with pytest.raises(NotebookError, match="format 99 is newer"):
        recover(journal, rig.path)


@pytest.mark.parametrize("written", [0, 9])
def test_a_full_disk_ends_the_journal_not_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    import os

    rig = Rig(tmp_path)
    rig.send("stream", name="stdout", text="a")
    before = rig.state()
    real = os.write
    left = [written]

    def write(file: int, data: Any) -> int:
        if not left:
            raise OSError(28, "No space left on device")
        return real(file, data[: left.pop()]) or write(file, data)

    monkeypatch.setattr("nbops.pipeline.journal.os.write", write)
    rig.send("stream", name="stdout", text="b")
    monkeypatch.undo()
    rig.send("stream", name="stdout", text="c")

    assert recovered(journal_of(rig.path), rig.path) == before
    rig.record.cell_ended(rig.cell, 0, "ok")
    rig.record.notebook_complete()
    assert len(read(rig.path).cells[0]["outputs"]) == 3
    assert not journal_of(rig.path).exists()


def test_streams_that_nbclient_puts_together_are_so_recovered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(tmp_path)
    rig.client.coalesce_streams = True

    async def execute(_: Any, cell: Any, *__: Any) -> None:
        cell.outputs = [nbformat.v4.new_output("stream", text="one")]
        raise CellExecutionError("", "E", "e")

    monkeypatch.setattr(FollowedClient.__mro__[1], "async_execute_cell", execute)
    with pytest.raises(CellExecutionError):
        asyncio.run(rig.client.async_execute_cell(rig.cell, 0))
    assert recovered(journal_of(rig.path), rig.path) == rig.state()
