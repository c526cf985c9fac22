"""``/metrics``: what a service did, in Prometheus' text format.

Labels are bounded: routes are the ones that exist (everything else is ``unknown``), reasons and columns come from
this code and the manifest, never from a request. With several workers prometheus-client sums over files in
``PROMETHEUS_MULTIPROC_DIR``, which `workers` sets before this module loads.
"""

from __future__ import annotations

import os

import msgspec
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from .manifest import Manifest
from .signature import Batch

CONTENT_TYPE = CONTENT_TYPE_LATEST
_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class Metrics:
    """The counters of one service, in a registry of its own."""

    def __init__(self, manifest: Manifest) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # else a second series for every counter
        registry = CollectorRegistry()
        self.requests = Counter("nbops_requests", "Requests answered.", ["route", "status"], registry=registry)
        self.seconds = Histogram(
            "nbops_request_seconds",
            "From a request's head to its answer.",
            ["route"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self.rows = Counter("nbops_rows_scored", "Rows scored.", registry=registry)
        self.in_flight = Gauge(
            "nbops_requests_in_flight", "Requests being answered now.", registry=registry, multiprocess_mode="livesum"
        )
        self.refused = Counter(
            "nbops_requests_refused", "Requests refused, by what was wrong.", ["reason"], registry=registry
        )
        self.missing = Counter("nbops_missing_values", "Missing values in scored rows.", ["column"], registry=registry)
        versions = {key: value or "" for key, value in msgspec.structs.asdict(manifest.versions).items()}
        build = Gauge(
            "nbops_build_info",
            "The model that is served and the digests of the snapshot it came from.",
            ["name", "version", *versions],
            registry=registry,
            multiprocess_mode="max",
        )
        build.labels(name=manifest.name, version=manifest.version, **versions).set(1)
        self._registry = registry
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            self._registry = CollectorRegistry()
            MultiProcessCollector(self._registry)  # type: ignore[no-untyped-call]
        else:
            ProcessCollector(registry=registry)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count one answer."""
        self.requests.labels(route, str(status)).inc()
        self.seconds.labels(route).observe(seconds)

    def scored(self, batch: Batch) -> None:
        """Count the rows and the missing values of one batch."""
        self.rows.inc(batch.rows)
        for column, count in batch.missing.items():
            self.missing.labels(column).inc(count)

    def text(self) -> bytes:
        """Return all of it as Prometheus reads it."""
        return generate_latest(self._registry)
