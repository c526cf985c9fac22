"""The proof says why a service doesn't predict what the notebook predicted."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from loop import Loop
from nbops.errors import ProofFailed
from nbops.promotion import environments
from nbops.promotion.proof import prove
from trial import Trial

pytestmark = pytest.mark.slow

FRAME = """
import numpy as np
import pandas as pd
rng = np.random.default_rng(0)
X = pd.DataFrame({"a": rng.normal(size=ROWS), "city": ["Oslo", "Rom"] * (ROWS // 2)})
"""


@pytest.fixture
def refusal(loop: Loop, trial: Callable[..., Trial]) -> Callable[..., str]:
    """Return a function that proves a cell's service in the loop's clean environment, and returns the refusal."""

    def ask(*cells: str) -> str:
        tried = trial(*cells)
        package = tried.manifest.package
        python = environments.make(loop.project.state / "environments", loop.bundle.lock, loop.bundle.wheel)
        packages = next(Path(python).parents[1].glob("lib/python*/site-packages"))
        shutil.copytree(tried.folder / package, packages / package)
        manifest = {"name": "m", "version": "1", "package": package, **tried.recorded}
        try:
            with pytest.raises(ProofFailed) as caught:
                prove(python, manifest, tried.examples)
        finally:
            shutil.rmtree(packages / package)
        return str(caught.value)

    return ask


@pytest.mark.parametrize(
    ("rows", "cell", "told"),
    [
        (600, "y = X['a'] - X['a'].mean()", ["all rows in one request", "for that row alone and", "among others"]),
        (40, "y = X['a'] - X['a'].mean()", ["one row a request", "take means, ranks"]),
        (
            40,
            "y = pd.get_dummies(X['city'])['Oslo'] * 1",
            ["one row a request", "KeyError: 'Oslo'", "get_dummies", "reindex"],
        ),
        (40, "y = X['a'] + rng.normal(size=len(X))", ["asked twice", "draw no random numbers"]),
        (40, "y = X['a'] * pd.read_csv('k.csv')['k'][0]", ["FileNotFoundError", "k.csv", "not on the index, on files"]),
    ],
)
def test_why_a_proof_failed(refusal: Callable[..., str], tmp_path: Path, rows: int, cell: str, told: list[str]) -> None:
    (tmp_path / "k.csv").write_text("k\n2\n")
    said = refusal(FRAME.replace("ROWS", str(rows)), cell)
    for word in told:
        assert word in said
