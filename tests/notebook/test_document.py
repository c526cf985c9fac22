"""Notebook files: read whole, written whole, and broken ones named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nbops.errors import NotebookError
from nbops.notebook.document import dumps, loads, new, read, write


def cell(source: Any, kind: str = "code", **more: Any) -> dict[str, Any]:
    return {"cell_type": kind, "source": source, "metadata": {}, **more}


def test_round_trip_keeps_everything(tmp_path: Path) -> None:
    output = {"output_type": "stream", "name": "stdout", "text": "é\n1\n"}
    document = new([cell("a = 1\nb = 'é'", outputs=[output], execution_count=3), cell("# Title", "markdown")])

    write(tmp_path / "sub" / "a.ipynb", document)
    again = read(tmp_path / "sub" / "a.ipynb")

    assert [one.source for one in again.code_cells] == ["a = 1\nb = 'é'"]
    assert "".join(again.cells[0]["outputs"][0]["text"]) == "é\n1\n"
    assert [one["id"] for one in again.cells] == [one["id"] for one in document.cells]
    assert again.kernel == "python3"
    assert [path.name for path in (tmp_path / "sub").iterdir()] == ["a.ipynb"], "no temporary file stays"


def test_what_is_written_is_a_notebook_for_jupyter(tmp_path: Path) -> None:
    import nbformat

    write(tmp_path / "a.ipynb", new([cell("x = 1"), cell("*text*", "markdown"), cell("raw", "raw")]))

    nbformat.validate(nbformat.read(tmp_path / "a.ipynb", as_version=nbformat.NO_CONVERT))


def test_missing_and_double_ids_are_filled_always_alike() -> None:
    text = json.dumps(
        {
            "nbformat": 4,
            "nbformat_minor": 4,
            "metadata": {},
            "cells": [cell(["x = 1\n", "y"]), cell("x", id="a"), cell("z", id="a")],
        }
    )

    ids = [one["id"] for one in loads(text).cells]

    assert len(set(ids)) == 3
    assert ids[1] == "a"
    assert ids == [one["id"] for one in loads(text).cells]
    assert loads(text).code_cells[0].source == "x = 1\ny"
    assert loads(dumps(loads(text))).content == loads(text).content


def test_old_formats_are_upgraded(tmp_path: Path) -> None:
    old = {
        "nbformat": 3,
        "nbformat_minor": 0,
        "metadata": {"name": ""},
        "worksheets": [
            {
                "cells": [
                    {"cell_type": "code", "collapsed": False, "input": "x = 1", "language": "python", "metadata": {},
                     "outputs": []}
                ]
            }
        ],
    }  # fmt: skip
    (tmp_path / "old.ipynb").write_text(json.dumps(old))

    assert [one.source for one in read(tmp_path / "old.ipynb").code_cells] == ["x = 1"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ('{"cells": [', "its JSON is broken"),
        ("[]", "no 'nbformat'"),
        ('{"nbformat": 9, "cells": []}', "newer than this nbops reads"),
        ('{"nbformat": 4}', "no list of cells"),
        ('{"nbformat": 4, "cells": [1]}', "cell 1 isn't a code, markdown or raw cell"),
        ('{"nbformat": 3, "worksheets": 4}', "can't be upgraded"),
    ],
)
def test_broken_notebooks_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "broken.ipynb"
    path.write_text(text)

    with pytest.raises(NotebookError, match=message) as caught:
        read(path)

    assert str(path) in caught.value.where


def test_missing_notebook_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotebookError, match=r"none\.ipynb: no such notebook"):
        read(tmp_path / "none.ipynb")


def test_a_write_that_fails_leaves_the_old_notebook(tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    write(path, new([cell("x = 1")]))
    before = path.read_bytes()

    with pytest.raises(TypeError):
        write(path, new([cell("x = 2", outputs=[{"data": object()}])]))

    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["a.ipynb"]
