"""What is held to be fingerprinted later is bounded: past ``[tracking] memory`` it is hashed at once, and all is right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kernels import sessions
from nbops.project import Project
from nbops.snapshot.fingerprint import UNKNOWN
from nbops.tracking.store import Store

pytestmark = pytest.mark.slow
ROWS, FILES, MB = 400_000, 12, 1_000_000
READ = f"""
frames = []
for number in range({FILES}):
    frame = pd.read_parquet(f'{{number}}.parquet')
    frame.loc[:, 'a'] = -1.0
    frame['b'] *= 2
    frame.drop(columns='a', inplace=True)
    del frame
"""
FIT = """
from sklearn.linear_model import SGDRegressor
for number in range(4):
    frame = pd.read_parquet(f'{number}.parquet')
    X, y = frame[['a']], frame['b']
    model = SGDRegressor(max_iter=1, tol=None).fit(X, y)
    X.iloc[:, 0] = 0.0
"""


@pytest.mark.parametrize("memory", ["8MB", "100MB"])
def test_mutated_tables_have_the_content_that_was_read(
    project: Project, start_kernel: Callable[..., Any], memory: str
) -> None:
    import numpy as np
    import pandas as pd

    from nbops.snapshot.fingerprint import fingerprint_frame

    (project.root / "nbops.toml").write_text(f'[tracking]\nmemory = "{memory}"\n', encoding="utf-8")
    expected = {}
    for number in range(FILES):
        random = np.random.default_rng(number)
        frame = pd.DataFrame({"a": random.random(ROWS), "b": random.random(ROWS)})
        frame.to_parquet(project.root / f"{number}.parquet")
        expected[f"{number}.parquet"] = fingerprint_frame(frame)
    size = ROWS * 16
    kernel = start_kernel()
    for cell in (
        "%load_ext nbops",
        "import pandas as pd, psutil, threading, time\npd.read_parquet('0.parquet')\n"
        "def rss():\n    return psutil.Process().memory_info().rss\nmost = [rss()]",
        "def watch():\n    while True:\n        most.append(rss())\n        time.sleep(0.01)\n"
        "threading.Thread(target=watch, daemon=True).start()\nbefore = rss()",
        READ,
        FIT,
    ):
        assert kernel.run(cell).error == ""
    grown = int(kernel.run("print(max(most) - before)").text)
    kernel.stop()
    (log,) = sessions(project)
    digests = {(one.source, one.digest) for cell in log.cells for one in cell.data if one.source in expected}
    assert {source for source, _ in digests} == set(expected)
    assert all(digest in (expected[source], UNKNOWN) for source, digest in digests)
    assert sum(digest != UNKNOWN for _, digest in digests) >= FILES, "the bound costs time, not knowledge"
    assert grown < 150 * MB + int(memory.removesuffix("MB")) * MB + 6 * size, "scikit-learn itself takes some 100 MB"
    project = Project.find(project.root)
    runs = [Store(project).run(run.run_id) for run in Store(project).runs()]
    assert len(runs) == 4
    right = {fingerprint_frame(pd.read_parquet(project.root / f"{number}.parquet")[["a"]]) for number in range(4)}
    held = [(run, [one.digest for one in run.datasets if one.name == "fit X"]) for run in runs]
    assert all(digest in right for _, digests in held for digest in digests)
    assert all(digests or "[tracking] memory" in run.tags["nbops.unrecorded"] for run, digests in held)
