"""Secrets in an executed notebook: masked in the code and outputs of its cells.

The process that keeps such a notebook isn't the kernel that ran it: it knows the environment's secrets, which both have,
and those that stand in the cells' code.
"""

from __future__ import annotations

from typing import Any

from nbops.notebook.document import Document
from nbops.tracking.redaction import masks
from nbops.tracking.redaction.redact import redact_source, redact_text


def redact_notebook(notebook: Document) -> Document:
    """Return a notebook with secrets masked."""
    with masks.noting() as told:
        for code in notebook.code_cells:
            redact_source(code.source)
    told += masks.of_environment()

    def masked(value: Any) -> Any:
        match value:
            case str():
                return redact_text(masks.mask_these(value, told))
            case list():
                return [masked(item) for item in value]
            case dict():
                return {key: item if key.startswith("image/p") else masked(item) for key, item in value.items()}
        return value

    cells: list[dict[str, Any]] = []
    for cell in notebook.cells:
        if cell["cell_type"] != "code":
            cells.append(cell)
            continue
        source = redact_source(masks.mask_these(cell["source"], told))
        outputs = [
            {
                key: item if key in ("metadata", "output_type", "execution_count") else masked(item)
                for key, item in output.items()
            }
            for output in cell.get("outputs", [])
        ]
        cells.append({**cell, "source": source, "outputs": outputs})
    return Document({**notebook.content, "cells": cells})
