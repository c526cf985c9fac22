"""A stage by itself: given the project, its parameters, and where its inputs are."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import CliRunner

from nbops.cli import group
from nbops.errors import SpecError

pytestmark = pytest.mark.slow


def test_a_stage_runs_by_itself_from_what_lies_there(executed: Any) -> None:
    assert executed.outcomes(stage="add") == {"add": "cached"}, "its key is the pipeline's"

    (executed.root / "data/numbers.json").write_text("[1, 2]")
    assert executed.outcomes(stage="add") == {"add": "executed"}
    assert (executed.root / "data/total.txt").read_text() == "3"

    (executed.root / "elsewhere.json").write_text("[5, 6]")
    arguments = ["run", "--stage", "add", "-i", f"numbers={executed.root / 'elsewhere.json'}", str(executed.root)]
    done = CliRunner().invoke(group, arguments, standalone_mode=False)
    assert done.return_value == 0, done.output
    assert (executed.root / "data/total.txt").read_text() == "11"


def test_a_stage_by_itself_wants_its_inputs(tiny: Any) -> None:
    with pytest.raises(SpecError, match="input 'numbers' of stage 'add' isn't there") as caught:
        tiny.run(stage="add")
    assert caught.value.remedy == "say where it is: --input numbers=PATH, or run what makes it"
    with pytest.raises(SpecError, match="has no input 'number'") as caught:
        tiny.run(stage="add", inputs={"number": tiny.root / "words.txt"})
    assert caught.value.remedy == "did you mean 'numbers'?"
    with pytest.raises(SpecError, match="no stage 'ad'"):
        tiny.run(stage="ad")
