"""The engine by itself, as ``papermill --engine nbops`` uses it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nbops.notebook.document import new, read, write

pytestmark = pytest.mark.slow


def execute(folder: Path, *sources: str, engine: str = "nbops", **options: Any) -> dict[str, Any]:
    import papermill

    cells = [{"cell_type": "code", "source": source} for source in sources]
    write(folder / "in.ipynb", new([*cells, {"cell_type": "markdown", "source": "*end*"}]))
    papermill.execute_notebook(
        folder / "in.ipynb", folder / "out.ipynb", engine_name=engine, progress_bar=False, **options
    )
    return read(folder / "out.ipynb").content


def statuses(path: Path) -> list[tuple[str, str]]:
    cells = [cell for cell in read(path).cells if cell["cell_type"] == "code"]
    return [(cell["metadata"]["nbops"]["status"], cell["metadata"]["papermill"]["status"]) for cell in cells]


def test_papermill_finds_the_engine_and_gives_the_same_notebook(tmp_path: Path) -> None:
    sources = (
        "x = 2\nprint('é')",
        "import sys\nsys.stderr.write('err')",
        "from IPython.display import HTML\nHTML('<b>')",
        "x",
    )

    ours = execute(tmp_path, *sources)
    theirs = execute(tmp_path, *sources, engine="nbclient")

    for content in (ours, theirs):
        for cell in content["cells"]:
            cell["metadata"] = {"papermill": cell["metadata"]["papermill"]["status"]}
        for part in ("start_time", "end_time", "duration"):
            del content["metadata"]["papermill"][part]
    assert ours["cells"] == theirs["cells"]
    assert ours["metadata"].pop("nbops") == {"status": "ok"}
    assert ours["metadata"] == theirs["metadata"]


def test_a_timeout_says_so_and_what_never_ran(tmp_path: Path) -> None:
    from nbclient.exceptions import CellTimeoutError

    with pytest.raises(CellTimeoutError):
        execute(tmp_path, "import time\ntime.sleep(60)", "y = 1", execution_timeout=1)

    assert statuses(tmp_path / "out.ipynb") == [("timeout", "failed"), ("not run", "pending")]
    assert read(tmp_path / "out.ipynb").content["metadata"]["nbops"] == {"status": "timeout"}


def test_cells_after_an_error_are_not_run(tmp_path: Path) -> None:
    import papermill

    with pytest.raises(papermill.PapermillExecutionError, match="boo"):
        execute(tmp_path, "x = 1", "raise ValueError('boo')", "y = 1")

    assert statuses(tmp_path / "out.ipynb") == [("ok", "completed"), ("failed", "failed"), ("not run", "pending")]


def test_saving_is_not_done_for_each_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nbops.pipeline import execution

    writes: list[Path] = []

    def count(path: Path, content: Any) -> None:
        writes.append(path)
        write(path, content)

    monkeypatch.setattr(execution, "write", count)
    execute(tmp_path, *(f"x{number} = {number}" for number in range(60)))

    assert len(writes) < 20
    assert json.loads((tmp_path / "out.ipynb").read_text())["cells"][59]["execution_count"] == 60


def test_the_kernel_is_told_which_cell_it_executes(tmp_path: Path) -> None:
    told = "print(get_ipython().get_parent()['metadata'].get('cellId'))"
    executed = execute(tmp_path, told, told)
    code = [cell for cell in executed["cells"] if cell["cell_type"] == "code"]
    assert ["".join(cell["outputs"][0]["text"]).strip() for cell in code] == [cell["id"] for cell in code]
