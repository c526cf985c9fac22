"""Stages in another kernel than their notebook asks for."""

from __future__ import annotations

from typing import Any

import pytest

from nbops.errors import SpecError
from nbops.notebook.document import new, write
from nbops.pipeline.spec import load

STAGES = "stages:\n  a:\n    notebook: a.ipynb\n    environment: {kernel: python3}\n"


def test_a_stage_names_its_kernel(tiny: Any) -> None:
    write(tiny.root / "a.ipynb", new([], kernel="elsewhere"))
    tiny.yaml(STAGES)
    assert load(tiny.project).stages["a"].document.kernel == "python3"

    tiny.yaml(STAGES.replace("python3", "pyton3"))
    with pytest.raises(SpecError, match="no kernel 'pyton3' here") as caught:
        load(tiny.project)
    assert (caught.value.where, caught.value.remedy) == ("pipeline.yaml:4:19", "did you mean 'python3'?")
    tiny.yaml(STAGES.replace("{kernel: python3}", "{}"))
    with pytest.raises(SpecError, match="names no kernel"):
        load(tiny.project)
