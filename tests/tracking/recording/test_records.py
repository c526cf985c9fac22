"""Session files: any prefix reads back, a torn line harms nothing, newer formats are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nbops.errors import TrackingError
from nbops.tracking.recording.records import (
    FORMAT,
    Closed,
    Data,
    End,
    Model,
    Record,
    Session,
    Start,
    read,
    read_session,
)
from nbops.tracking.recording.writer import Writer

SESSION = Session.here("s", "a.ipynb", None, None)
RECORDS: list[Record] = [
    SESSION,
    Start(1, "a", "x = 'ü\n'", 1.0),
    Data(1, "in.csv", "read_csv", "d" * 32, 2, {"a": "long"}),
    Model(1, "model", "sklearn.X", "e" * 64, 10),
    End(1, "ok", 0.5, defined=["x"], runs=["r"]),
    Start(2, None, "1/0", 2.0),
    End(2, "error", 0.1, error="ZeroDivisionError"),
    Closed("ok", 3.0),
]


def _write(path: Path) -> Path:
    writer = Writer(path)
    for record in RECORDS:
        writer.write(record, sync=isinstance(record, End))
    writer.close()
    return path


def test_what_was_written_reads_back(tmp_path: Path) -> None:
    log = read(_write(tmp_path / "s.jsonl"))
    assert log.session == SESSION
    assert [cell.start for cell in log.cells] == [RECORDS[1], RECORDS[5]]
    assert [cell.end for cell in log.cells] == [RECORDS[4], RECORDS[6]]
    assert (log.data, log.models, log.closed) == ([RECORDS[2]], [RECORDS[3]], RECORDS[7])
    assert read_session(tmp_path / "s.jsonl") == SESSION


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_any_prefix_reads_back_all_its_whole_records(tmp_path: Path, data: st.DataObject) -> None:
    (tmp_path / "s.jsonl").unlink(missing_ok=True)
    content = _write(tmp_path / "s.jsonl").read_bytes()
    cut = data.draw(st.integers(content.index(b"\n") + 1, len(content)))
    path = tmp_path / "cut.jsonl"
    path.write_bytes(content[:cut])
    whole = content[:cut].count(b"\n") + (content[cut : cut + 1] == b"\n")  # whole but for its line's end
    log = read(path)
    assert len(log.cells) == sum(isinstance(record, Start) for record in RECORDS[:whole])
    assert sum(cell.end is not None for cell in log.cells) == sum(isinstance(r, End) for r in RECORDS[:whole])
    assert len(log.data) + len(log.models) == sum(isinstance(r, Data | Model) for r in RECORDS[:whole])


def test_a_torn_line_is_ended_before_the_next(tmp_path: Path) -> None:
    path = _write(tmp_path / "s.jsonl")
    path.write_bytes(path.read_bytes()[:-20])
    writer = Writer(path)
    writer.write(Closed("killed", 4.0))
    writer.close()
    assert read(path).closed == Closed("killed", 4.0)


def test_a_session_taken_for_dead_too_early_lives_on(tmp_path: Path) -> None:
    path = _write(tmp_path / "s.jsonl")
    writer = Writer(path)
    writer.write(Start(3, None, "x", 5.0))
    writer.close()
    assert read(path).closed is None


def test_records_of_a_later_kind_are_left_out(tmp_path: Path) -> None:
    path = _write(tmp_path / "s.jsonl")
    with path.open("ab") as stream:
        stream.write(b'{"type":"telepathy","seq":2}\n')
    assert len(read(path).cells) == 2


@pytest.mark.parametrize(
    "content", [b"", b"hello\n", b'{"type":"start","seq":1,"cell_id":null,"source":"","time":0}\n']
)
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.jsonl").write_bytes(content)
    with pytest.raises(TrackingError, match="not a session file"):
        read(tmp_path / "x.jsonl")
    assert read_session(tmp_path / "x.jsonl") is None


def test_format_1_is_still_read(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    path.write_text(
        '{"type":"session","session":"s","pid":7,"process_started":1.5,"time":2.5,"format":1,"host":"h","notebook":"a.ipynb"}\n'
        '{"type":"start","seq":1,"cell_id":"c","source":"x = read()","time":3.0}\n'
        '{"type":"data","seq":1,"source":"in.csv","reader":"read_csv","digest":"d","rows":2,"columns":{"a":"long"}}\n'
        '{"type":"model","seq":1,"name":"m","kind":"sklearn.X","digest":"e","size":10}\n'
        '{"type":"end","seq":1,"outcome":"error","duration":0.5,"error":"ValueError: no","defined":["x"],"runs":["r"]}\n'
        '{"type":"closed","outcome":"killed","time":4.0}\n',
        encoding="utf-8",
    )
    log = read(path)
    (cell,) = log.cells
    assert (log.session.format, log.session.notebook, log.closed) == (1, "a.ipynb", Closed("killed", 4.0))
    assert (cell.start.source, cell.start.hidden, cell.data[0].rows, cell.models[0].size) == ("x = read()", None, 2, 10)
    assert cell.end
    assert (cell.end.error, cell.end.runs, cell.end.cpu, cell.end.outputs) == ("ValueError: no", ["r"], None, [])


def test_a_newer_format_says_so(tmp_path: Path) -> None:
    path = _write(tmp_path / "s.jsonl")
    path.write_bytes(path.read_bytes().replace(b'"pid"', b'"format":%d,"pid"' % (FORMAT + 1), 1))
    with pytest.raises(TrackingError, match="newer nbops"):
        read(path)
