"""What is at the door, and what opening it costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import nbops

HEAVY = ("mlflow", "papermill", "sklearn", "pandas", "numpy", "IPython", "jupyter_client", "nbformat", "rich")


def loaded_after(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(' '.join(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(answer.stdout.splitlines()[-1].split())


def test_all_is_sorted_and_exists() -> None:
    assert nbops.__all__ == sorted(nbops.__all__)
    assert len(nbops.__all__) < 12
    assert all(getattr(nbops, name) is not None for name in nbops.__all__)


def test_nothing_leaks_through_the_door() -> None:
    public = {name for name in loaded_names() if not name.startswith("_")}
    assert public <= set(nbops.__all__) | {"TYPE_CHECKING", "annotations", "import_module", "Any"}


def loaded_names() -> list[str]:
    answer = subprocess.run(
        [sys.executable, "-c", "import nbops; print(' '.join(vars(nbops)))"], capture_output=True, text=True, check=True
    )
    return answer.stdout.split()


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_thing"):
        nbops.no_such_thing  # noqa: B018


@pytest.mark.parametrize(
    "statement",
    [
        "import nbops",
        "import nbops.cli",
        "import nbops.magics",
        "from click.testing import CliRunner; from nbops.cli import group; CliRunner().invoke(group, ['--help'])",
    ],
)
def test_the_door_is_light(statement: str) -> None:
    assert not loaded_after(statement) & set(HEAVY)
