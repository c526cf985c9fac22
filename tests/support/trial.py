"""A scoring cell tried without kernel, store and environment: captured, written as a service, and asked in this process."""

from __future__ import annotations

import ast
import contextlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
from IPython.core.interactiveshell import InteractiveShell

from nbops.magics import _execute
from nbops.project import Project
from nbops.promotion import capture, service
from nbops.promotion.proof import distance, tolerance_of
from nbops.serving.manifest import Manifest, read
from nbops.serving.scorer import Scorer
from nbops.serving.signature import Signature
from nbops.tracking.recording.recorder import Recorder
from nbops.tracking.schema import Versions


@dataclass(frozen=True)
class Trial:
    """What became of a scoring cell."""

    folder: Path
    source: str
    recorded: dict[str, Any]
    examples: dict[str, Any]
    manifest: Manifest
    scorer: Scorer

    def ask(self, rows: list[list[Any]]) -> list[Any]:
        """Return the service's predictions, as JSON gives them, for rows in the order of the columns."""
        answer = self.scorer(Signature(self.manifest.input.columns).from_rows(self.examples["columns"], rows))
        named = [dict(zip(answer.columns, row, strict=True)) for row in zip(*answer.columns.values(), strict=True)]
        whole = named if self.manifest.output.columns else next(iter(answer.columns.values()))
        return list(msgspec.json.decode(msgspec.json.encode(whole)))

    def differences(self) -> list[str]:
        """Ask for the recorded examples together and one by one; return what isn't as the notebook predicted it."""
        rows, expected = self.examples["data"], self.examples["predictions"]
        together = self.ask(rows)
        alone = [self.ask([row])[0] for row in rows[:25]]
        pairs = [*zip(expected, together, strict=True), *zip(expected[:25], alone, strict=True)]
        return [
            f"{want!r} but {got!r}"
            for want, got in pairs
            if distance(want, got) > tolerance_of(self.recorded["output"])
        ]


def run_cells(shell: InteractiveShell, cells: tuple[str, ...]) -> None:
    """Execute cells as a notebook would."""
    for cell in cells:
        shell.run_cell(cell, store_history=True).raise_error()


def try_out(shell: InteractiveShell, folder: Path, cells: tuple[str, ...], *, given: str = "X", to: str = "y") -> Trial:
    """Execute cells, the last one as the scoring cell, and return what became of it; files of `folder` can be imported."""
    (folder / "nbops.toml").touch()
    *earlier, scoring = cells
    with contextlib.chdir(folder):
        sys.path.insert(0, str(folder))
        hidden = {name: sys.modules.pop(name) for name in list(sys.modules) if _is_shadowed(name, folder)}
        before_modules = set(sys.modules)
        try:
            run_cells(shell, tuple(earlier))
            before = capture.input_frame(shell.user_ns, given)
            shell.history_manager.store_inputs(len(cells), f"%%nbops score --input {given} --output {to}\n{scoring}")
            _execute(shell, scoring)
            recorded = capture.write(
                folder / "capture", Recorder(shell, Project.find(folder)), scoring, given, to, before
            )
        finally:
            sys.path.remove(str(folder))
            for name in set(sys.modules) - before_modules:  # what the service imports must come from its own package
                if str(getattr(sys.modules[name], "__file__", "") or "").startswith(str(folder)):
                    del sys.modules[name]
            sys.modules.update(hidden)
    package = f"service_{uuid4().hex}"
    service.write_service(
        folder / package,
        folder / "capture",
        package=package,
        model="m",
        version="1",
        versions=Versions(),
        run_id="0" * 32,
    )
    manifest = read(folder / package / "service.json")
    source = (folder / "capture" / "scoring.py").read_text()
    ast.parse(source)
    examples = json.loads((folder / "capture" / "examples.json").read_text())
    return Trial(folder, source, recorded, examples, manifest, Scorer.load(folder / package, manifest))


def _is_shadowed(module: str, folder: Path) -> bool:
    """Whether a module that is imported already, such as a folder of tests, has the name of one of the notebook's."""
    top = module.partition(".")[0]
    return (folder / f"{top}.py").is_file() or (folder / top).is_dir()
