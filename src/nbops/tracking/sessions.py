"""Sessions that ended without saying so: a kernel that was killed leaves no last line.

When the process of an unclosed session is gone, the runs that it left RUNNING are set to KILLED and the session is
closed. A process is known by its id *and* its start time, because ids are used again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from nbops.errors import TrackingError
from nbops.tracking.records import Closed, Session, SessionLog, Writer, read
from nbops.tracking.store import Store

_TAIL = 256


def logs(folder: Path) -> Iterator[SessionLog]:
    """Return the sessions in `folder`, oldest first; files of a newer format or another kind are left out."""
    for path in sorted(folder.glob("*.jsonl")):
        try:
            yield read(path)
        except TrackingError:
            continue


def close_dead(store: Store) -> list[str]:
    """Close the sessions whose kernel is gone, and set their running runs to KILLED; return the runs' ids."""
    killed: list[str] = []
    for path in sorted(store.project.sessions.glob("*.jsonl")):
        if _is_closed(path):
            continue
        try:
            log = read(path)
        except TrackingError:  # torn before its first line was whole: it never recorded anything
            continue
        if is_alive(log.session):
            continue
        killed += _kill_runs(store, log.session)
        writer = Writer(path)
        writer.write(Closed("killed", time.time()), sync=True)
        writer.close()
    return killed


def is_alive(session: Session) -> bool:
    """Whether the kernel of a session still runs."""
    import psutil

    try:
        started = psutil.Process(session.pid).create_time()
    except psutil.Error:
        return False
    return abs(started - session.process_started) < 1.0


def _kill_runs(store: Store, session: Session) -> list[str]:
    if not store.exists:
        return []
    running = store.runs(where=f"tags.`nbops.session` = '{session.session}' and attributes.status = 'RUNNING'")
    for run in running:
        store.end_run(run.run_id, "KILLED")
    return [run.run_id for run in running]


def _is_closed(path: Path) -> bool:
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - _TAIL))
        return b'{"type":"closed"' in stream.read().rstrip(b"\n").split(b"\n")[-1]
