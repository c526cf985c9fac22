"""Write-behind: what a kernel logs is journaled on disk in microseconds and replayed into the real store by a worker.

A session has a journal, ``.nbops/journal/<session>.jsonl``, one operation a line (`entries`), and beside it the offset up
to which it has been replayed. The kernel appends (`outbox`), to which `plugin` is MLflow's own door: a tracking store for
the scheme ``nbops``. A process of its own (`worker`), which survives the kernel, replays: `replay` the plain operations,
`fits` the fits of scikit-learn, on which MLflow's own autologging is run. Whoever reads the store calls `settle` before.
"""

from nbops.tracking.journal.settling import settle

__all__ = ["settle"]
