"""IPython's traceback library hangs a whole program's tree on nodes that all trees share: tracing must not follow it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from nbops.project import Project

PROGRAM = """
import sys
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

config = Config()
config.HistoryManager.enabled = False
config.InteractiveShell.colors = "nocolor"
shell = InteractiveShell(config=config)
assert shell.run_cell("%load_ext nbops", store_history=True).success
assert shell.run_cell("%xmode " + sys.argv[1], store_history=True).success
cells = [
    "import ast\\ntree = ast.parse('a = [b, c.d]')\\nnode = tree.body[0]",
    "import pandas as pd\\nframe = pd.DataFrame({'a': [1, 2]})",
    "def fail(frame):\\n    return frame['missing']\\nfail(frame)",
    "kept = node\\nx = 1",
    "fail(frame)",
    "y = x + 1\\nnodes = list(ast.walk(kept))",
]
ended = [shell.run_cell(cell, store_history=True).success for cell in cells]
assert ended == [True, True, False, True, False, True], ended
print("all ran")
"""


@pytest.mark.parametrize("mode", ["Context", "Verbose"])
def test_a_cell_after_one_that_raised_is_traced_in_no_time(project: Project, mode: str) -> None:
    answer = subprocess.run(
        [sys.executable, "-c", PROGRAM, mode],
        cwd=project.root,
        env={**os.environ, "NBOPS_PROJECT": str(project.root)},
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )
    assert "all ran" in answer.stdout, answer.stderr[-2000:]
    log = project.state / "nbops.log"
    assert not log.exists(), log.read_text(encoding="utf-8")
