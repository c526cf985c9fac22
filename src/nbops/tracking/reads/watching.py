"""Begin and stop to hear of what is read."""

from __future__ import annotations

from nbops.tracking.reads import calls, files
from nbops.tracking.reads.calls import Guard, Listener

_watching = False


def watch(listener: Listener | None, guard: Guard | None = None) -> None:
    """Tell `listener`, and no other, of what is read from now on; None: nobody.

    Parameters
    ----------
    listener
        Called with each read, in the thread that reads.
    guard
        Does a job and keeps what goes wrong in it from whoever reads; by default it's dropped with the read.
    """
    global _watching
    calls.listen(listener, guard)
    files.taken()
    if listener is not None and not _watching:
        _watching = True
        from nbops.tracking.reads.libraries import wait_for_libraries

        wait_for_libraries()
        files.hear_files()
