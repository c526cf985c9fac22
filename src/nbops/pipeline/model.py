"""What a pipeline is, after its file was read and checked: plain frozen values that know where they were written.

Paths are absolute. An input is either a file or another stage's output; that, and nothing else, makes the graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nbops.notebook.document import Document
from nbops.notebook.parameters import Parameter


@dataclass(frozen=True, slots=True)
class FileInput:
    """A file or folder that no stage makes."""

    path: Path
    line: int = 0


@dataclass(frozen=True, slots=True)
class StageInput:
    """An output of another stage."""

    stage: str
    output: str
    line: int = 0


@dataclass(frozen=True, slots=True)
class Stage:
    """One notebook with what goes in and what comes out.

    Attributes
    ----------
    name, notebook, line
        Its name, its notebook's path, and the line of the pipeline file it is declared on.
    document, parameters
        The notebook as read when the pipeline was loaded, and what it declares.
    params
        Values for parameters, checked and of the parameters' types.
    inputs, outputs
        Parameter name to where it comes from, and to the path it goes to.
    metrics
        Names of variables that hold numbers when the notebook ends.
    """

    name: str
    notebook: Path
    line: int
    document: Document
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, FileInput | StageInput] = field(default_factory=dict)
    outputs: Mapping[str, Path] = field(default_factory=dict)
    metrics: tuple[str, ...] = ()

    @property
    def upstream(self) -> frozenset[str]:
        """Names of the stages whose outputs this one reads."""
        return frozenset(source.stage for source in self.inputs.values() if isinstance(source, StageInput))


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A pipeline's name, its file and its stages by name, in the order of the file."""

    name: str
    file: Path
    shown: str
    stages: Mapping[str, Stage]

    def where(self, line: int) -> str:
        """Return ``file:line`` for error messages."""
        return f"{self.shown}:{line}"
