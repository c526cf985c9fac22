"""The JSON schema of ``pipeline.yaml``, by which editors complete and check it while it is written.

It lies in the package, and a project gets a copy in ``.nbops/`` when it is laid out and whenever it runs, so that the
first line of its pipeline can name it by a relative path. The reader says more, and says it better: a schema knows
nothing of notebooks.
"""

from __future__ import annotations

import importlib.resources

from nbops.notebook.document import write_atomically
from nbops.project import Project

FILE = "pipeline.schema.json"


def schema_text() -> str:
    """Return the schema as JSON."""
    return importlib.resources.files("nbops.pipeline").joinpath(FILE).read_text(encoding="utf-8")


def publish(project: Project) -> None:
    """Have a project's copy of the schema be this version's."""
    copy, data = project.state / FILE, schema_text().encode()
    if not copy.is_file() or copy.read_bytes() != data:
        copy.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(copy, data)
