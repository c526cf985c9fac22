"""What a stage's key is made of, spelled out: so that it can be told *what* changed, not only that something did.

A key holds digests, which can't be read backwards. Beside each cache entry lie its facts: the code of each cell and of
each local module, parameters, inputs and versions. Two are compared by their digests; what is shown of code and values
has its secrets masked before it is written.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nbops.notebook.modules import find_imports
from nbops.notebook.normalise import normalise
from nbops.notebook.parameters import INJECTED_TAG
from nbops.pipeline import keys
from nbops.pipeline.hashing import Content
from nbops.pipeline.model import FileInput, Stage, StageInput

FORMAT = 1
_MOST_FILES = 2000  # of a folder: with more, it is only told that the folder changed


@dataclass(frozen=True, slots=True)
class CellFact:
    """A cell that is executed: its id, which of the code cells it is (from 1), its digest, and its code."""

    id: str
    number: int
    digest: str
    source: str


@dataclass(frozen=True, slots=True)
class ModuleFact:
    """A local module: its path from the root, its digest, and its code."""

    path: str
    digest: str
    source: str


@dataclass(frozen=True, slots=True)
class ParamFact:
    """A parameter's value: its digest with its type, and how it is shown."""

    digest: str
    shown: str


@dataclass(frozen=True, slots=True)
class InputFact:
    """An input: its path, who makes it (empty: nobody), digest, bytes, when it was modified, and a folder's files."""

    path: str
    maker: str
    sha256: str
    size: int
    modified: float
    files: tuple[tuple[str, str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that a stage's key is made of.

    Attributes
    ----------
    schema
        The number of the way in which keys are made.
    cells, modules, params, inputs
        Code, local modules by name, given parameters, and inputs by name.
    versions, python, kernel
        Of the distributions that its code imports, of Python, and the kernel's name.
    outputs, metrics
        File name by output, and the metrics' names.
    """

    schema: int
    cells: tuple[CellFact, ...]
    modules: Mapping[str, ModuleFact]
    params: Mapping[str, ParamFact]
    inputs: Mapping[str, InputFact]
    versions: Mapping[str, str]
    python: str
    kernel: str
    outputs: Mapping[str, str]
    metrics: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the facts as plain values for JSON."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Facts | None:
        """Return the facts that `as_dict` gave, or None when they aren't whole or of another format."""
        try:
            if raw["format"] != FORMAT:
                return None
            inputs = {
                name: InputFact(**{**one, "files": tuple((f, s, int(n)) for f, s, n in one["files"])})
                for name, one in raw["inputs"].items()
            }
            return cls(
                schema=int(raw["schema"]),
                cells=tuple(CellFact(**one) for one in raw["cells"]),
                modules={name: ModuleFact(**one) for name, one in raw["modules"].items()},
                params={name: ParamFact(**one) for name, one in raw["params"].items()},
                inputs=inputs,
                versions=dict(raw["versions"]),
                python=str(raw["python"]),
                kernel=str(raw["kernel"]),
                outputs=dict(raw["outputs"]),
                metrics=tuple(raw["metrics"]),
            )
        except (LookupError, TypeError, ValueError, AttributeError):
            return None


def gather(
    stage: Stage, *, root: Path, contents: Mapping[str, Content], paths: Mapping[str, Path], versions: Mapping[str, str]
) -> Facts:
    """Return a stage's facts.

    Parameters
    ----------
    stage
        The stage, with its parameters as they will be injected.
    root
        The project's root, which paths are told from.
    contents
        What its inputs hold, as far as that is known.
    paths
        Where its inputs lie.
    versions
        Version by distribution of what its code imports.
    """
    from nbops.tracking.redaction.redact import redact_source, redact_value

    cells = executed_cells(stage)
    imports = find_imports([cell.source for cell in cells], folder=stage.notebook.parent, root=root)
    modules = {}
    for name, path in imports.local.items():
        source = path.read_text(encoding="utf-8", errors="replace")
        modules[name] = ModuleFact(_relative(path, root), _sha(normalise(source)), redact_source(source))
    return Facts(
        schema=keys.SCHEMA,
        cells=tuple(CellFact(one.id, one.number, one.digest, redact_source(one.source)) for one in cells),
        modules=modules,
        params={
            name: ParamFact(keys.digest_of(value), repr(redact_value(name, value)))
            for name, value in stage.params.items()
        },
        inputs={name: _input(stage, name, content, paths[name], root) for name, content in contents.items()},
        versions=dict(versions),
        python=platform.python_version(),
        kernel=stage.document.kernel,
        outputs={name: path.name for name, path in stage.outputs.items()},
        metrics=tuple(sorted(stage.metrics)),
    )


def executed_cells(stage: Stage) -> list[CellFact]:
    """Return the cells of a stage's notebook that are executed and hold code, as they are written."""
    found = []
    for number, cell in enumerate(stage.document.code_cells, 1):
        if cell.tags & {INJECTED_TAG, keys.SKIPPED_TAG}:
            continue
        code = normalise(cell.source)
        if code.strip():
            found.append(CellFact(cell.id, number, _sha(code), cell.source))
    return found


def _input(stage: Stage, name: str, content: Content, path: Path, root: Path) -> InputFact:
    source = stage.inputs[name]
    return InputFact(
        path=_relative(path, root),
        maker=f"{source.stage}.{source.output}" if isinstance(source, StageInput) else "",
        sha256=content.sha256,
        size=content.size,
        # what another stage makes is known by its content: when it was written says nothing
        modified=path.stat().st_mtime if isinstance(source, FileInput) and path.exists() else 0.0,
        files=content.files if len(content.files) <= _MOST_FILES else (),
    )


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
