"""Running pipelines: what is executed, what comes from the cache, and what the store says of it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from nbops.notebook.document import read, write
from nbops.pipeline.plan import status
from nbops.tracking.store import Store

pytestmark = pytest.mark.slow

ALL_CACHED = {"make": "cached", "tree": "cached", "add": "cached"}


def edit(path: Path, change: Any) -> None:
    document = read(path)
    change(document.content)
    write(path, document)


def test_first_run_makes_outputs_and_truthful_runs(executed_once: Any) -> None:
    lab, result = executed_once

    assert result.ok
    assert {stage.outcome for stage in result.stages} == {"executed"}
    assert (lab.root / "data/total.txt").read_text() == "3.0"
    assert (lab.root / "data/leaves/oak/leaf.txt").read_text() == "oak"
    runs = {run.name: run for run in lab.runs()}
    assert set(runs) == {"tiny", "make", "add", "tree"}
    assert {run.status for run in runs.values()} == {"FINISHED"}
    assert {run.parent for name, run in runs.items() if name != "tiny"} == {result.run_id}
    assert runs["add"].metrics == {"total_value": 3.0}
    assert runs["make"].params == {"n": "3", "scale": "1.0"}
    assert runs["make"].stage == "make"
    detail = Store(lab.project).run(runs["add"].run_id)
    assert "nbops/executed.ipynb" in detail.artifacts
    assert detail.tags["nbops.pipeline"] == "tiny"
    stages = json.loads(Store(lab.project).run(result.run_id).tags["nbops.stages"])
    assert stages["add"]["run_id"] == runs["add"].run_id
    assert stages["add"]["cached"] is False
    assert not list((lab.root / ".nbops/work").iterdir())


def test_executed_notebooks_are_kept_with_parameters_and_status(executed_once: Any) -> None:
    lab, result = executed_once
    make = next(stage for stage in result.stages if stage.name == "make")

    executed = read(lab.root / make.notebook)

    injected = next(cell for cell in executed.code_cells if "injected-parameters" in cell.tags)
    assert injected.source.startswith("# Parameters\nn = 3\nnumbers = '")
    assert executed.content["metadata"]["papermill"]["input_path"] == "make.ipynb"
    assert executed.content["metadata"]["nbops"] == {"status": "ok"}
    assert executed.content["metadata"]["language_info"]["name"] == "python"


def test_second_run_executes_nothing(executed: Any) -> None:
    before = len(executed.runs())

    result = executed.run()

    assert {stage.name: stage.outcome for stage in result.stages} == ALL_CACHED
    assert result.run_id == ""
    assert len(executed.runs()) == before
    assert next(s for s in result.stages if s.name == "add").metrics == {"total_value": 3.0}


def test_a_parameter_executes_only_what_depends_on_it(executed: Any) -> None:
    before = len(executed.runs())

    result = executed.run(params={"n": 4})

    assert {stage.name: stage.outcome for stage in result.stages} == {
        "make": "executed",
        "tree": "cached",
        "add": "executed",
    }
    assert (executed.root / "data/total.txt").read_text() == "6.0"
    assert len(executed.runs()) == before + 3
    stages = json.loads(Store(executed.project).run(result.run_id).tags["nbops.stages"])
    assert stages["tree"]["cached"] is True
    assert executed.outcomes() == ALL_CACHED, "the old parameter's outputs come back from the cache"
    assert (executed.root / "data/total.txt").read_text() == "3.0"


def test_cosmetic_edits_execute_nothing(executed: Any) -> None:
    def cosmetics(content: dict[str, Any]) -> None:
        content["cells"][1]["source"] = "# why\n\n" + content["cells"][1]["source"].replace("i * scale", "i*scale")
        content["cells"].insert(0, {"cell_type": "markdown", "source": "# New", "metadata": {}})
        content["cells"].append({"cell_type": "code", "source": "# only a comment", "metadata": {}})
        for position, cell in enumerate(content["cells"]):
            cell["id"] = f"other{position}"

    edit(executed.root / "make.ipynb", cosmetics)

    assert executed.outcomes() == ALL_CACHED


def test_a_local_module_executes_its_importers(executed: Any) -> None:
    (executed.root / "helper.py").write_text("# a comment\n" + (executed.root / "helper.py").read_text())
    assert executed.outcomes() == ALL_CACHED

    (executed.root / "helper.py").write_text("def add(path):\n    return 7\n")

    [make, tree, add] = status(executed.project)
    assert (make.state, tree.state) == ("cached", "cached")
    assert (add.state, add.reason) == ("stale", "changed: module helper")
    assert executed.outcomes() == ALL_CACHED | {"add": "executed"}
    assert (executed.root / "data/total.txt").read_text() == "7"


def test_equal_output_of_changed_code_stops_there(executed: Any) -> None:
    def rewrite(content: dict[str, Any]) -> None:
        content["cells"][1]["source"] += "\nunused = 1"

    edit(executed.root / "make.ipynb", rewrite)

    assert executed.outcomes() == ALL_CACHED | {"make": "executed"}


def test_missing_and_edited_outputs_are_restored(executed: Any) -> None:
    (executed.root / "data/numbers.json").unlink()
    (executed.root / "data/total.txt").write_text("edited by hand")
    (executed.root / "data/leaves/elm/leaf.txt").unlink()
    before = len(executed.runs())
    notes: list[str] = []

    result = executed.run(on_event=lambda event: notes.append(f"{event.stage}: {event.text}"))

    assert {stage.name: stage.outcome for stage in result.stages} == ALL_CACHED
    assert sorted(notes) == ["add: restored total", "make: restored numbers", "tree: restored leaves"]
    assert (executed.root / "data/numbers.json").read_text() == "[0.0, 1.0, 2.0]"
    assert (executed.root / "data/total.txt").read_text() == "3.0"
    assert (executed.root / "data/leaves/elm/leaf.txt").read_text() == "elm"
    assert len(executed.runs()) == before


def test_corrupt_object_and_entry_are_misses_that_say_so(executed: Any) -> None:
    kept = [path for path in (executed.root / ".nbops/cache/objects").rglob("*") if path.is_file()]
    for path in kept:
        if path.read_bytes() == b"[0.0, 1.0, 2.0]":
            path.write_bytes(b"[9.0, 9.0, 9.0]")
    (executed.root / "data/numbers.json").unlink()
    entry = next(
        path
        for path in (executed.root / ".nbops/cache/entries").glob("*.json")
        if json.loads(path.read_text())["stage"] == "tree"
    )
    entry.write_text(entry.read_text()[:100])

    result = executed.run()

    stages = {stage.name: stage for stage in result.stages}
    assert stages["make"].outcome == stages["tree"].outcome == "executed"
    assert stages["make"].reason == "output 'numbers': its kept content is corrupt"
    assert stages["tree"].reason == "its cache entry is corrupt"
    assert stages["add"].outcome == "cached"
    assert executed.outcomes() == ALL_CACHED


def test_force_and_targets(executed: Any) -> None:
    assert executed.outcomes(targets=["make"], force=True) == {"make": "executed"}
    assert executed.outcomes(targets=["add"]) == {"make": "cached", "add": "cached"}


def test_independent_stages_overlap(tiny: Any) -> None:
    if (os.cpu_count() or 1) < 2:
        pytest.skip("one processor: stages run one after the other by design")
    meet = """\
