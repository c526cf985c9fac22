"""What was read: the readers of pandas, pyarrow, polars, Delta and duckdb tell, `open` does, and databases do.

A reader's code is replaced inside of the function itself (`calls`), so that one that was imported before nbops tells too.
Files that are opened otherwise are heard of by an audit hook (`files`), queries by SQLAlchemy's events and by connections of
sqlite3 (`sql`, `sqlite`). Libraries are waited for, never imported. Each call is told once: the outermost reader's.
"""

from nbops.tracking.reads.calls import Listener
from nbops.tracking.reads.read import Read
from nbops.tracking.reads.watching import watch

__all__ = ["Listener", "Read", "watch"]
