"""The whole way of a run on each of the stores: a kernel fits, and every command that reads, compares or repeats it works."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from nbops.cli import group
from nbops.project import Project
from nbops.tracking.store import Store

pytestmark = pytest.mark.slow

CELLS = (
    "%load_ext nbops",
    "import pandas as pd\nfrom sklearn.linear_model import Ridge\ndf = pd.read_csv('in.csv')",
    "strength = 0.5\nmodel = Ridge(alpha=strength).fit(df[['x']], df['y'])",
    "strength = 2.0\nmodel = Ridge(alpha=strength).fit(df[['x']], df['y'])",
    "%%nbops run 'by hand' -p lr=0.1\nimport mlflow\nmlflow.log_metric('half', float(df['y'].mean()) / 2)\n"
    "mlflow.log_text('words', 'notes/words.txt')",
)


def test_a_run_is_listed_shown_compared_restored_and_lived_again(
    project: Project, store: Store, start_kernel: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.root)
    rows = "".join(f"{i},{i * 2.5}\n" for i in range(40))
    (project.root / "in.csv").write_text(f"x,y\n{rows}", encoding="utf-8")
    kernel = start_kernel(NBOPS_NOTEBOOK="study.ipynb")
    assert [kernel.run(cell).error for cell in CELLS] == [""] * len(CELLS)
    kernel.stop()

    def told(*words: str) -> Result:
        result = CliRunner().invoke(group, [*words], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result

    runs = json.loads(told("runs", "-e", project.experiment, "--json").stdout)
    assert sorted(run["params"].get("alpha", run["name"]) for run in runs) == ["0.5", "2.0", "by hand"]
    ids = {run["params"].get("alpha", run["name"]): run["run_id"] for run in runs}
    shown = told("show", ids["0.5"]).stdout
    assert "in.csv" in shown
    assert "strength" in told("diff", ids["0.5"], ids["2.0"]).stdout
    told("restore", ids["2.0"], "-o", "again.ipynb")
    restored = Path("again.ipynb").read_text(encoding="utf-8")
    assert "strength = 2.0" in restored
    assert "by hand" not in restored
    assert "reproduced" in told("reproduce", ids["by hand"]).output
    told("baseline", ids["0.5"])
    told("gc", "--dry-run")
    assert store.run(ids["by hand"]).summary.metrics["half"] == pytest.approx(24.375)
