"""The session file: what a kernel did, one JSON object a line, append-only.

A session's file is ``.nbops/sessions/<session>.jsonl``. Its first line names the format's number; a cell has a
``start`` line, written before its code runs, and an ``end`` and a ``traced`` line, written before the next cell starts
(see `writer`): the one before the kernel replies, the other soon after.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec

from nbops.errors import TrackingError

FORMAT = 3


class Session(msgspec.Struct, tag_field="type", tag="session", frozen=True, omit_defaults=True):
    """The first line: which process, on which machine, for which notebook, and in which folder it began to record."""

    session: str
    pid: int
    process_started: float
    time: float
    format: int = FORMAT
    host: str = ""
    notebook: str | None = None
    stage: str | None = None
    run_id: str | None = None
    folder: str | None = None
    process: str = ""

    @classmethod
    def here(
        cls, session: str, notebook: str | None, stage: str | None, run_id: str | None, folder: str | None = None
    ) -> Session:
        """Return the first line of a session of this process."""
        from nbops.tracking.recording.resources import process_mark, process_started

        return cls(
            session=session,
            pid=os.getpid(),
            process_started=process_started(),
            time=time.time(),
            host=platform.node(),
            notebook=notebook,
            stage=stage,
            run_id=run_id,
            folder=folder,
            process=process_mark(os.getpid()),
        )


class Start(msgspec.Struct, tag_field="type", tag="start", frozen=True, omit_defaults=True):
    """A cell is about to run.

    `seq` counts the session's cells from 1, `order` is what the front end shows in brackets; `expanded` is what IPython made
    of its magics. Where `hidden` isn't None the source is a comment in the place of what isn't recorded: a cell (``skip``),
    or all that was executed while recording was off (``off``).
    """

    seq: int
    cell_id: str | None
    source: str
    time: float
    expanded: str | None = None
    order: int | None = None
    hidden: Literal["skip", "off"] | None = None


class Output(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that a cell showed, by reference: its content lies under ``.nbops/outputs/<digest>``.

    `kind` is ``stdout``, ``stderr``, ``display``, ``result`` or ``error``; `mime` the richest type shown; `size` in bytes,
    of which `kept` are stored (all, unless the cell showed too much).
    """

    kind: str
    mime: str
    digest: str
    size: int
    kept: int


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """One executed statement of a cell's top level, and what its effects rest on.

    `first` and `last` are lines of the cell's source, from 1. `needs` are the statements, as ``(seq, index)``, whose
    effects this one saw. A step that is `lasting` changed something that no name leads to (a setting, the environment):
    it belongs to every recipe of a later cell. `reads` and `writes` are files; `names` the variables read; `values` the plain
    values that it bound.
    """

    first: int
    last: int
    needs: list[tuple[int, int]] = []
    lasting: bool = False
    failed: bool = False
    reads: list[str] = []
    writes: list[str] = []
    names: list[str] = []
    values: dict[str, bool | int | float | str | None] = {}