import pathlib, time
pathlib.Path(mine).write_text("here")
deadline = time.monotonic() + 60
while not pathlib.Path("..", other).exists():
    assert time.monotonic() < deadline, "the other stage never ran at the same time"
    time.sleep(0.05)
pathlib.Path(out).write_text("met")"""
    (tiny.root / "meet").mkdir()
    for name, other in (("a", "b"), ("b", "a")):
        marks = f'mine = "../{name}.mark"\nother = "{other}.mark"\nout = "{name}.txt"'
        tiny.notebook(f"meet/{name}.ipynb", meet, parameters=marks)
    tiny.yaml(
        "stages:\n"
        "  a: {notebook: meet/a.ipynb, outputs: {out: a.txt}}\n"
        "  b: {notebook: meet/b.ipynb, outputs: {out: b.txt}}\n"
    )

    assert tiny.outcomes() == {"a": "executed", "b": "executed"}


def test_no_secret_stays_in_an_executed_notebook(tiny: Any) -> None:
    code = "password = 'horse-battery-staple'\nprint('connecting with', password)\nopen(out, 'w').write('done')"
    tiny.notebook("log_in.ipynb", code, parameters='out = "done.txt"')
    tiny.yaml("stages:\n  log_in: {notebook: log_in.ipynb, outputs: {out: done.txt}}\n")

    assert tiny.outcomes() == {"log_in": "executed"}

    [executed] = (tiny.root / ".nbops/executed").glob("*.ipynb")
    kept = [executed, *(tiny.root / ".nbops/artifacts").rglob("*.ipynb"), *(tiny.root / ".nbops/sessions").iterdir()]
    assert len(kept) == 3
    assert not [path for path in kept if "horse-battery" in path.read_text()]
    assert "connecting with" in executed.read_text()
