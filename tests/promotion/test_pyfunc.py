"""The scoring function as MLflow's model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from nbops.promotion.promote import write_model
from trial import Trial

pytestmark = pytest.mark.slow


def test_two_versions_in_one_process_are_two(trial: Callable[..., Trial], tmp_path: Path) -> None:
    import mlflow

    models = []
    for version in (1, 2):
        frame = f"import pandas as pd\nX = pd.DataFrame({{'a': [1.5, 2.0]}})\nshift = pd.Series([{version}.0])"
        tried = trial(frame, "y = X['a'] + shift[0]")
        target = tmp_path / f"m{version}" / "model"
        write_model(target, tried.folder / "capture", package=f"same_{version}")
        (tried.folder / "capture").rename(tmp_path / f"capture{version}")
        models.append(mlflow.pyfunc.load_model(str(target)))
    rows = pd.DataFrame({"a": [1.0]})
    assert [list(model.predict(rows)) for model in models] == [[2.0], [3.0]]
