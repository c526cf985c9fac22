"""Differently written notebooks whose scoring cell becomes a service that predicts what the cell predicted."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from trial import Trial

Try = Callable[..., Trial]


def read_notebooks() -> dict[str, tuple[str, ...]]:
    parts = re.split(r"^== (.+)\n", (Path(__file__).parent / "scoring_cells.txt").read_text(), flags=re.MULTILINE)[1:]
    cells = {
        name: re.split(r"^--\n", text.strip("\n"), flags=re.M)
        for name, text in zip(parts[::2], parts[1::2], strict=True)
    }
    named = {name: cells.pop(name)[0] for name in ("FRAME", "FIT")}
    return {
        name: (named["FRAME"], *(named.get(cell.strip(), cell) for cell in notebook))
        for name, notebook in cells.items()
    }


CELLS = read_notebooks()


@pytest.mark.parametrize("name", CELLS)
def test_the_service_predicts_what_the_cell_predicted(trial: Try, name: str) -> None:
    tried = trial(*CELLS[name])
    assert tried.differences() == [], tried.source
    for word in ("print", "head", "to_csv", "get_ipython", "describe", "dummies = "):
        assert word not in tried.source


COLUMNS = {
    "category": "pd.Categorical(['a', 'b', None, 'a'])",
    "ordered category": "pd.Categorical(['lo', 'hi', 'lo', 'lo'], ['lo', 'hi'], ordered=True)",
    "category of integers": "pd.Categorical([3, 1, 3, 1])",
    "Int64": "pd.array([1, None, 3, 4], dtype='Int64')",
    "Int64 without missing": "pd.array([1, 2, 3, 4], dtype='Int64')",
    "int8": "np.array([1, 2, 3, 4], dtype='int8')",
    "int32": "np.array([1, 2, 3, 4], dtype='int32')",
    "uint16": "np.array([1, 2, 3, 4], dtype='uint16')",
    "bool": "[True, False, True, True]",
    "nullable boolean": "pd.array([True, None, False, True], dtype='boolean')",
    "float32": "np.array([0.1, np.nan, 3, 4], dtype='float32')",
    "Float64": "pd.array([0.1, None, 3, 4], dtype='Float64')",
    "infinite": "[0.1, np.inf, -np.inf, np.nan]",
    "text": "['', 'naïve ☃', None, ' ']",
    "string": "pd.array(['x', None, '', 'y'], dtype='string')",
    "object": "pd.Series(['x', None, 'z', 'y'], dtype=object)",
    "all missing": "[None, None, None, None]",
    "naive dates": "pd.to_datetime(['2013-01-01 05:00:01.000001', None, '1960-01-01', '2200-01-01'], format='ISO8601')",
    "dates in nanoseconds": "pd.to_datetime(['2013-01-01', None, '1960-01-01', '2200-01-01']).as_unit('ns')",
    "dates with a zone": "pd.to_datetime(['2013-07-01', '2013-01-01', None, '2013-01-02']).tz_localize('America/New_York')",
    "dates in UTC": "pd.to_datetime(['2013-07-01', '2013-01-01', None, '2013-01-02'], utc=True)",
}


@pytest.mark.parametrize("name", COLUMNS)
def test_columns_of_every_dtype(trial: Try, name: str) -> None:
    frame = f"import numpy as np, pandas as pd\nX = pd.DataFrame({{'größe in m': {COLUMNS[name]}, 'class': 1.5}})"
    cell = (
        "c = X['größe in m']\n"
        "y = [f'{c.dtype} {v} {pd.isna(v)} {w}' for v, w in zip(c.astype(object).where(c.notna(), None), X['class'])]"
    )
    tried = trial(frame, cell)
    assert tried.differences() == [], tried.source


def test_codes_of_categories(trial: Try) -> None:
    frame = "import pandas as pd\nX = pd.DataFrame({'c': pd.Categorical(['b', 'a', 'c', 'b'], ['c', 'b', 'a'])})"
    tried = trial(frame, "y = X['c'].cat.codes * 2")
    assert tried.differences() == []
    assert tried.recorded["input"]["columns"][0]["type"] == "string"


def test_one_row(trial: Try) -> None:
    assert trial("import pandas as pd\nX = pd.DataFrame({'a': [1.5]})", "y = X['a'] * 2").differences() == []


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


PACKAGE = {
    "lib/__init__.py": "from .deep import BASE\nfrom . import shared\n",
    "lib/deep.py": "from .shared import K\nfrom outside import TWICE\nimport lib.shared\nBASE = K * TWICE + lib.shared.K\n",
    "lib/shared.py": "K = 2\nclass Scale:\n    def __call__(self, v):\n        return v * K\n",
    "outside.py": "TWICE = 2\nimport lib.shared as sh; import json\n"
    "def out(v):\n    from lib import BASE\n    return v + BASE + sh.K\n",
    "scoring.py": "def mine(v):\n    return v - 1\n",
    "serving/__init__.py": "NAME = 'mine'\n",
    "spaced/part.py": "PART = 7\n",
}


@pytest.mark.parametrize(
    ("imports", "code"),
    [
        ("from lib import BASE", "y = X['a'] * BASE"),
        ("import lib", "y = X['a'] * lib.BASE + lib.deep.BASE"),
        ("import lib.deep", "y = X['a'] * lib.deep.BASE + lib.shared.K"),
        ("import lib.deep as deep, math", "y = X['a'] * deep.BASE + math.pi"),
        ("from lib.shared import Scale\nscale = Scale()", "y = scale(X['a'])"),
        ("from outside import out", "y = out(X['a'])"),
        ("from outside import *", "y = out(X['a']) + TWICE"),
        ("", "from outside import out\nimport lib.deep\ny = out(X['a']) + lib.deep.BASE"),
        ("def f(v):\n    from lib.deep import BASE\n    return v * BASE", "y = f(X['a'])"),
        ("import scoring, serving", "y = scoring.mine(X['a']) + len(serving.NAME)"),
        ("from spaced.part import PART", "y = X['a'] + PART"),
        ("import spaced.part", "y = X['a'] + spaced.part.PART"),
    ],
)
def test_the_projects_own_modules(trial: Try, tmp_path: Path, imports: str, code: str) -> None:
    write(tmp_path, PACKAGE)
    frame = "import pandas as pd\nX = pd.DataFrame({'a': [1.5, -2.0]})"
    assert trial(frame, imports, code).differences() == []
