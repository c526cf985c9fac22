"""Runs lived again after what they came from was moved, edited or removed, and from a kernel without a notebook."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from live import LiveNotebook
from nbops.project import Project
from nbops.tracking.reproduction.reproduce import reproduce
from nbops.tracking.reproduction.restore import restore
from nbops.tracking.store import Store

pytestmark = pytest.mark.slow

CONFIG = '[project]\nname = "moved"\n[tracking]\nuri = "sqlite:///runs.db"\nartifacts = "kept"\n'
CELLS = [
    ("load", "%load_ext nbops"),
    (
        "imports",
        "%matplotlib inline\nimport matplotlib.pyplot as plt\nimport mlflow\nimport pandas as pd\nimport ground",
    ),
    ("aside", "'not needed'"),
    ("read", "table = pd.read_csv('../data/in.csv')\ntable.a.sum()"),
    ("fails", "found = []\nfor value in (2, 1, 0):\n    found.append(1 / value)"),
    (
        "fit",
        "%%nbops run figures\nfor power in (1, 2):\n    plt.figure()\n    plt.plot(ground.scaled(table.a) ** power)\n"
        "plt.show()\nmlflow.log_metric('total', Out[4] + len(found) + float(ground.scaled(table.a).sum()))",
    ),
]


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Return a project with a store by a relative path, and a run of a notebook in a folder below."""
    root = tmp_path_factory.mktemp("moved") / "moved"
    (root / "notebooks").mkdir(parents=True)
    (root / "data").mkdir()
    (root / "nbops.toml").write_text(CONFIG, encoding="utf-8")
    (root / "data" / "in.csv").write_text("a\n1\n2\n3\n", encoding="utf-8")
    (root / "notebooks" / "ground.py").write_text("def scaled(a):\n    return a / 10\n", encoding="utf-8")
    with LiveNotebook(root / "notebooks" / "study.ipynb", CELLS) as live:
        assert live.run() == ["ok"] * 4 + ["error", "ok"]
    return Store(Project.find(root))


@contextmanager
def aside(path: Path) -> Iterator[None]:
    """Take a file away for a while."""
    path.rename(path.with_name(f"was-{path.name}"))
    try:
        yield
    finally:
        path.with_name(f"was-{path.name}").rename(path)


def test_a_renamed_notebook_with_two_figures_and_a_numbered_output(moved: Store) -> None:
    root = moved.project.root
    with aside(root / "notebooks" / "study.ipynb"):
        made = reproduce(moved, "figures")
    assert made.said() == "reproduced", [check for check in made.checks if check.level != "same"]
    assert len([check for check in made.checks if check.kind == "output" and "display" in check.name]) == 2
    assert moved.run("figures").summary.metrics == {"total": pytest.approx(6 + 2 + 0.6)}
    assert (root / "runs.db").is_file()
    assert not (root / "notebooks" / "runs.db").exists()
    assert any((root / "kept").rglob("recipe.json"))


def test_the_restored_notebook_goes_on_after_what_fails(moved: Store) -> None:
    folder = moved.project.root / "notebooks"
    made = restore(moved, "figures", folder / "again.ipynb")
    assert made.failing == 1
    assert [cell.source for cell in made.document.code_cells][-2].startswith("%%nbops fails\nfound = []")
    command = [sys.executable, "-m", "papermill", "again.ipynb", "out.ipynb", "--no-progress-bar"]
    answer = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    again = [run for run in moved.runs() if (run.notebook and "again" in run.notebook) or run.notebook is None]
    assert [run.metrics for run in again] == [{"total": pytest.approx(8.6)}]
    assert "ZeroDivisionError" in (folder / "out.ipynb").read_text(encoding="utf-8")
    moved.client.delete_run(again[0].run_id)


def test_a_file_that_vanished_is_named(moved: Store) -> None:
    with aside(moved.project.root / "data" / "in.csv"):
        made = reproduce(moved, "figures")
    assert made.first
    assert (made.first.kind, made.first.name, made.first.cell_id) == ("input", "data/in.csv", "read")
    assert made.said().endswith("there is no such file")


def test_an_edited_module_is_named_though_the_notebook_is_gone(moved: Store) -> None:
    folder = moved.project.root / "notebooks"
    module = folder / "ground.py"
    before = module.read_text(encoding="utf-8")
    module.write_text(before.replace("10", "20"), encoding="utf-8")
    try:
        with aside(folder / "study.ipynb"):
            made = reproduce(moved, "figures")
    finally:
        module.write_text(before, encoding="utf-8")
    assert made.first
    assert (made.first.kind, made.first.name) == ("metric", "total")
    assert "seen first in cell 1, input module ground" in made.said()


def test_a_run_of_plain_ipython_in_a_folder_below(moved: Store) -> None:
    folder = moved.project.root / "data"
    typed = (
        "%load_ext nbops\nimport mlflow, pandas as pd\n'aside'\npd.read_csv('in.csv').a.sum()\n"
        "mlflow.start_run(run_name='typed');\nmlflow.log_metric('sum', Out[4] + _)\nmlflow.end_run()\n"
    )
    command = [sys.executable, "-m", "IPython", "--simple-prompt", "--no-banner", "--HistoryManager.enabled=False"]
    answer = subprocess.run(command, cwd=folder, input=typed, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    made = reproduce(moved, "typed")
    assert made.said() == "reproduced", [check for check in made.checks if check.level != "same"]
    run = moved.run("typed").summary
    assert (run.notebook, run.metrics) == (None, {"sum": 12.0})
