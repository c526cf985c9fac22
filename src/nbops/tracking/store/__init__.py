"""The one place that talks to MLflow: runs and their search, the registry, and databases with their schema."""

from nbops.tracking.store.store import SNAPSHOT_ARTIFACT, EndStatus, Store

__all__ = ["SNAPSHOT_ARTIFACT", "EndStatus", "Store"]
