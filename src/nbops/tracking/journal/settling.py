"""`settle`: wait until everything journaled in a project is in the real store.

Of a live session the worker is waited for. A journal without one (the worker, the kernel or the machine died) gets a new
worker, which replays it from where it was left; whichever replayer holds a journal's lock is the only one.
"""

from __future__ import annotations

import time

from nbops.project import Project
from nbops.tracking.journal.file import Journal, folder_of, is_alive, journals
from nbops.tracking.journal.starting import start_worker

_LOOK = 0.005
_LOOK_AT_LOCK = 0.25
_PATIENCE = 2.0

_replaying = False


def settle(project: Project, *, timeout: float = 30.0) -> bool:
    """Return when everything that was journaled before the call is in the real store.

    Parameters
    ----------
    project
        Whose journals, of live and of dead sessions.
    timeout
        In seconds; a store that can't be reached isn't waited for any longer.

    Returns
    -------
    bool
        Whether all of it is there.
    """
    if _replaying or not folder_of(project).is_dir():
        return True
    deadline = time.monotonic() + timeout
    from nbops.tracking.journal.outbox import current

    own = current()
    if own is not None and own.project.root == project.root:
        own.flush()
    try:
        settled = [_settle(journal, deadline) for journal in journals(project)]
    except PermissionError:  # a project that can only be read has nobody who replays
        return False
    return all(settled)


def never_here() -> None:
    """Let `settle` be nothing in this process, which is itself the one that replays."""
    global _replaying
    _replaying = True


def _settle(journal: Journal, deadline: float) -> bool:
    head = journal.head()
    target = journal.size()
    if head is None:
        if journal.path.exists() and time.time() - journal.path.stat().st_mtime > _PATIENCE:
            journal.remove()  # torn in its first line: it never held anything
        return True
    if journal.replayed() >= target and is_alive(head):
        return True
    looked = float("-inf")
    while journal.path.exists() and (journal.replayed() < target or not is_alive(head)):
        now = time.monotonic()
        if now > deadline:
            return False
        if now - looked > _LOOK_AT_LOCK:
            looked = now
            if not journal.is_held:
                start_worker(journal, head)
                looked = now + _PATIENCE  # it needs a moment to take the lock
        time.sleep(_LOOK)
    return True
