"""The extension's TypeScript types are those of the Python dataclasses."""

from __future__ import annotations

from pathlib import Path

from nbops.lab.typescript import TARGET, render

REPOSITORY = Path(__file__).resolve().parents[2]


def test_schema_ts_is_what_would_be_written_now() -> None:
    assert (REPOSITORY / TARGET).read_text(encoding="utf-8") == render(), "run `python -m nbops.lab.typescript`"


def test_numbers_that_users_log_may_be_null_and_times_may_not() -> None:
    text = render()
    assert "metrics: Record<string, number | null>;" in text
    assert "  started: number;" in text
