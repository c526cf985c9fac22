"""What cells showed, put back: recorded outputs, kept by reference, as a notebook's outputs.

An output's content lies under ``.nbops/outputs/<digest>``. One that isn't there any more (collected, or another
clone) is left out; of one that showed too much, what was kept is shown.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from nbops.project import Project
from nbops.tracking.recording.records import Cell, Output

_BINARY = ("image/", "audio/", "video/", "application/pdf")
_TEXTUAL = ("image/svg+xml",)


def content_of(project: Project, output: Output) -> bytes | None:
    """Return what was kept of an output, None where nothing is left of it."""
    path = outputs_folder(project) / output.digest
    try:
        return path.read_bytes()
    except OSError:  # collected, or recorded in another clone
        return None


def outputs_folder(project: Project) -> Path:
    """Return where outputs are kept."""
    return project.state / "outputs"


def is_binary(mime: str) -> bool:
    """Whether a type's content is bytes, which notebooks hold as Base64."""
    return mime.startswith(_BINARY) and mime not in _TEXTUAL


def shown_outputs(project: Project, cell: Cell | None, count: int) -> list[dict[str, Any]]:
    """Return a cell's recorded outputs in the notebook's format."""
    end = cell.end if cell else None
    if end is None:
        return []
    found = [made for output in end.outputs if (made := _as_notebook(project, output, count))]
    if end.outcome == "error" and end.error and not any(made["output_type"] == "error" for made in found):
        found.append(_error(end.error, end.traceback))
    return found


def _as_notebook(project: Project, output: Output, count: int) -> dict[str, Any] | None:
    content = content_of(project, output)
    if content is None:
        return None
    if output.kind in ("stdout", "stderr"):
        return {"output_type": "stream", "name": output.kind, "text": content.decode("utf-8", "replace")}
    if output.kind == "error":
        name, _, rest = content.decode("utf-8", "replace").partition("\n")
        return _error(name, rest or None)
    shown = {"data": {output.mime: _decoded(output.mime, content)}, "metadata": {}}
    if output.kind == "result":
        return {"output_type": "execute_result", "execution_count": count, **shown}
    return {"output_type": "display_data", **shown}


def _decoded(mime: str, content: bytes) -> Any:
    if is_binary(mime):
        try:
            text = content.decode("ascii")
            base64.b64decode(text, validate=True)
            return text
        except ValueError:  # kept as the bytes that they are
            return base64.b64encode(content).decode()
    text = content.decode("utf-8", "replace")
    if mime == "application/json" or mime.endswith("+json"):
        try:
            return json.loads(text)
        except ValueError:  # cut off where it was too much
            return text
    return text


def _error(said: str, traceback: str | None) -> dict[str, Any]:
    name, _, value = said.partition(": ")
    lines = traceback.split("\n") if traceback else [said]
    return {"output_type": "error", "ename": name, "evalue": value, "traceback": lines}
