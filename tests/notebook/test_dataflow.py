"""Statements and the backward slice."""

from __future__ import annotations

import pytest

from nbops.errors import NotebookError
from nbops.notebook.dataflow import backward_slice, statements


def _slice(source: str, *targets: str) -> list[str]:
    return [statement.source for statement in backward_slice(statements(source), targets)]


def test_a_statement_keeps_its_own_text() -> None:
    source = "%%time\n# before\nx = [1,  # one\n     2]\n@decorated\ndef f(): pass\na = 1; b = 'ä'; c = 3\n"
    texts = [statement.source for statement in statements(source)]
    assert texts == ["x = [1,  # one\n     2]", "@decorated\ndef f(): pass", "a = 1", "b = 'ä'", "c = 3"]


def test_what_is_not_python_is_refused_with_its_place() -> None:
    with pytest.raises(NotebookError) as refused:
        statements("a =", where="cell 3")
    assert refused.value.where == "cell 3"


@pytest.mark.parametrize(
    ("source", "target", "kept"),
    [
        ("a = 1\nb = 2\nc = a", "c", ["a = 1", "c = a"]),
        ("a = 1\na = 2", "a", ["a = 2"]),
        ("a = 1\na += 1", "a", ["a = 1", "a += 1"]),
        ("x = []\nx.append(1)\nprint(x)\nx", "x", ["x = []", "x.append(1)"]),
        ("x = {}\nx['k'] = v\ny = 1", "x", ["x = {}", "x['k'] = v"]),
        ("x = 1\nif c:\n    x = 2", "x", ["x = 1", "if c:\n    x = 2"]),
        (
            "def g(): return 1\ndef f(): return g()\ny = f()\nz = 1",
            "y",
            ["def g(): return 1", "def f(): return g()", "y = f()"],
        ),
        ("from numpy import *\na = 1\nb = zeros(3)", "b", ["from numpy import *", "b = zeros(3)"]),
        ("a, b = 1, 2\nc = b", "c", ["a, b = 1, 2", "c = b"]),
        ("t = load()\nfill(t)\nu = t.x", "u", ["t = load()", "fill(t)", "u = t.x"]),
    ],
)
def test_the_slice_keeps_what_a_value_depends_on(source: str, target: str, kept: list[str]) -> None:
    assert _slice(source, target) == kept


def test_executing_the_slice_gives_the_same_value() -> None:
    source = "k = 2\nlog = []\nxs = [3, 1]\nxs.sort()\nlog.append(7)\nys = [x * k for x in xs]\nk = 5\nprint(ys)"
    whole: dict[str, object] = {}
    exec(source, whole)
    part: dict[str, object] = {}
    exec("\n".join(_slice(source, "ys")), part)
    assert part["ys"] == whole["ys"]
    assert "log" not in part
