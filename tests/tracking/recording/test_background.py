"""Work off the cell's path: what waits together is done together, and isn't the doing of a cell."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from nbops.tracking import audit
from nbops.tracking.recording.background import Background


def test_what_waits_together_is_done_together_and_in_order() -> None:
    done: list[tuple[str, float]] = []
    background = Background(lambda job: job(), delay=0.3)
    began = time.monotonic()
    for name in "abc":
        background.add(lambda name=name: done.append((name, time.monotonic() - began)))  # type: ignore[misc]
        time.sleep(0.05)
    while len(done) < 3:
        time.sleep(0.01)
    assert [name for name, _ in done] == ["a", "b", "c"]
    assert done[0][1] >= 0.3
    assert done[2][1] - done[0][1] < 0.2  # not each its own delay


def test_who_waits_waits_no_longer_than_the_work() -> None:
    done: list[bool] = []
    background = Background(lambda job: job(), delay=30.0)
    background.add(lambda: done.append(background.is_awaited))
    background.flush()
    assert done == [True]
    assert not background.is_awaited


def test_what_it_opens_is_nobodys_doing(tmp_path: Path) -> None:
    heard: list[tuple[str, str]] = []
    audit.listen(lambda event, arguments: heard.append((threading.current_thread().name, str(arguments[0]))))
    try:
        background = Background(lambda job: job())
        background.add((tmp_path / "ours").touch)
        background.flush()
        (tmp_path / "theirs").open("w").close()
    finally:
        audit.listen(None)
    assert [Path(path).name for _, path in heard] == ["theirs"]
