"""The model card: what the model is for, how it was made, how good it is, and what was proven of it, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from importlib import metadata
from string import Template
from typing import Any

from nbops.promotion.proof import Proof
from nbops.promotion.service import template
from nbops.tracking.schema import VERSION_KINDS, DatasetVersion, Versions

_SHOWN_VALUES = 5


def write_card(
    manifest: Mapping[str, Any],
    *,
    notebook: str | None,
    versions: Versions,
    datasets: Sequence[DatasetVersion],
    metrics: Mapping[str, float],
    gates: Sequence[Mapping[str, Any]],
    profile: Mapping[str, Any],
    proof: Proof,
) -> str:
    """Return the card of a packaged model."""
    output = manifest["output"]
    types = output.get("type") or ", ".join(f"{column['name']}: {column['type']}" for column in output["columns"])
    return Template(template("MODEL_CARD.md")).substitute(
        model=manifest["name"],
        version=manifest["version"],
        output=output["name"],
        output_type=types,
        input=manifest["input"]["name"],
        notebook=notebook or "a notebook",
        run=manifest["run"],
        nbops=metadata.version("nbops"),
        metrics=_table(("metric", "value"), [(name, f"{value:.6g}") for name, value in sorted(metrics.items())]),
        gates=_table(("gate", "outcome", "evidence"), [(g["gate"], g["outcome"], g["evidence"]) for g in gates]),
        columns=_table(("column", "type", "may be missing", "seen in training"), _columns(manifest, profile)),
        versions=_table(("kind", "digest"), [(kind, getattr(versions, kind) or "-") for kind in VERSION_KINDS]),
        datasets=_table(
            ("source", "rows", "fingerprint"),
            [(data.source, "" if data.rows is None else f"{data.rows:,}", data.digest) for data in datasets],
        ),
        proof=_table(
            ("asked", "rows", "equal to the bit", "largest difference"),
            [(check.name, str(check.rows), str(check.equal_bits), f"{check.worst:.3g}") for check in proof.checks],
        ),
    )


def _columns(manifest: Mapping[str, Any], profile: Mapping[str, Any]) -> list[tuple[str, ...]]:
    return [
        (
            column["name"],
            column["type"],
            "yes" if column["nullable"] else "no",
            seen_in_training(column["type"], profile["columns"].get(column["name"], {})),
        )
        for column in manifest["input"]["columns"]
    ]


def seen_in_training(kind: str, seen: Mapping[str, Any]) -> str:
    """Return what a column held: the range of its middle, or its most frequent values; and how much was missing."""
    if seen.get("edges"):
        low, high = (
            _moment(edge) if kind == "datetime" else f"{edge:.6g}" for edge in (seen["edges"][0], seen["edges"][-1])
        )
        text = low if low == high else f"{low} … {high}"
    else:
        pairs = list(zip(seen.get("values", []), seen.get("shares", []), strict=True))
        text = ", ".join(f"{value} ({share:.0%})" for value, share in pairs[:_SHOWN_VALUES])
        text += ", …" if len(pairs) > _SHOWN_VALUES else ""
    return f"{text}; {seen['missing']:.1%} missing" if seen.get("missing") else text


def _moment(seconds: float) -> str:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    return moment.strftime("%Y-%m-%d" if seconds % 86_400 == 0 else "%Y-%m-%d %H:%M")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return "(none)"
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)
