"""Comparing on the command line and in a notebook: what is printed, the pages and pictures that are written."""

from __future__ import annotations

import json
import os
import re
import xml.etree.ElementTree
from pathlib import Path

import click
import click.testing
import pytest

from nbops.cli import group, invoke
from nbops.errors import NbopsError
from nbops.project import Project
from nbops.tracking.store import Store

DIGESTS = ("c0dec0de", "dadadada", "30de130d", "e0e0e0e0", "f0f0f0f0")


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory, isolated_environment: None) -> Path:
    """Return a project with three runs and a baseline."""
    root = tmp_path_factory.mktemp("compared")
    (root / "nbops.toml").write_text('[project]\nname = "trial"\n', encoding="utf-8")
    store = Store(Project.find(root))
    for number, name in enumerate(("base", "<better>", "worse")):
        kinds = ("code", "data", "model", "environment", "experiment")
        tags = {f"nbops.{kind}": digest for kind, digest in zip(kinds, DIGESTS, strict=True)}
        run_id = store.start_run(name, tags=tags | {"nbops.code": f"{number}0dec0de"})
        auc = (0.7, 0.8, 0.6)[number]
        store.log(run_id, params={"lr": 0.1 * (number + 1)}, metrics={"auc": auc})
        for step in range(5):
            store.client.log_metric(run_id, "loss", 1 / (step + auc), step=step)
        for fold in range(5):
            store.client.log_metric(run_id, f"auc_fold_{fold}", auc + fold * fold / 1000 * (number + 1))
        cells = [{"cell_id": "a", "source": f"lr = {number}  # <b>"}, {"cell_id": "b", "source": "fit(lr)"}]
        store.log_text(run_id, json.dumps({"code": {"cells": cells}}), "nbops/snapshot.json")
        store.end_run(run_id)
    return root


def run(root: Path, *arguments: str, color: bool = False) -> str:
    before = Path.cwd()
    os.chdir(root)
    try:
        answer = click.testing.CliRunner().invoke(group, arguments, color=color, catch_exceptions=False)
    finally:
        os.chdir(before)
    assert answer.exit_code == 0, answer.output
    return answer.output


def test_two_runs(compared: Path) -> None:
    shown = run(compared, "diff", "base", "<better>")
    assert all(digest in shown for digest in ("00dec0de", "10dec0de", *DIGESTS[1:]))
    assert re.search(r"auc +0\.7 +0\.8 +\+0\.1 \(\+14\.3 %\) +▲ better", shown)
    assert re.search(r"lr +0\.1 +0\.2", shown)
    assert "cell 1 edited" in shown
    assert "-lr = 0  # <b>" in shown
    assert "1 cell is the same" in shown
    assert "corrected resampled t-test" in shown
    assert "5 metrics by fold" in shown
    assert "cell 2 same" in run(compared, "diff", "base", "<better>", "--all")
    coloured = run(compared, "diff", "base", "<better>", color=True)
    assert "\x1b[31m  -lr = 0  # <b>" in coloured


def test_one_run_against_the_baseline_and_its_marks(compared: Path) -> None:
    with pytest.raises(NbopsError, match="no baseline"):
        invoke(["diff", "worse", "--project", str(compared)])
    with pytest.raises(NbopsError, match="has no baseline"):
        invoke(["baseline", "--project", str(compared)])
    assert "base is the baseline of 'trial'" in run(compared, "baseline", "base")
    assert "base is the baseline" in run(compared, "baseline", "--show")
    assert json.loads(run(compared, "baseline", "--json"))["name"] == "base"
    assert "▼ worse" in run(compared, "diff", "worse")
    listed = run(compared, "runs")
    assert re.search(r"◆ base .*auc=0\.7 ", listed)
    assert re.search(r"<better> .*auc=0\.8▲", listed)
    assert re.search(r"worse .*auc=0\.6▼", listed)
    shown = run(compared, "show", "worse")
    assert "against the baseline" in shown
    assert re.search(r"auc +0\.6 +0\.7 +-0\.1 \(-14\.3 %\) +▼ worse", shown)
    assert "the baseline" in run(compared, "show", "base")
    assert {entry["against"].get("auc") for entry in json.loads(run(compared, "runs", "--json"))} == {
        "same",
        "better",
        "worse",
    }
    assert "no longer the baseline" in run(compared, "baseline", "--unset")
    with pytest.raises(NbopsError, match="no baseline"):
        invoke(["diff", "worse", "--project", str(compared)])


def test_many_runs_side_by_side(compared: Path) -> None:
    shown = run(compared, "diff", "base", "<better>", "worse")
    assert re.search(r"auc +0\.7 +0\.8 +0\.6", shown)
    assert "1 cell edited" in shown
    found = json.loads(run(compared, "diff", "base", "<better>", "worse", "--json"))
    assert [entry["name"] for entry in found["runs"]] == ["base", "<better>", "worse"]
    assert len(found["against_first"]) == 2


def test_json_of_two(compared: Path) -> None:
    found = json.loads(run(compared, "diff", "base", "<better>", "--json"))
    assert found["before"]["versions"]["code"] == "00dec0de"
    assert {change["name"]: change["verdict"] for change in found["metrics"]}["auc"] == "better"
    assert [cell["kind"] for cell in found["code"]] == ["edited", "same"]
    assert found["tests"][0]["pairs"] == 5


def test_pages_need_nothing_else_and_escape_everything(compared: Path, tmp_path: Path) -> None:
    for name, arguments in (
        ("two.html", ["diff", "base", "<better>"]),
        ("three.html", ["diff", "base", "<better>", "worse"]),
        ("runs.html", ["runs"]),
    ):
        place = tmp_path / "deep" / name
        assert f"wrote {place}" in run(compared, *arguments, "--html", str(place))
        text = place.read_text(encoding="utf-8")
        assert "&lt;better&gt;" in text
        assert "<better>" not in text
        assert "<script" not in text
        assert not re.search(r"""(src|href)=|url\(|@import""", text)
        assert text.count("<svg") >= 1
    drawn = tmp_path / "two.svg"
    run(compared, "diff", "base", "<better>", "--svg", str(drawn))
    root = xml.etree.ElementTree.parse(drawn).getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert any("auc" in (element.text or "") for element in root.iter())


def test_wrong_use_says_what_is_right(compared: Path) -> None:
    for arguments, told in (
        (["diff"], "name the runs"),
        (["baseline", "base", "--unset"], "take none"),
        (["runs", str(compared), "-w", "auc > 0.5"], "did you mean metrics.auc?"),
        (["diff", "base", "nowhere", "--project", str(compared)], "no run 'nowhere'"),
    ):
        with pytest.raises((NbopsError, click.UsageError)) as caught:
            invoke(arguments)
        assert told in str(caught.value)


def test_nothing_fits(compared: Path) -> None:
    assert "no run fits" in run(compared, "runs", "-w", "metrics.auc > 5")
    assert "no run fits" in run(compared, "runs", "-e", "nowhere")


@pytest.mark.slow
def test_a_notebook_shows_pictures(compared: Path, tmp_path: Path) -> None:
    import nbformat
    from nbclient import NotebookClient

    cells = [
        "%load_ext nbops",
        "%nbops diff base worse",
        "from nbops import panels\npanels.comparison('base', 'worse')",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(compared)}}).execute()
    for cell in notebook.cells[1:]:
        (output,) = cell.outputs
        assert "<svg" in output["data"]["text/html"]
        assert "worse" in output["data"]["text/plain"]
