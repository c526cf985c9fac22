"""What can't be served is refused when the scoring cell runs, with what is at fault and what to do."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nbops.errors import SliceError
from trial import Trial

FRAME = "import numpy as np\nimport pandas as pd\nX = pd.DataFrame({'a': [1.5, -2.0, 3.0], 'b': [1, 2, 3]})"

CASES: dict[str, tuple[tuple[str, ...], str, str]] = {
    "a lambda in a pipeline": (
        (
            "from sklearn.pipeline import make_pipeline\nfrom sklearn.preprocessing import FunctionTransformer",
            "pipe = make_pipeline(FunctionTransformer(lambda f: f * 2)).fit(X)",
            "y = pipe.transform(X)['a']",
        ),
        r"'pipe' holds a lambda \(`pipe = make_pipeline",
        "write it with def",
    ),
    "a function made inside another": (
        (
            "import functools\ndef make():\n    def inner(v):\n        return v\n    return functools.partial(inner)",
            "p = make()",
            "y = p(X['a'])",
        ),
        "'p' holds 'inner', which was made inside a function",
        "top level of a cell",
    ),
    "a class that was defined again": (
        ("class C:\n    k = 2", "c = C()", "class C:\n    k = 3", "y = X['a'] * c.k"),
        "'c' holds a 'C' that isn't the notebook's present 'C'",
        "make the object anew",
    ),
    "a function that reads the input as a global": (
        ("def f():\n    return X['a'] * 2", "y = X['a'] + f()"),
        "'f' takes the input 'X' from the notebook",
        "as an argument",
    ),
    "a cell that doesn't read its input": (
        ("Z = X * 2", "y = Z['a']"),
        "doesn't read its input 'X'",
        "all steps from the raw rows on",
    ),
    "a fit in the scoring cell": (
        ("from sklearn.preprocessing import StandardScaler\nscaler = StandardScaler()", "y = scaler.fit_transform(X)[:, 0]"),
        r"fits something anew each time: y = scaler\.fit_transform",
        "only transform or predict here",
    ),
    "a shell command": (
        ('n = 1', "lines = !echo 2\ny = X['a'] * len(lines)"),
        'a magic or shell command: lines = !echo',
        'Python',
    ),
    "a magic in a function": (
        ('def f(v):\n    %who\n    return v', "y = f(X['a'])"),
        "'f' runs a magic",
        'leave it out',
    ),
    "display in a function": (
        ('def f(v):\n    display(v)\n    return v', "y = f(X['a'])"),
        "'f' calls display",
        'leave it out',
    ),
    "a name that a function lacks": (
        ('def f(v):\n    return v if True else gone', "y = f(X['a'])"),
        "'f' uses 'gone', which isn't defined",
        'run the cell',
    ),
    "a secret": (("password = 'hunter2'", "y = X['a'] * len(password)"), "sounds like a secret", "environment"),
    "several columns without names": (("y = X.to_numpy()",), "isn't one prediction for each of the 3 rows", "named columns"),
    "columns with numbers as names": (("y = pd.DataFrame(X.to_numpy())",), "column 0: names must be text", "rename"),
    "an aggregate": (("y = X['a'].mean()",), "isn't one prediction", "array"),
    "spans of time": (("y = pd.to_timedelta(X['b'], unit='D')",), "'y' holds Timedelta objects", "numbers"),
    "objects": (("y = [{'k': v} for v in X['a']]",), "'y' holds dict objects", "numbers"),
    "mixed predictions": (
        ("y = pd.Series([1, 'a', None], dtype=object)[X.index]",),
        "'y' holds int and str objects",
        'convert_dtypes',
    ),
    "a column of lists": (("X['b'] = [[1], [2], [3]]", "y = X['a']"), "column 'b' holds list objects", "text or dates"),
    "names that aren't text": (("X.columns = [0, 'a']", "y = X['a']"), "the input has a column 0", "rename"),
    "only infinities": (("X['a'] = np.inf", "y = X['b'] * 1.0"), "every row of the input holds an infinity", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_refused_with_the_reason(trial: Callable[..., Trial], name: str) -> None:
    cells, message, remedy = CASES[name]
    with pytest.raises(SliceError, match=message) as caught:
        trial(FRAME, *cells)
    assert remedy in caught.value.remedy
