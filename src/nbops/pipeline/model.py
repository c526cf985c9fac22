"""What a pipeline is, after its file was read and checked: plain frozen values that know where they were written.

Paths are absolute. An input is either a file or another stage's output; that, and nothing else, makes the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from nbops.notebook.document import Document
from nbops.notebook.parameters import Parameter
from nbops.pipeline.conditions import Condition


@dataclass(frozen=True, slots=True)
class FileInput:
    """A file or folder; `made` when a stage makes it, which isn't looked at when another is run by itself."""

    path: Path
    line: int = 0
    made: bool = False


@dataclass(frozen=True, slots=True)
class StageInput:
    """An output of another stage."""

    stage: str
    output: str
    line: int = 0


@dataclass(frozen=True, slots=True)
class Retries:
    """How often a stage that failed is tried again, and how many seconds lie between: `factor` times as many each."""

    times: int = 0
    delay: float = 1.0
    factor: float = 2.0

    def pause(self, attempt: int) -> float:
        """Return how many seconds to wait after the attempt of this number, from 1."""
        return float(self.delay * self.factor ** (attempt - 1))


@dataclass(frozen=True, slots=True)
class Resources:
    """What a stage takes of a machine.

    Attributes
    ----------
    cpu
        Cores; None when the stage doesn't say, which counts as one.
    memory
        Bytes that it may use; None for no limit.
    gpu
        Devices that it has for itself.
    tags
        What the machine must be, in words of one's own.
    """

    cpu: int | None = None
    memory: int | None = None
    gpu: int = 0
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """How a stage is run: nothing here changes what it computes, so nothing here is in its key.

    Attributes
    ----------
    cache
        Whether what it made may be used again.
    timeout
        Seconds that it may take; None for as long as it wants.
    retries, resources
        What is done when it fails, and what it takes of the machine.
    priority
        Of stages that are ready, the highest goes first.
    on_failure
        Whether stages that don't need it go on when it fails.
    places
        Where each key was written, as ``file:line:column``, for errors that come later.
    """

    cache: bool = True
    timeout: float | None = None
    retries: Retries = Retries()
    resources: Resources = Resources()
    priority: int = 0
    on_failure: Literal["stop", "continue"] = "continue"
    places: Mapping[str, str] = field(default_factory=dict, compare=False)


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
    policy
        How it is run.
    condition
        When it is run; always when None.
    base
        The stage of which this is an instance, when that is fanned out.
    fans
        For a parameter that gets what all instances of a stage made: the names of the inputs, in order.
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
    policy: Policy = field(default_factory=Policy)
    condition: Condition | None = None
    base: str = ""
    fans: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def upstream(self) -> frozenset[str]:
        """Names of the stages whose outputs this one reads, or whose metrics its condition does."""
        makers = {source.stage for source in self.inputs.values() if isinstance(source, StageInput)}
        return frozenset(makers | self.condition.stages) if self.condition else frozenset(makers)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A pipeline's name, its file and its stages by name, in the order of the file.

    Attributes
    ----------
    params
        Values that its stages share by ``${params.NAME}``.
    reread
        Reads it again with other values: by stage, and by name; those of the pipeline itself under ``""``.
    """

    name: str
    file: Path
    shown: str
    stages: Mapping[str, Stage]
    params: Mapping[str, Any] = field(default_factory=dict)
    reread: Callable[[Mapping[str, Mapping[str, object]]], Pipeline] | None = field(
        default=None, compare=False, repr=False
    )

    def instances(self, name: str) -> list[str]:
        """Return the stages that a name means: itself, or what it is fanned out to; none when there is no such."""
        return [name] if name in self.stages else [one.name for one in self.stages.values() if one.base == name]

    @property
    def names(self) -> list[str]:
        """Every name that means a stage or several, in order."""
        return list(dict.fromkeys(name for one in self.stages.values() for name in (one.base or one.name, one.name)))

    def where(self, line: int) -> str:
        """Return ``file:line`` for error messages."""
        return f"{self.shown}:{line}"
