"""The reference project's notebooks are clean, declare what the pipeline gives them, and their rules can break."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest

from nbops.pipeline import spec
from nbops.project import Project

STAGES = ["01_ingest", "02_validate", "03_features", "04_train", "05_evaluate"]


@pytest.fixture(params=[*STAGES, "explore"])
def notebook(request: pytest.FixtureRequest, flights_folder: Path) -> Any:
    """Return each notebook in turn."""
    return nbformat.read(flights_folder / f"{request.param}.ipynb", as_version=4)


def test_notebooks_are_valid_and_carry_no_outputs(notebook: Any) -> None:
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]

    assert notebook.metadata.kernelspec.name == "python3"
    assert all(cell.execution_count is None and cell.outputs == [] for cell in code)


def test_cells_have_readable_ids_of_their_own(notebook: Any) -> None:
    ids = [cell.id for cell in notebook.cells]

    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", cell_id) for cell_id in ids)


def test_notebooks_open_with_prose_and_nbops_and_declare_their_parameters_once(notebook: Any) -> None:
    title, load = notebook.cells[:2]

    assert title.cell_type == "markdown"
    assert title.source.startswith("# ")
    assert load.source == "%load_ext nbops"
    assert sum("parameters" in cell.metadata.get("tags", []) for cell in notebook.cells) == 1


def test_no_path_is_absolute(notebook: Any) -> None:
    assert not [cell.id for cell in notebook.cells if re.search(r"[\"'](/|~|[A-Z]:\\)", cell.source)]


def test_pipeline_orders_the_five_stages(flights_folder: Path) -> None:
    pipeline = spec.load(Project.find(flights_folder))

    assert [Path(stage.notebook).stem for stage in pipeline.stages.values()] == STAGES


def _flights(rows: int = 240) -> pd.DataFrame:
    """Return flights that keep all rules but those on the number of carriers and destinations."""
    moments = pd.Series(pd.date_range("2013-01-01 09:30", periods=rows, freq=pd.Timedelta(days=365) / rows))
    row = pd.Series(range(rows))
    return pd.DataFrame(
        {
            "scheduled": moments.dt.floor("min"),
            "carrier": "UA",
            "flight": row,
            "airline": "United Air Lines Inc.",
            "origin": "EWR",
            "dest": "IAH",
            "distance": 1400,
            "scheduled_minutes": 244,
            "departures_hour": 20,
            "departures_day": 300,
            "plane_year": 1999.0,
            "manufacturer": "BOEING",
            "temp": 80.0 - 8 * (moments.dt.month - 7).abs(),
            "dewp": 30.0,
            "wind_dir": 270.0,
            "wind_speed": 10.0,
            "precip": 0.0,
            "pressure": 1012.0,
            "visib": 10.0,
            "arr_delay": (row % 4 == 0) * 60.0,
        }
    )


@pytest.mark.slow
def test_validation_counts_the_rules_that_data_breaks(
    flights_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import papermill

    monkeypatch.setenv("NBOPS_PROJECT", str(tmp_path))
    table = _flights()
    table.loc[3, "wind_speed"] = 1048.0
    table.loc[5, "origin"] = "ZZZ"
    table.loc[7:90, "temp"] = None
    table.loc[100] = table.loc[99]
    given = {"flights": str(tmp_path / "flights.parquet"), "report": str(tmp_path / "report.json")}
    table.to_parquet(given["flights"], index=False)

    papermill.execute_notebook(
        flights_folder / "02_validate.ipynb",
        tmp_path / "executed.ipynb",
        parameters={**given, "expected_rows": len(table)},
        cwd=flights_folder,
        progress_bar=False,
    )

    report = json.loads(Path(given["report"]).read_text(encoding="utf-8"))
    broken = {check["rule"] for check in report["checks"] if not check["passed"]}
    assert broken == {
        "carriers",
        "destinations",
        "departures from elsewhere",
        "no flight is there twice",
        "share of temp missing",
        "wind_speed outside 0 to 120",
    }
    assert report["failed_checks"] == len(broken)
