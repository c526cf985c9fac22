"""One spelling for code that means the same: what counts and what doesn't."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbops.notebook.normalise import digest, normalise, parse, short_digest, split_cell_magic, without_magics

CELL = (
    "import pandas as pd\n\n\ndef late(flights, cut=15):\n    # minutes\n    return flights[flights['delay'] > cut]\n"
)


@pytest.mark.parametrize(
    "same",
    [
        "import pandas as pd\ndef late(flights, cut=15): return flights[flights['delay'] > cut]",
        'import pandas as pd  # frames\ndef late(flights, cut = 15):\n  return flights[\n  flights["delay"]>cut]\n\n\n',
        "\n\n" + CELL.replace("\n", "   \n"),
    ],
)
def test_layout_and_comments_do_not_count(same: str) -> None:
    assert digest([same]) == digest([CELL])


@pytest.mark.parametrize(
    "other",
    [
        CELL.replace("15", "16"),
        CELL.replace("15", "15.0"),
        CELL.replace("> cut", ">= cut"),
        CELL.replace("'delay'", "'delay '"),
        CELL.replace("late", "Late"),
        CELL.replace("    # minutes", "    'minutes'"),
        "%%time\n" + CELL,
    ],
)
def test_meaning_counts(other: str) -> None:
    assert digest([other]) != digest([CELL])


def test_order_and_number_of_cells_count_but_empty_cells_do_not() -> None:
    assert digest(["a = 1", "b = 2"]) != digest(["b = 2", "a = 1"])
    assert digest(["a = 1", "b = 2"]) != digest(["a = 1\nb = 2"])
    assert digest(["a = 1", "", "  \n", "# note"]) == digest(["a = 1"])
    assert short_digest(["a = 1"]) == digest(["a = 1"])[:8]


@pytest.mark.parametrize(
    "cell",
    [
        "%matplotlib inline",
        "!ls -l",
        "files = !ls",
        "t = %timeit -o f()",
        "df.head?",
        "??df",
        "if x:\n    !ls",
        "%cd ..",
    ],
)
def test_magics_become_python_on_the_same_line(cell: str) -> None:
    plain = without_magics(f"{cell}\ny = 1")
    assert ast.parse(plain).body[-1].lineno == cell.count("\n") + 2
    assert normalise(cell) != normalise("y = 1")


def test_the_body_of_another_language_is_text() -> None:
    assert parse("%%bash\nx=1") is None
    assert normalise("%%bash\nx=1  \n\n") == "%%bash\nx=1"
    assert normalise("%%sql  --a\nselect 'b'") != normalise("%%sql --a\nselect 'c'")
    assert split_cell_magic("\n%%time -x\na = 1") == ("%%time -x", "a = 1")
    assert split_cell_magic("a = 1") == ("", "a = 1")


def test_python_that_looks_like_magics_is_left_alone() -> None:
    for code in ("x = 5 % 3", "s = '''\n%foo\n!bar\n'''", "y = 'what?'", "a != b"):
        assert without_magics(code) == code


@given(st.text(max_size=60))
def test_any_text_normalises_and_stays_so(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once or split_cell_magic(text)[0] or parse(text) is None
    digest([text])
