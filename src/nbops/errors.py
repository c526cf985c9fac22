"""Every error that nbops raises on purpose.

NbopsError
├── ProjectError          nbops.toml, paths, the project's lay-out
│   └── PathRefused       a path that JupyterLab's server must not serve
├── NotebookError         a notebook can't be read, or its code can't be analysed
├── TrackingError         the tracking store, or a run that isn't there
├── PipelineError
│   ├── SpecError         pipeline.yaml: file, line and the nearest name
│   ├── StageFailed       a cell raised, a kernel died, an output is missing
│   └── PipelineBusy      another run holds the project
├── PromotionError
│   ├── GateFailed        a gate said no
│   ├── SliceError        the scoring cell can't be turned into a module
│   └── ProofFailed       the bundle doesn't predict what the notebook predicted
├── ServeError            a bundle can't be started, or a service doesn't answer
└── MissingExtra          an optional dependency isn't installed

Each says what happened (`message`), where (`where`: a file, stage, cell or field) and what to do (`remedy`).
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class NbopsError(Exception):
    """A mistake that the user can mend.

    Parameters
    ----------
    message
        What is wrong, in one sentence.
    where
        The place: ``file:line``, a stage, a cell or a field.
    remedy
        What to do about it.
    """

    exit_code = 1
    http_status = 400

    def __init__(self, message: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        head = f"{self.where}: {self.message}" if self.where else self.message
        return f"{head}\n  → {self.remedy}" if self.remedy else head


class ProjectError(NbopsError):
    """nbops.toml or the project's lay-out is wrong."""


class NotebookError(NbopsError):
    """A notebook can't be read or analysed."""


class TrackingError(NbopsError):
    """The tracking store can't be used, or holds no such run."""

    http_status = 404


class PipelineError(NbopsError):
    """A pipeline can't run, or didn't run through."""


class SpecError(PipelineError):
    """pipeline.yaml says something that can't be meant."""

    exit_code = 2


class StageFailed(PipelineError):
    """A stage did not produce what it declared."""


class PipelineBusy(PipelineError):
    """Another pipeline run holds this project."""

    exit_code = 75  # EX_TEMPFAIL in sysexits.h
    http_status = 409


class PromotionError(NbopsError):
    """A model can't be promoted or packaged."""


class GateFailed(PromotionError):
    """A gate refused the promotion."""


class SliceError(PromotionError):
    """The scoring cell can't be turned into a module."""


class ProofFailed(PromotionError):
    """The bundle doesn't predict what the notebook predicted."""


class ServeError(NbopsError):
    """A bundle can't be started, or its service doesn't answer."""


class MissingExtra(NbopsError):
    """An optional dependency isn't installed."""

    def __init__(self, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs an optional dependency", remedy=f'pip install "nbops[{extra}]"')


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``did you mean 'x'?`` for the known name closest to `name`, else the list of known names."""
    known = sorted(known)
    matches = get_close_matches(name, known, n=1, cutoff=0.6)
    if matches:
        return f"did you mean '{matches[0]}'?"
    return "known: " + ", ".join(known) if known else "there are none"
