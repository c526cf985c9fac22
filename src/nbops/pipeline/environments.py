"""In which environment a stage's notebook runs, when it isn't the one that the notebook itself asks for."""

from __future__ import annotations

from dataclasses import replace

from nbops.errors import nearest
from nbops.notebook.document import Document
from nbops.pipeline.yamltree import Place

ENVIRONMENT_KEYS = {"kernel"}
EXAMPLE = "environment: {kernel: python3}"


def in_environment(place: Place, document: Document) -> Document:
    """Return a notebook as if it asked for another kernel, whose name is in its key like the notebook's own.

    Raises
    ------
    SpecError
        If there is no such kernel here.
    """
    from jupyter_client.kernelspec import find_kernel_specs

    entries = place.known_entries(ENVIRONMENT_KEYS)
    if "kernel" not in entries:
        raise place.error(f"{place.what} names no kernel", EXAMPLE)
    kernel = entries["kernel"].text()
    known = find_kernel_specs()
    if kernel not in known:
        raise entries["kernel"].error(f"no kernel '{kernel}' here", nearest(kernel, known))
    metadata = document.content["metadata"]
    specification = {"display_name": kernel, "language": "python", "name": kernel}
    return replace(document, content={**document.content, "metadata": {**metadata, "kernelspec": specification}})
