"""Fresh environments of runs: made once from a lock, whole or not at all."""

from __future__ import annotations

import subprocess
from importlib.metadata import version

import pytest

from nbops.errors import TrackingError
from nbops.project import Project
from nbops.tracking.reproduction.kernels import fresh

pytestmark = pytest.mark.slow


def test_an_environment_holds_its_lock_and_this_nbops_and_is_made_once(project: Project) -> None:
    lock = f"iniconfig=={version('iniconfig')}\nnbops==0.0.1\n-e elsewhere\n"
    said: list[str] = []
    python = fresh(project, lock, "", said.append)
    assert fresh(project, lock, "", said.append) == python
    assert said == [f"making an environment of 1 distributions (Python {said[0].split()[-1]}"]
    code = "import iniconfig, nbops; from importlib.metadata import version; print(version('nbops'), nbops.__file__)"
    told = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True, cwd=project.root).stdout
    assert told.split()[0] == version("nbops")
    assert str(python.parents[1]) in told


def test_one_that_cannot_be_made_leaves_nothing(project: Project) -> None:
    with pytest.raises(TrackingError, match=r"the run's environment can't be installed: .*elsewhere") as caught:
        fresh(project, f"{project.root / 'elsewhere.whl'}\n", "", lambda text: None)
    assert "without --env" in str(caught.value)
    assert [path.suffix for path in (project.state / "environments").iterdir()] in ([".lock"], [])
