"""What papermill's own engine makes of a notebook, ours makes of it, outputs and metadata alike: started or forked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import papermill
import pytest

from nbops.notebook.document import new, read, write

pytestmark = pytest.mark.slow
Cell = Mapping[str, Any]
_PARAMETERS: Cell = {"source": "a = 1\nb: str = 'x'  # which\nc = [1, 2]", "metadata": {"tags": ["parameters"]}}
_INJECTED: Cell = {"source": "a = 7", "metadata": {"tags": ["injected-parameters"]}}
_NOTEBOOKS: dict[str, Sequence[str | Cell]] = {
    "simple": ["1 + 1", "", "# only a comment", "x = 3;", "x"],
    "unicode": ["print('naïve ☃ 𝒳 \\u202e')", "π = 3.14; π", "raise_ = '\\x00'; raise_"],
    "markdown and raw": [
        {"source": "# Title", "cell_type": "markdown"},
        {"source": "raw", "cell_type": "raw"},
        "'after'",
    ],
    "parameters": [_PARAMETERS, "print(a, b, c)"],
    "no parameters cell": ["print(a, b)"],
    "parameters injected before": [_PARAMETERS, _INJECTED, "print(a, b)"],
    "tags": [
        {"source": "1/0", "metadata": {"tags": ["raises-exception"]}},
        {"source": "print('skipped')", "metadata": {"tags": ["skip-execution"]}},
        {"source": "print('hidden')", "metadata": {"tags": ["remove_input"], "collapsed": True}},
    ],
    "streams": [
        "import sys\nprint('out')\nsys.stderr.write('err\\n')\nprint('out again')",
        "for i in range(3): print(i, end='\\r')\nprint('\\ndone')",
        "import sys, time\nfor i in range(5):\n    print(i); sys.stdout.flush(); time.sleep(0.05)",
    ],
    "displays": [
        "from IPython.display import HTML, JSON, Latex, Markdown, SVG, display\nHTML('<b>x</b>')",
        "display(Latex('$x$'), Markdown('*x*'), JSON({'a': [1]}), {'a': 1}, raw=False)",
        "display({'text/plain': 'p', 'application/x+json': {'v': 1}}, raw=True, metadata={'application/x+json': {'m': 1}})",
        "h = display('first', display_id='one')",
        "h.update('second')\nprint('beside')",
        "from IPython.display import clear_output\nprint('gone'); clear_output(); print('stays')",
        "print('gone later'); clear_output(wait=True); print('stays, too')",
    ],
    "a picture": [
        "import matplotlib.pyplot as plt\n_ = plt.figure(figsize=(1, 1), dpi=50); _ = plt.plot([1, 2]); plt.show()",
    ],
    "a table": ["import pandas as pd\npd.DataFrame({'a': [1, 2]})"],
    "magics and shell": ["%env PROBE=1", "!echo beside", "%%capture said\nprint('kept')", "said.stdout"],
    "an error": ["print('before')", "def f(x):\n    return 1 / x\nf(0)", "print('never')"],
    "an error with a cause": ["try:\n    {}['k']\nexcept KeyError as e:\n    raise ValueError('why ☃') from e"],
    "a syntax error": ["x = (", "1"],
    "the end": ["print('before')\nimport sys; sys.exit(0)", "print('never')"],
}  # fmt: skip

_MADE_BY_PAPERMILL = frozenset({"papermill-error-cell-tag", "injected-parameters"})


def _execute(source: Path, target: Path, engine: str) -> str:
    """Execute a notebook; return what papermill raised."""
    parameters = {"a": 5, "b": "ÿ", "c": [None, True, {"k": 1.5}]} if "parameters" in source.name else {}
    try:
        papermill.execute_notebook(
            source, target, parameters=parameters, engine_name=engine, progress_bar=False, cwd=str(source.parent)
        )
    except papermill.PapermillExecutionError as error:
        return _plain(str(error))
    return ""


def _plain(text: str) -> str:
    return re.sub(r"ipykernel_\d+/\d+|0x[0-9a-f]+", "…", text)


def _compared(path: Path) -> Any:
    content = read(path).content
    content["metadata"].pop("nbops", None)
    for part in ("start_time", "end_time", "duration", "output_path"):
        content["metadata"]["papermill"].pop(part)
    for cell in content["cells"]:
        cell["metadata"].pop("nbops", None)
        cell["metadata"].pop("execution", None)
        told = cell["metadata"].get("papermill", {})
        for part in ("start_time", "end_time", "duration"):
            told[part] = told.get(part) is not None
        if not _MADE_BY_PAPERMILL.isdisjoint(cell["metadata"].get("tags", ())):
            cell.pop("id", None)  # drawn anew each time
        for output in cell.get("outputs", ()):
            output["traceback"] = [_plain(line) for line in output.get("traceback", ())]
    return content


@pytest.mark.parametrize("warm", ["0", "1"], ids=["started", "forked"])
@pytest.mark.parametrize("name", _NOTEBOOKS)
def test_it_is_the_same_notebook(name: str, warm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBOPS_WARM_KERNELS", warm)
    cells = [{"source": cell} if isinstance(cell, str) else dict(cell) for cell in _NOTEBOOKS[name]]
    content = new([{"cell_type": "code", "metadata": {}, **cell} for cell in cells])
    source = tmp_path / f"{name}.ipynb"
    write(source, content)
    ours = _execute(source, tmp_path / "ours.ipynb", "nbops")
    theirs = _execute(source, tmp_path / "theirs.ipynb", "nbclient")
    assert ours == theirs
    assert _compared(tmp_path / "ours.ipynb") == _compared(tmp_path / "theirs.ipynb")