class Caller(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who started a run: the line of the cell, and the function of the notebook that did it, if one did."""

    run_id: str
    line: int | None = None
    function: str | None = None


class End(msgspec.Struct, tag_field="type", tag="end", frozen=True, omit_defaults=True):
    """A cell has run.

    `duration` and `cpu` are in seconds, `memory` is the change of the process's resident memory in bytes; `result` is the
    kind of the value shown, never its content. What the cell showed and did is told by its `Traced`.
    """

    seq: int
    outcome: Literal["ok", "error"]
    duration: float
    error: str | None = None
    result: str | None = None
    defined: list[str] = []
    used: list[str] = []
    changed: list[str] = []
    runs: list[str] = []
    cpu: float | None = None
    memory: int | None = None
    traceback: str | None = None
    outputs: list[Output] = []
    steps: list[Step] = []
    callers: list[Caller] = []


class Traced(msgspec.Struct, tag_field="type", tag="traced", frozen=True, omit_defaults=True):
    """What a cell was seen to do, statement by statement, and to show.

    `changed` are the names whose objects were changed in place.
    """

    seq: int
    outputs: list[Output] = []
    defined: list[str] = []
    used: list[str] = []
    changed: list[str] = []
    steps: list[Step] = []


class Data(msgspec.Struct, tag_field="type", tag="data", frozen=True, omit_defaults=True):
    """A cell read a table or file: where from, its rows, schema, fingerprint, and what DVC or Delta call its version."""

    seq: int
    source: str
    reader: str
    digest: str
    rows: int | None = None
    columns: dict[str, str] = {}
    version: str | None = None


class Model(msgspec.Struct, tag_field="type", tag="model", frozen=True):
    """A cell left a fitted estimator in a variable. `size` is that of its pickle, in bytes."""

    seq: int
    name: str
    kind: str
    digest: str
    size: int


class Closed(msgspec.Struct, tag_field="type", tag="closed", frozen=True):
    """The last line: the session ended by itself, or was found dead."""

    outcome: Literal["ok", "killed"]
    time: float


Record = Session | Start | End | Traced | Data | Model | Closed
_decoder = msgspec.json.Decoder(Record)
encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Cell:
    """One execution of one cell, put together from its lines; `end` is None while it runs, or if it never ended."""

    start: Start
    end: End | None = None
    data: list[Data] = field(default_factory=list)
    models: list[Model] = field(default_factory=list)

    def trace(self, seen: Traced) -> None:
        """Take what the cell was seen to do."""
        if self.end is not None:
            told = {name: getattr(seen, name) for name in seen.__struct_fields__}
            self.end = msgspec.structs.replace(self.end, **told)


@dataclass(slots=True)
class SessionLog:
    """A whole session file, read back."""

    session: Session
    cells: list[Cell]
    closed: Closed | None = None

    @property
    def data(self) -> list[Data]:
        """All tables read, in order."""
        return [data for cell in self.cells for data in cell.data]

    @property
    def models(self) -> list[Model]:
        """All fitted estimators seen, in order."""
        return [model for cell in self.cells for model in cell.models]


def read(path: Path) -> SessionLog:
    """Read a session's file; a torn line is left out.

    Raises
    ------
    TrackingError
        If the file isn't a session file, or of a newer format.
    """
    session: Session | None = None
    cells: dict[int, Cell] = {}
    closed: Closed | None = None
    for record in _records(path):
        match record:
            case Session():
                session = record
            case Start():
                cells[record.seq] = Cell(record)
                closed = None  # it was taken for dead too early
            case End() if record.seq in cells:
                cells[record.seq].end = record
            case Traced() if record.seq in cells:
                cells[record.seq].trace(record)
            case Data() if record.seq in cells:
                cells[record.seq].data.append(record)
            case Model() if record.seq in cells:
                cells[record.seq].models.append(record)
            case Closed():
                closed = record
    if session is None:
        raise TrackingError("not a session file", where=str(path))
    return SessionLog(session, [cells[seq] for seq in sorted(cells)], closed)


def read_session(path: Path) -> Session | None:
    """Return only a session file's first line; None where it isn't whole, or not of a session."""
    with path.open("rb") as stream:
        line = stream.readline()
    try:
        record = _decoder.decode(line)
    except msgspec.DecodeError:
        return None
    return record if isinstance(record, Session) else None


def _records(path: Path) -> Iterator[Record]:
    lines = path.read_bytes().split(b"\n")
    if lines and lines[0]:
        _check_format(path, lines[0])
    for line in lines:
        try:
            yield _decoder.decode(line)
        except msgspec.DecodeError:  # torn by a kill, or written by a later version
            continue


def _check_format(path: Path, line: bytes) -> None:
    try:
        number = msgspec.json.decode(line).get("format", FORMAT)
    except (msgspec.DecodeError, AttributeError):
        return
    if not isinstance(number, int) or number > FORMAT:
        raise TrackingError(
            f"written by a newer nbops (format {number}, this one reads {FORMAT})",
            where=str(path),
            remedy="upgrade nbops",
        )
