"""A stage's cache key: one digest over everything that its result may depend on.

Code (normalised, chained cell by cell), the project's own modules that it imports, parameters with their types, the
contents of inputs, Python and the versions of the distributions imported, and which outputs and metrics are wanted.
Cosmetics aren't in it: comments, markdown, outputs, cell ids, where the notebook lies. Each part has a digest of its
own, so that it can be told *what* made a stage stale.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbops.notebook.document import Document
from nbops.notebook.modules import Imports, find_imports
from nbops.notebook.normalise import normalise
from nbops.notebook.parameters import INJECTED_TAG
from nbops.pipeline.model import FileInput, Stage

SCHEMA = 1
SKIPPED_TAG = "skip-execution"
PARTS = ("code", "modules", "params", "inputs", "environment", "outputs")


@dataclass(frozen=True, slots=True)
class Key:
    """A stage's cache key and what it is made of.

    Attributes
    ----------
    digest
        The key itself, SHA-256 in hex.
    parts
        Digest by part; ``inputs`` and ``modules`` also as ``inputs.<name>`` and ``modules.<name>``.
    cells
        The chain: after each cell, the digest of all code up to it.
    """

    digest: str
    parts: Mapping[str, str]
    cells: tuple[str, ...]

    @property
    def short(self) -> str:
        """The first eight hex digits, for file names and eyes."""
        return self.digest[:8]

    def differs_from(self, parts: Mapping[str, str]) -> list[str]:
        """Return in plain words which parts differ from another key's."""
        reasons = []
        words = {"code": "code", "environment": "environment", "params": "parameters", "outputs": "declared outputs"}
        for part in PARTS:
            if self.parts.get(part) == parts.get(part):
                continue
            if part in words:
                reasons.append(words[part])
                continue
            one, many = ("input", "inputs") if part == "inputs" else ("module", "modules")
            names = sorted(
                name.partition(".")[2]
                for name in {*self.parts, *parts}
                if name.startswith(f"{part}.") and self.parts.get(name) != parts.get(name)
            )
            reasons.append(f"{one if len(names) == 1 else many} {', '.join(names)}")
        return reasons


@dataclass(frozen=True, slots=True)
class Code:
    """What is executed in a stage: the chain of its cells and what they import."""

    cells: tuple[str, ...]
    imports: Imports
    modules: Mapping[str, str]


def read_code(document: Document, folder: Path, root: Path) -> Code:
    """Return the code that running a notebook executes."""
    sources = [cell.source for cell in document.code_cells if not cell.tags & {INJECTED_TAG, SKIPPED_TAG}]
    imports = find_imports(sources, folder=folder, root=root)
    modules = {
        name: _sha(normalise(path.read_text(encoding="utf-8", errors="replace")))
        for name, path in imports.local.items()
    }
    return Code(chain(sources), imports, modules)


def chain(sources: Iterable[str]) -> tuple[str, ...]:
    """Return after each cell the digest of all normalised code so far; cells without code are left out."""
    links: list[str] = []
    for source in sources:
        code = normalise(source)
        if code.strip():
            links.append(_sha((links[-1] if links else "") + "\0" + code))
    return tuple(links)


def stage_key(stage: Stage, code: Code, inputs: Mapping[str, str], environment: Mapping[str, str]) -> Key:
    """Return the key of a stage.

    Parameters
    ----------
    stage
        The stage, with its parameters as they will be injected.
    code
        What it executes.
    inputs
        Digest of the content of each input.
    environment
        Version by name of what the code's imports need.
    """
    suffixes = {
        name: source.path.suffix if isinstance(source, FileInput) and not source.made else ""
        for name, source in stage.inputs.items()
    }
    each_input = {name: _sha(f"{suffixes[name]}\0{digest}") for name, digest in inputs.items()}
    parts = {
        "code": code.cells[-1] if code.cells else _sha(""),
        "modules": digest_of(code.modules),
        "params": digest_of(dict(stage.params)),
        "inputs": digest_of(each_input),
        "environment": digest_of(
            {"python": platform.python_version(), "kernel": stage.document.kernel, "versions": dict(environment)}
        ),
        "outputs": digest_of(
            {"outputs": {name: path.name for name, path in stage.outputs.items()}, "metrics": sorted(stage.metrics)}
        ),
    }
    details = {f"inputs.{name}": digest for name, digest in each_input.items()}
    details |= {f"modules.{name}": digest for name, digest in code.modules.items()}
    whole = digest_of({"schema": SCHEMA, **{part: parts[part] for part in PARTS}})
    return Key(whole, parts | details, code.cells)


def canonical(value: object) -> Any:
    """Return a value as JSON in which the type is part of the value: 1, 1.0, True and "1" all differ.

    Raises
    ------
    TypeError
        If the value isn't made of plain types.
    """
    if value is None or isinstance(value, bool | str):
        return [type(value).__name__, value]
    if isinstance(value, int):
        return ["int", str(value)]
    if isinstance(value, float):
        return ["float", value.hex()]
    if isinstance(value, datetime.date):
        return [type(value).__name__, value.isoformat()]
    if isinstance(value, list | tuple):
        return ["list", [canonical(item) for item in value]]
    if isinstance(value, Mapping):
        pairs = [[canonical(key), canonical(item)] for key, item in value.items()]
        return ["dict", sorted(pairs, key=lambda pair: json.dumps(pair[0]))]
    raise TypeError(f"a {type(value).__name__} has no canonical form")


def digest_of(value: object) -> str:
    """Return the SHA-256 (hex) of a value's canonical form."""
    return _sha(json.dumps(canonical(value), ensure_ascii=True, separators=(",", ":")))


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
