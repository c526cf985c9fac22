"""Stages that are Python functions: the same key, cache, run and status as a notebook's."""

from __future__ import annotations

from typing import Any

import pytest

from nbops.errors import SpecError
from nbops.pipeline.spec import load

CODE = """\
import pandas as pd
LEAST = 1

def count(source, out: str, *, times: int = 1, least=LEAST, frame: pd.DataFrame | None = None):
    with open(source) as file, open(out, "w") as target:
        words = file.read().split() * times
        target.write(" ".join(words))
    return {"words": len(words)}

def anything(**options): ...
"""
STAGES = """\
stages:
  count:
    python: steps:count
    inputs: {source: words.txt}
    params: {times: 2}
    outputs: {out: data/counted.txt}
    metrics: [words]
"""


@pytest.fixture
def lab(tiny: Any) -> Any:
    (tiny.root / "steps.py").write_text(CODE)
    tiny.yaml(STAGES)
    return tiny


@pytest.mark.slow
def test_a_function_is_a_stage(lab: Any) -> None:
    [stage] = lab.run().stages
    assert (stage.outcome, stage.metrics) == ("executed", {"words": 4.0}), stage.error
    assert (lab.root / "data/counted.txt").read_text() == "oak elm oak elm"
    run = next(run for run in lab.runs() if run.name == "count")
    assert (run.status, run.params) == ("FINISHED", {"times": "2", "frame": "None"})

    (lab.root / "steps.py").write_text("# a comment\n" + CODE)
    assert lab.outcomes() == {"count": "cached"}
    (lab.root / "steps.py").write_text(CODE.replace('" ".join', '"-".join'))
    assert lab.outcomes() == {"count": "executed"}
    assert lab.outcomes(params={"times": 1}) == {"count": "executed"}
    (lab.root / "steps.py").write_text(CODE.replace("words = file", "raise ValueError('boo')\n        words = file"))
    [failed] = lab.run().stages
    assert failed.outcome == "failed"
    assert "stage 'count', steps:count" in failed.error
    assert "ValueError: boo" in failed.error


@pytest.mark.parametrize(
    ("old", "new", "message", "remedy"),
    [
        ("steps:count", "steps.count", "isn't a function of a module", "python: module:function"),
        ("steps:count", "step:count", "no module 'step'", "did you mean 'steps'?"),
        ("steps:count", "steps:cont", "has no function 'cont'", "did you mean 'count'?"),
        ("steps:count", "steps:anything", "can't be called by the names", "leave out"),
        ("    inputs: {source: words.txt}\n", "", "'count' wants 'source'", "give it in params, inputs or outputs"),
        ("times: 2", "times: two", "'times' must be int", "write a number"),
        ("times: 2", "time: 2", "'time' in params isn't a parameter", "did you mean 'times'?"),
        ("steps:count", "steps:count\n    notebook: a.ipynb", "has both 'notebook' and 'python'", "keep one"),
    ],
)
def test_functions_that_cannot_be_called(lab: Any, old: str, new: str, message: str, remedy: str) -> None:
    lab.yaml(STAGES.replace(old, new))

    with pytest.raises(SpecError) as caught:
        load(lab.project)

    assert message in caught.value.message
    assert caught.value.remedy.startswith(remedy)
