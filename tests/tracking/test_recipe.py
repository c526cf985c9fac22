"""Recipes from session files: of a real kernel, with edited cells out of order, and cut statement by statement."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kernels import Kernel, sessions
from nbops.project import Project
from nbops.tracking.recipe import history_of, params_of, recipe_of

from .flow.notebooks import Failures, executed, of_last, replayed


def _recipe(tmp_path: Path, *cells: str) -> list[str]:
    failures = Failures()
    log, _ = executed(cells, tmp_path, failures)
    assert not failures, failures[0]
    return [piece.source for piece in of_last(log).pieces]


def test_only_the_needed_statements_of_other_cells(tmp_path: Path) -> None:
    source = "# before\na = [1,  # one\n     2]\nb = 3; c = 'ä'; d = 4\n\n# why\n@staticmethod\ndef f(): pass\ne = '''x\ny'''"
    assert _recipe(tmp_path, source, "(c, f, e)") == [
        "c = 'ä';\n# why\n@staticmethod\ndef f(): pass\ne = '''x\ny'''".replace("'ä';", "'ä'"),
        "(c, f, e)",
    ]


def test_magics_stay_as_they_were_written(tmp_path: Path) -> None:
    first = "\n\nn = 2\nm = 3\n%time x = \\\n  n + 1\ny = 5"
    assert _recipe(tmp_path, first, "x") == ["n = 2\n%time x = \\\n  n + 1", "x"]


def test_what_is_said_to_nbops_is_nothing_to_a_recipe(tmp_path: Path) -> None:
    assert _recipe(tmp_path, "a = 1\nb = 2", "%load_ext nbops_missing", "c = a\n# %nbops last\nc")[-1].startswith(
        "c = a"
    )


def test_variables_that_are_read_are_parameters(tmp_path: Path) -> None:
    cells = [
        "lr = 0.1\ndepth = 3\nunused = 1",
        "lr = 0.5\npassword = 'hunter2'",
        "xs = [lr] * depth + [password]",
        "n = len(xs)\nn",
    ]
    log, _ = executed(cells, tmp_path, Failures())
    assert params_of(log, of_last(log)) == {"lr": 0.5, "depth": 3, "password": "***", "n": 4}


def test_a_cell_without_steps_brings_all_before_it(tmp_path: Path) -> None:
    log, _ = executed(["a = 1", "b = 2", "c ="], tmp_path, Failures())
    assert [piece.source for piece in of_last(log).pieces] == ["a = 1", "b = 2", "c ="]
    assert [piece.seq for piece in history_of(log, {2}).pieces] == [1, 2]


@pytest.mark.slow
def test_a_kernel_s_recipe_gives_the_same_value(
    project: Project, start_kernel: Callable[..., Kernel], tmp_path: Path
) -> None:
    kernel = start_kernel()
    cells = (
        "%load_ext nbops",
        "import numpy as np, pandas as pd\nnp.random.seed(3)",
        "rate = 2",
        "def scaled(frame):\n    return frame['x'] * rate * offset",
        "df = pd.DataFrame({'x': np.random.rand(4)})\nscratch = df.describe()",
        "alias = df\nalias.loc[0, 'x'] = 9",
        "offset = 1",
        "1 / 0",
        "offset = 10\nrate = 5",
        "%%time\nnoise = np.random.rand(2)",
        "result = scaled(df).round(9).tolist() + np.random.rand(1).tolist()\nprint(result)",
    )
    replies = [kernel.run(cell) for cell in cells]
    kernel.stop()
    log = sessions(project)[0]
    assert not (project.state / "nbops.log").exists(), (project.state / "nbops.log").read_text()
    recipe = recipe_of(log, {log.cells[-1].start.seq})
    sources = [piece.source for piece in recipe.pieces]
    assert "scratch" not in "".join(sources)
    assert "rate = 2" not in sources
    assert "%load_ext nbops" not in sources
    assert "1 / 0" not in sources
    assert str(replayed(recipe, tmp_path / "again")["result"]) == replies[-1].text.strip()
