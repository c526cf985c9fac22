"""``service.json``: what a service is, what it takes and what it gives, read once at start.

The bundle writer writes it and the runtime reads it; both know it by these structs. ``format`` guards the reading:
an older number still reads, a newer one is refused with the way out. Files listed under ``objects`` are checked
by size and SHA-256 before anything is imported, since loading a fitted object may run code.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

import msgspec

from .refusal import StartError

FORMAT = 1

ColumnType = Literal["boolean", "integer", "long", "float", "double", "string", "datetime"]


class Column(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One column that the scoring function takes; ``tz="UTC"`` marks a datetime with an offset."""

    name: str
    type: ColumnType
    required: bool = True
    nullable: bool = False
    tz: Literal["UTC"] | None = None


class OutputColumn(msgspec.Struct, frozen=True, kw_only=True):
    """One column of predictions."""

    name: str
    type: ColumnType


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """The frame that the scoring function takes: its name in the notebook and its columns in order."""

    name: str
    columns: tuple[Column, ...]


class Output(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the scoring function gives: one prediction a row of ``type``, or a frame of ``columns``."""

    name: str
    type: ColumnType | None = None
    columns: tuple[OutputColumn, ...] = ()

    @property
    def single(self) -> bool:
        """Whether a row's prediction is one value rather than a record."""
        return not self.columns

    @property
    def fields(self) -> tuple[OutputColumn, ...]:
        """The columns of predictions, one of them when the prediction is a single value."""
        return self.columns or (OutputColumn(name=self.name, type=self.type or "double"),)


class StoredObject(msgspec.Struct, frozen=True, kw_only=True):
    """A file of the package that the scoring code loads, with what it must be."""

    path: str
    sha256: str


class Versions(msgspec.Struct, frozen=True, kw_only=True):
    """The short digests of the snapshot that the model came from."""

    code: str | None = None
    data: str | None = None
    model: str | None = None
    environment: str | None = None
    experiment: str | None = None


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """All of ``service.json``."""

    format: int
    name: str
    version: str
    package: str
    entry: str
    input: Input
    output: Output
    versions: Versions = Versions()
    objects: tuple[StoredObject, ...] = ()


class _Numbered(msgspec.Struct):
    format: int


def read(path: Path) -> Manifest:
    """Return the manifest at `path`.

    Raises
    ------
    StartError
        If the file is missing, malformed, contradicts itself, or is of a newer format.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise StartError(f"{path}: can't be read ({error.strerror}); is this a bundle's package folder?") from error
    try:
        number = msgspec.json.decode(text, type=_Numbered).format
        if number > FORMAT:
            raise StartError(f"{path}: format {number}, but this runtime reads up to {FORMAT}; use a newer nbops")
        manifest = msgspec.json.decode(text, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StartError(f"{path}: {error}") from error
    problem = _contradiction(manifest)
    if problem:
        raise StartError(f"{path}: {problem}")
    return manifest


def check_objects(folder: Path, manifest: Manifest) -> None:
    """Check that every stored object of `manifest` lies under `folder` and is the one that was packaged.

    Raises
    ------
    StartError
        If one is missing, lies outside, or has other bytes.
    """
    root = folder.resolve()
    for stored in manifest.objects:
        path = (root / stored.path).resolve()
        if not path.is_relative_to(root):
            raise StartError(f"{stored.path}: lies outside the package")
        if not path.is_file():
            raise StartError(f"{path}: missing; the bundle is incomplete, package it again")
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != stored.sha256.lower():
            raise StartError(f"{path}: not the file that was packaged (SHA-256 differs)")


def _contradiction(manifest: Manifest) -> str:
    names = [column.name for column in manifest.input.columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        return f"input column '{twice[0]}' is declared twice"
    if not names:
        return "the input has no columns"
    for column in manifest.input.columns:
        if not column.required and not column.nullable:
            return f"input column '{column.name}' may be left out, so it must be nullable"
        if column.tz and column.type != "datetime":
            return f"input column '{column.name}' has a time zone but is no datetime"
    module, _, function = manifest.entry.partition(":")
    if not module or not function.isidentifier():
        return f"entry {manifest.entry!r} is not of the form module:function"
    return ""
