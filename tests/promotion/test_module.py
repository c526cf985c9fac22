"""The generated module: what it holds, and that it does what the cell did."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nbops.errors import SliceError
from nbops.promotion.body import scoring_statements
from nbops.promotion.module import relative_imports, write_module
from nbops.promotion.needs import find_needs

Execute = Callable[..., dict[str, Any]]


def module_of(space: dict[str, Any], cell: str, source: str, target: str) -> str:
    from nbops.notebook.names import names_of

    body = scoring_statements(cell, target, where="cell")
    needed = names_of(statement.node for statement in body).used - {source}
    needs = find_needs(needed, space, space["In"], where="cell")
    return write_module(body, needs, input_name=source, output_name=target, origin="n.ipynb, cell 1")


def test_the_module_computes_what_the_cell_computed(notebook: Execute) -> None:
    cell = (
        "# a comment between\ntotals = []\nfor row in rows:\n    totals.append(add(row))\nprint(totals)\n"
        "text = '''two\n  lines'''\nout = [t + len(text) for t in totals]\nout"
    )
    space = notebook("STEP = 3\ndef add(v):\n    return v + STEP", "rows = [1, 2]", cell)
    source = module_of(space, cell, "rows", "out")
    assert "print" not in source
    scope: dict[str, Any] = {}
    exec(source, scope)
    assert scope["score"]([1, 2]) == space["out"]
    assert scope["score"].__doc__ == "Return `out`, one prediction for each row of `rows`."


def test_what_the_output_does_not_need_is_left_out(notebook: Execute) -> None:
    cell = "side = expensive(rows)\nout = [row + 1 for row in rows]"
    source = module_of(notebook("def expensive(x):\n    return x", "rows = [1]"), cell, "rows", "out")
    assert "expensive" not in source


def test_the_output_must_be_defined() -> None:
    with pytest.raises(SliceError, match="doesn't define 'out'"):
        scoring_statements("other = 1", "out", where="cell")


@pytest.mark.parametrize(
    ("source", "base", "expected"),
    [
        ("import features", ".project", "from .project import features"),
        ("import features as f", ".project", "from .project import features as f"),
        ("from features import a, b as c", ".project", "from .project.features import a, b as c"),
        ("from lib.deep import a", ".project", "from .project.lib.deep import a"),
        ("import lib.deep as d", ".", "from .lib import deep as d"),
        ("import lib.deep", ".project", "from .project.lib import deep as _deep; from .project import lib"),
        ("from features import a", "..", "from ..features import a"),
        ("import features", "..", "from .. import features"),
        ("import numpy as np", ".", "import numpy as np"),
        ("from . import sibling", "..", "from . import sibling"),
        (
            "def f():\n    from features import a  # late\n    return a",
            ".",
            "def f():\n    from .features import a  # late\n    return a",
        ),
        ("from features import (\n    a,\n    b,\n)", ".", "from .features import a, b"),
        ("import features, json", ".", "from . import features; import json"),
        ("x = 'ü'; import features; import lib", ".", "x = 'ü'; from . import features; from . import lib"),
    ],
)
def test_imports_of_local_modules_become_relative(source: str, base: str, expected: str) -> None:
    assert relative_imports(source, {"features", "lib", "lib.deep"}, base) == expected
