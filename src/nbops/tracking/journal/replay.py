"""Entries become what they say: one method of MLflow's client each, several metrics, params and tags in one call.

Everything may be replayed twice: a run that exists stays, params that are equal are no conflict, metrics that are equal are
dropped by MLflow, artifacts overwrite themselves. What fails for now is raised, and tried again by the worker. What a store
refuses for good (a value that it can't hold) is told of in nbops' log and kept (`refused`); a run that its experiment is
refused to gets another, so that what is logged to it has a place.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from nbops.errors import TrackingError
from nbops.tracking.failures import guarded, log_failure, note
from nbops.tracking.journal import refused
from nbops.tracking.journal.entries import (
    AnnouncedModel,
    Closed,
    Create,
    Entry,
    Evaluated,
    Files,
    Fit,
    Inputs,
    Log,
    Place,
    SavedModel,
    Score,
    Snapshot,
    Unreadable,
    Update,
    entry_of,
)
from nbops.tracking.journal.real import Real
from nbops.tracking.journal.refusals import is_for_good, is_for_now, is_the_runs

_PER_CALL = 100
_METRICS_PER_CALL = 800
_PAUSES = (0.1, 0.5)


class Replay:
    """Replays a journal's entries into the real store.

    Parameters
    ----------
    real
        The store.
    """

    def __init__(self, real: Real) -> None:
        from nbops.tracking.journal.attaching import SnapshotReplay
        from nbops.tracking.journal.fits import FitReplay
        from nbops.tracking.journal.logged_models import ModelReplay

        self.real = real
        self.closed = False
        self._fits = FitReplay(real)
        self._models = ModelReplay(real)
        self._snapshots = SnapshotReplay(real)

    def warm_up(self) -> None:
        """Import what a fit will need, before there is one."""
        self._fits.prepare()

    def resume(self, entries: Iterable[tuple[int, Entry]], offset: int) -> None:
        """Take up what entries before an offset said of those after it."""
        for end, entry in entries:
            if end > offset:
                return
            if isinstance(entry, Place):
                self._fits.path = entry.path

    def __call__(self, entries: list[tuple[int, Entry]]) -> Iterator[int]:
        """Replay entries in order; return the offset after each step that is done."""
        entries = self._without_repeats(entries)
        at = 0
        while at < len(entries):
            until = at
            while until < len(entries) and isinstance(entries[until][1], Log):
                until += 1
            if until > at:
                self._log([entry for _, entry in entries[at:until] if isinstance(entry, Log)])
                at = until
            else:
                self._guarded(entries[at][1])
                at += 1
            yield entries[at - 1][0]

    def _without_repeats(self, entries: list[tuple[int, Entry]]) -> list[tuple[int, Entry]]:
        """Leave out snapshots of a run that are followed by a later one."""
        last = {entry.run_id: number for number, (_, entry) in enumerate(entries) if isinstance(entry, Snapshot)}
        return [
            pair
            for number, pair in enumerate(entries)
            if not isinstance(pair[1], Snapshot) or last[pair[1].run_id] == number
        ]

    def _guarded(self, entry: Entry) -> None:
        try:
            _patiently(lambda: self._do(entry))
        except Exception as error:
            if is_for_now(error):
                raise
            log_failure(self.real.project)
            if isinstance(entry, Create) and self._placed_elsewhere(entry, error):
                return
            refused.keep(self.real.journal, entry, error)
            if isinstance(entry, Fit):
                reason = error  # the name in `except` ends with it
                guarded(self.real.project, lambda: self._fits.give_up(entry, reason))

    def _placed_elsewhere(self, entry: Create, error: Exception) -> bool:
        experiment = self.real.create_elsewhere(entry, error)
        if experiment is not None:
            text = f"run {entry.run_id} was meant for experiment {entry.experiment}, and is in experiment {experiment}"
            note(self.real.project, text)
        return experiment is not None

    def _do(self, entry: Entry) -> None:
        match entry:
            case Closed():
                self.closed = True
            case Place():
                self._fits.path = entry.path
            case Create():
                self.real.create(entry)
            case Update():
                self._update(entry)
            case Inputs():
                self._inputs(entry)
            case Files():
                self._files(entry)
            case AnnouncedModel():
                self._fits.prepare()
                self._models.announce(entry)
            case SavedModel():
                self._fits.prepare()
                self._models.log(entry)
            case Fit():
                self._fits.fit(entry)
            case Evaluated():
                self._fits.evaluated(entry)
            case Score():
                self._fits.score(entry)
            case Snapshot():
                self._snapshots.attach(entry)
            case Unreadable():
                raise TrackingError("a line that this nbops can't read", where=str(self.real.journal.path))

    def _log(self, entries: list[Log]) -> None:
        """Log what a stretch of entries says, one run after the other, in as few calls as the store allows."""
        by_run: dict[tuple[str, str | None], list[Log]] = {}
        for entry in entries:
            by_run.setdefault((entry.run_id, entry.uri), []).append(entry)
        for (run_id, uri), own in by_run.items():
            self._log_run(run_id, uri, own)

    def _log_run(self, run_id: str, uri: str | None, entries: list[Log]) -> None:
        from mlflow.entities import Metric, Param, RunTag

        client, theirs = self.real.client(uri), self.real.run_id(run_id)
        metrics = [
            Metric(
                one.key,
                float(one.value),
                one.timestamp,
                one.step,
                model_id=self.real.run_id(one.model_id) if one.model_id else None,
                dataset_name=one.dataset_name,
                dataset_digest=one.dataset_digest,
            )
            for entry in entries
            for one in entry.metrics
        ]
        params = [Param(key, value) for entry in entries for key, value in entry.params.items()]
        tags = [RunTag(key, value) for key, value in {k: v for e in entries for k, v in e.tags.items()}.items()]
        for batch in _batches(params, _PER_CALL):
            self._each(
                batch,
                lambda some: client.log_batch(theirs, params=some),
                lambda some: Log(run_id, params={one.key: one.value for one in some}, uri=uri),
            )
        for batch in _batches(tags, _PER_CALL):
            self._each(
                batch,
                lambda some: client.log_batch(theirs, tags=some),
                lambda some: Log(run_id, tags={one.key: one.value for one in some}, uri=uri),
            )
        for batch in _batches(metrics, _METRICS_PER_CALL):
            self._each(
                batch,
                lambda some: client.log_batch(theirs, metrics=some),
                lambda some: Log(run_id, metrics=[entry_of(one) for one in some], uri=uri),
            )

    def _each(
        self, batch: list[Any], log: Callable[[list[Any]], object], spelled: Callable[[list[Any]], Entry]
    ) -> None:
        """Log a batch; where the store refuses it, one by one, so that only the refused is kept aside, as `spelled`."""
        try:
            _patiently(lambda: log(batch))
        except Exception as error:
            if is_for_now(error):
                raise
            if len(batch) == 1 or is_the_runs(error):
                log_failure(self.real.project)
                refused.keep(self.real.journal, spelled(batch), error)
                return
            for one in batch:
                self._each([one], log, spelled)

    def _update(self, entry: Update) -> None:
        from mlflow.entities import RunStatus

        client = self.real.client(entry.uri)
        client._tracking_client.store.update_run_info(
            self.real.run_id(entry.run_id),
            run_status=RunStatus.from_string(entry.status) if entry.status else None,
            end_time=entry.ended,
            run_name=entry.name,
        )

    def _inputs(self, entry: Inputs) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelInput

        datasets = [
            DatasetInput(
                Dataset(**{key: value for key, value in given.items() if key != "tags"}),
                [InputTag(key, value) for key, value in given.get("tags", {}).items()],
            )
            for given in entry.datasets
        ]
        models = [LoggedModelInput(model_id=self.real.run_id(model)) for model in entry.models]
        self.real.client(entry.uri).log_inputs(self.real.run_id(entry.run_id), datasets=datasets, models=models)

    def _files(self, entry: Files) -> None:
        folder = self.real.journal.spool / entry.folder
        if folder.is_dir():  # else it was logged, and removed, before
            self.real.client(entry.uri).log_artifacts(self.real.run_id(entry.run_id), str(folder), entry.path)
            shutil.rmtree(folder, ignore_errors=True)


def _patiently(job: Callable[[], object]) -> None:
    """Do a job; what fails for a reason that isn't known is tried again, after a moment."""
    for pause in (*_PAUSES, None):
        try:
            job()
            return
        except Exception as error:
            if pause is None or is_for_now(error) or is_for_good(error):
                raise
            time.sleep(pause)


def _batches(items: list[Any], size: int) -> Iterator[list[Any]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
