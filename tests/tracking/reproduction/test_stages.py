"""A pipeline stage's run lived again: its whole notebook with the injected parameters, inputs and outputs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nbops.errors import TrackingError
from nbops.notebook import document
from nbops.project import Project
from nbops.tracking.reproduction.reproduce import reproduce
from nbops.tracking.reproduction.restore import restore
from nbops.tracking.store import Store

pytestmark = pytest.mark.slow

PIPELINE = """
name: mill
stages:
  grind:
    notebook: grind.ipynb
    params: {factor: 3}
    inputs: {grain: data/grain.csv}
    outputs: {flour: data/flour.csv}
    metrics: [total]
"""
CELLS = [
    ("parameters", "grain = 'data/grain.csv'\nflour = 'data/flour.csv'\nfactor = 2"),
    ("read", "import pandas as pd\ntable = pd.read_csv(grain)\ntable['b'] = table.a * factor"),
    ("write", "table.to_csv(flour, index=False)\ntotal = float(table.b.sum())\nprint('total', total)"),
]


@pytest.fixture(scope="module")
def mill(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Return a project whose pipeline ran."""
    root = tmp_path_factory.mktemp("mill") / "mill"
    (root / "data").mkdir(parents=True)
    (root / "nbops.toml").write_text('[project]\nname = "mill"\n', encoding="utf-8")
    (root / "pipeline.yaml").write_text(PIPELINE, encoding="utf-8")
    (root / "data" / "grain.csv").write_text("a\n1\n2\n3\n", encoding="utf-8")
    cells = [
        {"cell_type": "code", "id": name, "source": source, "metadata": {"tags": [name]}} for name, source in CELLS
    ]
    document.write(root / "grind.ipynb", document.new(cells))
    answer = subprocess.run(
        [sys.executable, "-m", "nbops", "run"], cwd=root, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    return Store(Project.find(root))


def test_a_stage_is_reproduced(mill: Store) -> None:
    flour = mill.project.root / "data" / "flour.csv"
    before = flour.stat().st_mtime_ns
    made = reproduce(mill, "grind")
    assert made.said() == "reproduced", [check for check in made.checks if check.level != "same"]
    assert {"metric", "input", "output"} <= {check.kind for check in made.checks}
    assert flour.stat().st_mtime_ns == before
    again = mill.run(str(made.again)).summary
    assert (again.metrics, again.status) == ({"total": 18.0}, "FINISHED")


def test_a_changed_input_is_named(mill: Store) -> None:
    grain = mill.project.root / "data" / "grain.csv"
    grain.write_text("a\n1\n2\n4\n", encoding="utf-8")
    try:
        made = reproduce(mill, "grind")
    finally:
        grain.write_text("a\n1\n2\n3\n", encoding="utf-8")
    assert made.first
    assert (made.verdict, made.first.kind, made.first.name) == ("differs", "input", "data/grain.csv")


def test_a_restored_stage_runs_in_another_clone(mill: Store, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    shutil.copytree(mill.project.root, clone)
    shutil.rmtree(clone / ".nbops" / "sessions")
    made = restore(Store(Project.find(clone)), "grind", clone / "again.ipynb")
    code = [cell.source for cell in made.document.code_cells]
    assert code[0].startswith("grain = ")
    assert "grain = 'data/grain.csv'" in code[1]
    assert "factor = 3" in code[1]
    assert f"flour = '{made.run_id[:8]}-flour.csv'" in code[1]
    assert [cell.tags for cell in made.document.code_cells][:2] == [{"parameters"}, {"injected-parameters"}]


def test_the_pipelines_own_run_is_no_recipe(mill: Store) -> None:
    with pytest.raises(TrackingError, match="made of its stages' runs"):
        restore(mill, "mill", "x.ipynb")
