"""A small pipeline with every kind of edge, executed once and then copied for each test that changes something."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nbops.notebook.document import new, write
from nbops.pipeline.events import PipelineResult
from nbops.pipeline.runner import run
from nbops.project import Project
from nbops.tracking.schema import RunSummary
from nbops.tracking.store import Store

PIPELINE = """\
name: tiny
stages:
  make:
    notebook: make.ipynb
    params: {n: 3}
    outputs: {numbers: data/numbers.json}
  add:
    notebook: add.ipynb
    inputs: {numbers: make.numbers}
    outputs: {total: data/total.txt}
    metrics: [total_value]
  tree:
    notebook: tree.ipynb
    inputs: {words: words.txt}
    outputs: {leaves: data/leaves}
"""
MAKE = """\
import json
from pathlib import Path
Path(numbers).write_text(json.dumps([i * scale for i in range(n)]))"""
ADD = """\
from pathlib import Path
import helper
total_value = helper.add(Path(numbers))
Path(total).write_text(str(total_value))"""
TREE = """\
for word in Path(words).read_text().split():
    (leaves / word).mkdir(parents=True)
    (leaves / word / "leaf.txt").write_text(word)"""
HELPER = "import json\n\n\ndef add(path):\n    return sum(json.loads(path.read_text()))\n"


@dataclass(frozen=True)
class Lab:
    """A project on disk, with the few things that tests do to it."""

    root: Path

    @property
    def project(self) -> Project:
        return Project.find(self.root)

    def notebook(self, name: str, *cells: str, parameters: str = "") -> None:
        tagged = [_cell(parameters, "parameters")] if parameters else []
        write(self.root / name, new([*tagged, *(_cell(source) for source in cells)]))

    def yaml(self, text: str) -> None:
        (self.root / "pipeline.yaml").write_text(text)

    def run(self, **options: Any) -> PipelineResult:
        return run(self.project, **options)

    def outcomes(self, **options: Any) -> dict[str, str]:
        return {stage.name: stage.outcome for stage in self.run(**options).stages}

    def runs(self) -> list[RunSummary]:
        return Store(self.project).runs(limit=1000)


def _cell(source: str, *tags: str) -> dict[str, Any]:
    return {"cell_type": "code", "source": source, "metadata": {"tags": list(tags)}}


def lay_out(root: Path) -> Lab:
    lab = Lab(root)
    root.mkdir(parents=True, exist_ok=True)
    (root / "nbops.toml").write_text('[project]\nname = "tiny"\n')
    (root / "helper.py").write_text(HELPER)
    (root / "words.txt").write_text("oak elm")
    lab.yaml(PIPELINE)
    lab.notebook("make.ipynb", MAKE, parameters='n = 2\nscale: float = 1.0\nnumbers = "data/numbers.json"')
    lab.notebook("add.ipynb", ADD, parameters='numbers = "data/numbers.json"\ntotal = "data/total.txt"')
    lab.notebook(
        "tree.ipynb",
        TREE,
        parameters='from pathlib import Path\nwords = "words.txt"\nleaves = Path("data/leaves")',
    )
    return lab


@pytest.fixture
def tiny(tmp_path: Path) -> Lab:
    """Lay out the pipeline, never executed."""
    return lay_out(tmp_path / "tiny")


@pytest.fixture(scope="session")
def executed_once(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lab, PipelineResult]:
    """Execute the pipeline once; what it gives is not to be changed."""
    lab = lay_out(tmp_path_factory.mktemp("pipeline") / "tiny")
    return lab, lab.run()


@pytest.fixture
def executed(executed_once: tuple[Lab, PipelineResult], tmp_path: Path) -> Lab:
    """Copy the executed pipeline, to be changed at will."""
    copy = tmp_path / "tiny"
    shutil.copytree(executed_once[0].root, copy)
    return Lab(copy)


@pytest.fixture(scope="session")
def new_lab() -> Callable[[Path], Lab]:
    """Lay out the pipeline in a folder."""
    return lay_out
