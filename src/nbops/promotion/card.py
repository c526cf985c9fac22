"""The model card: what the model is for, how it was made, how good it is, and what was proven of it, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import metadata
from string import Template
from typing import Any

from nbops.promotion.proof import Proof
from nbops.promotion.service import template
from nbops.tracking.schema import VERSION_KINDS, DatasetVersion, Versions


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
    rows: list[tuple[str, ...]] = []
    for column in manifest["input"]["columns"]:
        seen = profile["columns"].get(column["name"], {})
        if seen.get("kind") == "numeric" and seen.get("edges"):
            text = f"{seen['edges'][0]:.6g} … {seen['edges'][-1]:.6g} (first to last bin's edge)"
        else:
            values = seen.get("values", [])
            text = ", ".join(map(str, values[:6])) + (f" … ({len(values)} values)" if len(values) > 6 else "")
        rows.append((column["name"], column["type"], "yes" if column["nullable"] else "no", text))
    return rows


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return "(none)"
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)
