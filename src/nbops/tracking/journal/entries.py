"""What a journal's lines say: operations on runs, each enough by itself to be replayed, and twice without harm.

Runs are named by the ids that the kernel chose. `uri` is set only where a run isn't in the project's store, because
the user set another. Values that are larger than a line should be lie in the session's spool, a folder beside the
journal, and are referred to by name.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import msgspec

FORMAT = 1
Status = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]


class Head(msgspec.Struct, tag_field="type", tag="head", frozen=True, omit_defaults=True):
    """The first line: whose journal it is, and which interpreter and store its replay needs."""

    session: str
    pid: int
    process_started: float
    host: str
    python: str
    uri: str
    format: int = FORMAT
    process: str = ""


class Closed(msgspec.Struct, tag_field="type", tag="closed", frozen=True):
    """The last line: the kernel logs no more, though its process may live on."""


class Place(msgspec.Struct, tag_field="type", tag="place", frozen=True):
    """Where the kernel looks for modules from here on."""

    path: list[str]


class Create(msgspec.Struct, tag_field="type", tag="create", frozen=True, omit_defaults=True):
    """A run begins. Times are in milliseconds; without an `experiment` (its id) it's the project's."""

    run_id: str
    started: int
    name: str | None = None
    user: str = ""
    tags: dict[str, str] = {}
    experiment: str | None = None
    uri: str | None = None


class Metric(msgspec.Struct, frozen=True, omit_defaults=True, array_like=True):
    """A value of a metric; JSON has no NaN and no infinity, so these are text."""

    key: str
    value: float | str
    timestamp: int
    step: int = 0
    model_id: str | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None


class Log(msgspec.Struct, tag_field="type", tag="log", frozen=True, omit_defaults=True):
    """Metrics, params and tags of a run."""

    run_id: str
    metrics: list[Metric] = []
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    uri: str | None = None


class Update(msgspec.Struct, tag_field="type", tag="update", frozen=True, omit_defaults=True):
    """A run's status, end and name."""

    run_id: str
    status: str | None = None
    ended: int | None = None
    name: str | None = None
    uri: str | None = None


class Inputs(msgspec.Struct, tag_field="type", tag="inputs", frozen=True, omit_defaults=True):
    """Datasets (MLflow's own fields of each, with `tags`) and models that went into a run."""

    run_id: str
    datasets: list[dict[str, Any]] = []
    models: list[str] = []
    uri: str | None = None


class Files(msgspec.Struct, tag_field="type", tag="files", frozen=True, omit_defaults=True):
    """A folder of the spool whose content becomes a run's artifacts, below `path`."""

    run_id: str
    folder: str
    path: str | None = None
    uri: str | None = None


class Held(msgspec.Struct, frozen=True, omit_defaults=True):
    """A value in the spool, with nbops' fingerprint where there is one."""

    file: str
    digest: str | None = None
    kind: str = ""
    rows: int | None = None
    columns: dict[str, str] = {}


class Fit(msgspec.Struct, tag_field="type", tag="fit", frozen=True, omit_defaults=True):
    """An estimator was fitted. `managed` means that the run is this fit's own and ends with it."""

    fit_id: str
    run_id: str
    estimator: Held
    started: int
    ended: int
    status: Status = "FINISHED"
    managed: bool = True
    X: Held | None = None
    y: Held | None = None
    sample_weight: Held | None = None
    unrecorded: str = ""
    tags: dict[str, str] = {}
    uri: str | None = None


class Evaluated(msgspec.Struct, tag_field="type", tag="evaluated", frozen=True, omit_defaults=True):
    """A fitted estimator predicted this."""

    run_id: str
    data: Held
    tags: dict[str, str] = {}
    uri: str | None = None


class Score(msgspec.Struct, tag_field="type", tag="score", frozen=True, omit_defaults=True):
    """A metric was computed of a recorded model's predictions by the call that `command` spells."""

    run_id: str
    fit_id: str
    key: str
    value: float | str
    command: str
    timestamp: int
    uri: str | None = None


class AnnouncedModel(msgspec.Struct, tag_field="type", tag="announced", frozen=True, omit_defaults=True):
    """A model that is about to be trained, as MLflow's autologging announces it; `tags` are those of its moment."""

    model_id: str
    run_id: str
    name: str
    model_type: str | None = None
    flavor: str | None = None
    tags: dict[str, str] = {}


class SavedModel(msgspec.Struct, tag_field="type", tag="saved", frozen=True, omit_defaults=True):
    """A model whose files are in the spool's folder; `given` are the other arguments of MLflow's ``Model.log``."""

    model_id: str
    run_id: str
    name: str
    folder: str
    announced: bool = False
    flavor: str | None = None
    step: int = 0
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    given: dict[str, Any] = {}


class Snapshot(msgspec.Struct, tag_field="type", tag="snapshot", frozen=True, omit_defaults=True):
    """The cell executed as number `seq` logged to a run; `moment` is what was caught then, in the spool.

    A run that is `open` may be logged to by a later cell.
    """

    run_id: str
    session: str
    seq: int
    moment: str | None = None
    open: bool = False
    uri: str | None = None


class Unreadable(msgspec.Struct, tag_field="type", tag="unreadable", frozen=True):
    """A whole line that isn't an entry of a known kind."""

    line: str


Entry = (
    Head
    | Closed
    | Place
    | Create
    | Log
    | Update
    | Inputs
    | Files
    | AnnouncedModel
    | SavedModel
    | Fit
    | Evaluated
    | Score
    | Snapshot
    | Unreadable
)
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Entry)


def encode(entry: Entry) -> bytes:
    """Return an entry's line, without its end."""
    return _encoder.encode(entry)


def decode(line: bytes) -> Entry | None:
    """Return a line's entry; None where it's torn."""
    try:
        entry: Entry = _decoder.decode(line)
    except msgspec.ValidationError:
        return Unreadable(line.decode())
    except msgspec.DecodeError:
        return None
    return entry


def entry_of(metric: Any) -> Metric:
    """Return what the journal says of one of MLflow's metrics."""
    return Metric(
        metric.key,
        number(float(metric.value)),
        int(metric.timestamp),
        int(metric.step or 0),
        metric.model_id,
        metric.dataset_name,
        metric.dataset_digest,
    )


def number(value: float) -> float | str:
    """Return a metric's value as JSON can hold it."""
    return value if math.isfinite(value) else str(value)
