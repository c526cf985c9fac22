"""Sessions that ended without saying so: a kernel that was killed leaves no last line.

When the process of an unclosed session is gone, the runs that it left RUNNING are set to KILLED and the session is
closed. A process is known by its id *and* its start time, because ids are used again; a process of another machine (the
project lies on a shared disk) can't be asked, and counts as gone when its file has not grown for a week.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator
from pathlib import Path

from nbops.errors import TrackingError
from nbops.tracking.recording.records import Closed, Session, SessionLog, read, read_session
from nbops.tracking.recording.resources import is_running
from nbops.tracking.recording.writer import Writer
from nbops.tracking.store import Store

_TAIL = 256
_STALE = 7 * 24 * 3600.0


def logs(folder: Path, notebook: str) -> Iterator[SessionLog]:
    """Return the sessions of a notebook, oldest first; files of a newer format or another kind are left out."""
    for path in sorted(folder.glob("*.jsonl")):
        session = read_session(path)
        if session is None or session.notebook != notebook:
            continue
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
        session = read_session(path)
        if session is None or is_alive(session, path):  # None: torn before its first line was whole, so without a run
            continue
        killed += _kill_runs(store, session)
        writer = Writer(path)
        writer.write(Closed("killed", time.time()), sync=True)
        writer.close()
    return killed


def is_alive(session: Session, path: Path) -> bool:
    """Whether the kernel of a session, recorded in `path`, still runs."""
    if session.host and session.host != platform.node():
        return time.time() - path.stat().st_mtime < _STALE
    return is_running(session.pid, session.process_started, session.process)


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
