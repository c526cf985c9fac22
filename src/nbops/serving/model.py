"""The model behind every protocol: the manifest, its signature, the scorer, and the counts of what passes."""

from __future__ import annotations

from collections.abc import Callable

from .manifest import Manifest
from .metrics import Metrics
from .scorer import Predictions
from .signature import Batch, Signature


class Model:
    """What a protocol needs to answer a request.

    Parameters
    ----------
    manifest
        The service's manifest.
    scorer
        Scores a checked batch.
    metrics
        Counts rows and missing values.
    """

    def __init__(self, manifest: Manifest, scorer: Callable[[Batch], Predictions], metrics: Metrics) -> None:
        self.manifest = manifest
        self.signature = Signature(manifest.input.columns)
        self.metrics = metrics
        self._scorer = scorer

    def score(self, batch: Batch) -> Predictions:
        """Return the predictions for `batch`."""
        predictions = self._scorer(batch)
        self.metrics.scored(batch)
        return predictions
