"""Parameters: found by syntax, typed by annotation or default, injected as source."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest

from nbops.notebook.document import new
from nbops.notebook.parameters import inject, literal, parameters, read_parameters

SOURCE = """\
import datetime
from pathlib import Path
n = 3  # how many
rate: float = 0.5
count: int | None = None
name = "x"
on = True
start = datetime.date(2013, 7, 1)
moment = datetime.datetime(2013, 7, 1, 12)
months = [1, 2]
options = {"a": 1}
nothing = None
place = Path("data")
kind: Literal["a", "b"] = "a"
maybe: Optional[str] = None
listed: "list[int]" = []
either: int | str = 1
low = -1.5
computed = n * 2
a = b = 7
annotated_only: int
x.y = 1
"""


def test_names_defaults_types_and_lines() -> None:
    found = read_parameters(SOURCE)

    types = {name: set(parameter.types) for name, parameter in found.items()}
    assert types == {
        "n": {"int"},
        "rate": {"float"},
        "count": {"int", "None"},
        "name": {"str"},
        "on": {"bool"},
        "start": {"date"},
        "moment": {"datetime"},
        "months": {"list"},
        "options": {"dict"},
        "nothing": {"None"},
        "place": {"Path"},
        "kind": {"str"},
        "maybe": {"str", "None"},
        "listed": {"list"},
        "either": {"int", "str"},
        "low": {"float"},
        "computed": set(),
        "a": {"int"},
        "b": {"int"},
    }
    assert (found["n"].line, found["n"].default) == (3, "3")
    assert found["start"].default == "datetime.date(2013, 7, 1)"


@pytest.mark.parametrize(
    ("name", "value", "fits"),
    [
        ("n", 4, True),
        ("n", 4.0, False),
        ("n", True, False),
        ("n", None, False),
        ("rate", 1, True),
        ("rate", "1", False),
        ("on", 1, False),
        ("on", False, True),
        ("count", None, True),
        ("nothing", "anything", True),
        ("computed", [1], True),
        ("start", datetime.date(2020, 1, 1), True),
        ("start", datetime.datetime(2020, 1, 1), False),
        ("place", "elsewhere", True),
        ("months", (1, 2), True),
    ],
)
def test_which_values_fit(name: str, value: Any, fits: bool) -> None:
    assert read_parameters(SOURCE)[name].accepts(value) == fits


def test_an_int_becomes_the_float_that_it_is_for() -> None:
    assert isinstance(read_parameters(SOURCE)["rate"].coerced(2), float)
    assert isinstance(read_parameters(SOURCE)["either"].coerced(2), int)


def test_notebooks_without_a_parameters_cell() -> None:
    bare = new([{"cell_type": "code", "source": "x = 1"}])
    broken = new([{"cell_type": "code", "source": "x = = 1", "metadata": {"tags": ["parameters"]}}])

    assert parameters(bare) is None
    assert parameters(broken) == {}


@pytest.mark.parametrize(
    "value",
    [
        1,
        1.5,
        float("inf"),
        True,
        None,
        'it\'s "é"\n\\',
        [1, [2.0, None]],
        {"a": {1: [True]}},
        datetime.date(2013, 7, 1),
        datetime.datetime(2013, 7, 1, 12, 30),
        Path("a b/c"),
    ],
)
def test_literals_make_the_same_value(value: Any) -> None:
    again = eval(literal(value))

    assert again == value
    assert type(again) is type(value)


def test_values_without_a_literal_are_refused() -> None:
    with pytest.raises(TypeError, match="can't be a set"):
        literal({1})


def test_injection_replaces_the_last_one_and_follows_the_parameters() -> None:
    document = new(
        [
            {"cell_type": "markdown", "source": "# T"},
            {"cell_type": "code", "source": "n = 1", "metadata": {"tags": ["parameters"]}},
            {"cell_type": "code", "source": "print(n)"},
        ]
    )

    once = inject(document, {"n": 2})
    twice = inject(once, {"n": 3, "s": "x"})

    assert [cell.source for cell in once.code_cells] == ["n = 1", "# Parameters\nn = 2", "print(n)"]
    assert [cell.source for cell in twice.code_cells] == ["n = 1", "# Parameters\nn = 3\ns = 'x'", "print(n)"]
    assert [cell.source for cell in inject(twice, {}).code_cells] == ["n = 1", "print(n)"]
    kept = {cell.source: cell.id for cell in document.code_cells}
    assert all(kept.get(cell.source, cell.id) == cell.id for cell in twice.code_cells), "cells keep their ids"
