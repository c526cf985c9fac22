"""What scoring needs is found, all of it and nothing else."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest

from nbops.errors import SliceError
from nbops.promotion.needs import Needs, find_needs

Execute = Callable[..., dict[str, Any]]


def needs_of(namespace: dict[str, Any], *names: str) -> Needs:
    return find_needs(names, namespace, namespace["In"], where="cell")


def names_in(needs: Needs) -> list[str]:
    return [name for name, _ in needs.definitions]


def test_a_function_brings_what_it_calls_and_nothing_else(notebook: Execute) -> None:
    space = notebook(
        "import math\nimport json",
        "SCALE = 2.5\nunused = 3",
        "def inner(x):\n    return math.sqrt(x) * SCALE",
        "def outer(x):\n    # why\n    return inner(x) + 1",
    )
    needs = needs_of(space, "outer")
    assert names_in(needs) == ["SCALE", "inner", "outer"]
    assert needs.imports == ["import math"]
    assert "# why" in dict(needs.definitions)["outer"]
    assert not needs.objects


def test_the_definition_in_force_is_taken(notebook: Execute) -> None:
    space = notebook("def f(x):\n    return 1", "def f(x):\n    return 2", "g = f", "def f(x):\n    return 3")
    assert "return 3" in dict(needs_of(space, "f").definitions)["f"]


def test_a_class_comes_before_its_instances(notebook: Execute) -> None:
    space = notebook(
        "class Base:\n    pass",
        "class Clip(Base):\n    def __call__(self, v):\n        return max(v, 0)",
        "clip = Clip()",
    )
    assert names_in(needs_of(space, "clip")) == ["Base", "Clip", "clip"]


def test_lambdas_decorators_and_defaults(notebook: Execute) -> None:
    space = notebook(
        "import functools",
        "LIMIT = 4",
        "def loud(f):\n    @functools.wraps(f)\n    def g(*a):\n        return f(*a)\n    return g",
        "double = lambda v: v * 2",
        "@functools.lru_cache(maxsize=LIMIT)\ndef cached(v, *, by=LIMIT):\n    return double(v) + by",
    )
    needs = needs_of(space, "cached")
    assert names_in(needs) == ["LIMIT", "double", "cached"]
    assert dict(needs.definitions)["cached"].startswith("@functools.lru_cache")


def test_recursion_ends(notebook: Execute) -> None:
    space = notebook("def even(n):\n    return n == 0 or odd(n - 1)", "def odd(n):\n    return n != 0 and even(n - 1)")
    assert set(names_in(needs_of(space, "even"))) == {"even", "odd"}


def test_imports_keep_their_names(notebook: Execute) -> None:
    space = notebook("import os.path as osp\nimport xml.etree.ElementTree\nfrom json import dumps as to_text, loads")
    needs = needs_of(space, "osp", "xml", "to_text")
    assert set(needs.imports) == {
        "import os.path as osp",
        "import xml.etree.ElementTree",
        "from json import dumps as to_text",
    }


def test_fitted_objects_are_stored(notebook: Execute) -> None:
    space = notebook(
        "from sklearn.preprocessing import StandardScaler", "scaler = StandardScaler().fit([[1.0], [2.0]])"
    )
    needs = needs_of(space, "scaler")
    assert pickle.loads(needs.objects["scaler"].content).mean_[0] == 1.5
    assert {module.partition(".")[0] for module in needs.modules} >= {"sklearn", "numpy"}


@pytest.mark.parametrize(
    ("cells", "name", "message"),
    [
        ((), "nowhere", "isn't defined"),
        (
            ("def make(k):\n    def f(x):\n        return x + k\n    return f", "f = make(3)"),
            "f",
            "function that made it",
        ),
        (("import threading\nlock = threading.Lock()",), "lock", "can't be stored"),
        (("api_key = 'abc123'",), "api_key", "secret"),
    ],
)
def test_what_cannot_be_shipped_is_refused_with_a_remedy(
    notebook: Execute, cells: tuple[str, ...], name: str, message: str
) -> None:
    with pytest.raises(SliceError, match=message) as caught:
        needs_of(notebook(*cells), name)
    assert caught.value.remedy
