"""A run restored as a notebook: what stands in it, that it runs, and from how little it can be made."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from lives_study import Study
from nbops.errors import TrackingError
from nbops.notebook import document
from nbops.tracking.recipe import Piece
from nbops.tracking.reproduction.layout import lay_out
from nbops.tracking.reproduction.restore import restore

pytestmark = pytest.mark.slow


def test_the_recipe_is_a_clean_notebook_with_its_words(study: Study, tmp_path: Path) -> None:
    made = restore(study.store, study.edited, tmp_path / "again.ipynb")
    assert made.path
    notebook = nbformat.read(made.path, as_version=4)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    first, *rest = notebook.cells
    assert first.cell_type == "markdown"
    assert study.edited in first.source
    assert "study.ipynb" in first.source
    assert notebook.metadata.kernelspec.name == "python3"
    assert [cell.source.split("\n")[0] for cell in rest if cell.cell_type == "markdown"][:2] == [
        "# Which flowers?",
        "## The data",
    ]
    code = [cell for cell in rest if cell.cell_type == "code"]
    assert code[0].source == "%load_ext nbops"
    assert "strength = 0.1" in code[-1].source
    assert all(cell.execution_count is None and not cell.outputs for cell in code)
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)


def test_the_history_has_everything_with_its_outputs(study: Study, tmp_path: Path) -> None:
    made = restore(study.store, study.edited, tmp_path / "all.ipynb", kind="history")
    cells = {cell["id"]: cell for cell in made.document.cells}
    assert {"aside", "boom", "fit", "fit-2", "save"} <= set(cells)
    assert "strength = 0.5" in cells["fit"]["source"]
    assert "strength = 0.1" in cells["fit-2"]["source"]
    assert cells["boom"]["metadata"]["tags"] == ["raises-exception"]
    assert cells["boom"]["outputs"][-1]["ename"] == "ZeroDivisionError"
    assert "aside" in "".join(cells["aside"]["outputs"][0]["text"])
    assert "text/html" in cells["read"]["outputs"][0]["data"]
    nbformat.validate(nbformat.read(tmp_path / "all.ipynb", as_version=4))
    assert made.failing == 1


def test_a_notebook_with_a_cell_that_must_fail_runs_to_its_end(tmp_path: Path) -> None:
    pieces = [Piece(1, "a", "x = 1\n1 / 0", True, failed=True), Piece(2, "b", "print('x is', x)", True)]
    document.write(tmp_path / "in.ipynb", lay_out(pieces))
    command = [sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute", "in.ipynb", "--output", "out"]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert "".join(document.read(tmp_path / "out.ipynb").cells[-1]["outputs"][0]["text"]) == "x is 1\n"


def test_a_file_is_not_written_over(study: Study, tmp_path: Path) -> None:
    path = tmp_path / "mine.ipynb"
    path.write_text("mine", encoding="utf-8")
    with pytest.raises(TrackingError, match="there is a file already"):
        restore(study.store, study.first, path)
    assert path.read_text(encoding="utf-8") == "mine"
    restore(study.store, study.first, path, force=True)
    assert document.read(path).code_cells


def test_the_artifacts_alone_are_enough(study: Study, tmp_path: Path) -> None:
    with_session = restore(study.store, study.edited, tmp_path / "a.ipynb").document
    aside = study.project.sessions.with_name("elsewhere")
    study.project.sessions.rename(aside)
    try:
        alone = restore(study.store, study.edited, tmp_path / "b.ipynb").document
        history = restore(study.store, study.edited, tmp_path / "c.ipynb", kind="history").document
    finally:
        shutil.rmtree(study.project.sessions, ignore_errors=True)
        aside.rename(study.project.sessions)
    assert [cell["source"] for cell in alone.cells] == [cell["source"] for cell in with_session.cells]
    assert len(history.code_cells) == 9


def test_inputs_are_looked_at(study: Study, tmp_path: Path) -> None:
    table = study.root / "data" / "in.csv"
    before = table.read_text(encoding="utf-8")
    same = restore(study.store, study.first, tmp_path / "a.ipynb", check_data=True)
    assert [(state.source, state.state) for state in same.inputs] == [("data/in.csv", "same")]
    try:
        table.write_text(before.replace("0,0,0\n", "0,0,1\n", 1) + "\n1,1,1", encoding="utf-8")
        changed = restore(study.store, study.first, tmp_path / "b.ipynb", check_data=True)
        assert changed.inputs[0].state == "changed"
        assert "rows" in changed.inputs[0].why
        table.unlink()
        assert restore(study.store, study.first, tmp_path / "c.ipynb", check_data=True).inputs[0].state == "missing"
    finally:
        table.write_text(before, encoding="utf-8")


def test_an_unknown_run_says_so(study: Study) -> None:
    with pytest.raises(TrackingError, match="no run"):
        restore(study.store, "nowhere", "x.ipynb")
    foreign = study.store.start_run("foreign")
    study.store.end_run(foreign)
    with pytest.raises(TrackingError, match="nothing is known of how it was made"):
        restore(study.store, foreign, "x.ipynb")
    study.store.client.delete_run(foreign)


def test_ids_fit_the_format_and_tags_are_kept() -> None:
    source = document.loads(
        json.dumps(
            {
                "nbformat": 4,
                "nbformat_minor": 5,
                "metadata": {"kernelspec": {"name": "special", "display_name": "Special"}},
                "cells": [
                    {
                        "cell_type": "code",
                        "id": "p",
                        "source": "x = 1",
                        "metadata": {"tags": ["parameters"], "papermill": {}},
                    },
                    {"cell_type": "raw", "id": "r", "source": "raw", "metadata": {}},
                    {"cell_type": "code", "id": "q", "source": "y = x", "metadata": {"collapsed": True}},
                ],
            }
        )
    )
    pieces = [
        Piece(1, "p", "x = 1", True),
        Piece(2, None, "y = x", True),
        Piece(3, "odd:id/with space" + "x" * 80, "z = y", True),
        Piece(4, "p", "x = 2", True, failed=True),
        Piece(5, None, "z", True),
    ]
    made = lay_out(pieces, sources=[source], loads=True)
    notebook = nbformat.from_dict(made.content)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "special"
    assert [cell.source for cell in notebook.cells] == [
        "%load_ext nbops",
        "x = 1",
        "raw",
        "y = x",
        "z = y",
        "x = 2",
        "z",
    ]
    load, first, raw, second, odd, again, last = notebook.cells
    assert (load.id, first.id, raw.id, second.id, again.id, last.id) == (
        "nbops-load",
        "p",
        "r",
        "cell-2",
        "p-2",
        "cell-5",
    )
    assert len(odd.id) <= 64
    assert first.metadata.tags == ["parameters"]
    assert second.metadata == {"collapsed": True}
    assert again.metadata.tags == ["parameters", "raises-exception"]
