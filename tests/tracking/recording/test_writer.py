"""A session's file: whenever it's closed, it closes, and holds all that was written."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from nbops.tracking.recording.records import Closed
from nbops.tracking.recording.writer import Writer


def test_it_can_be_closed_at_any_moment(tmp_path: Path) -> None:
    writers = [Writer(tmp_path / f"{number}.jsonl") for number in range(60)]

    def close_after(seconds: float, writer: Writer) -> None:
        writer.write(Closed("ok", 1.0), sync=True)
        time.sleep(seconds)
        writer.close()

    # the disk is asked some 50 ms after a line
    threads = [
        threading.Thread(target=close_after, args=(0.04 + number / 3000, writer), daemon=True)
        for number, writer in enumerate(writers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert not [thread for thread in threads if thread.is_alive()]
    assert all(writer.path.read_text(encoding="utf-8").count("\n") == 1 for writer in writers)
