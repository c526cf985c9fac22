"""What ``%%nbops score`` records while the notebook still has everything in memory.

The scoring function is sliced out at once, and written to the run's artifacts under ``nbops/scoring/``: the generated
module, the project's own modules, the stored objects, the signature, recorded examples and the reference profile for
drift. Promotion and packaging need nothing else of the notebook.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from nbops.data.profile import profile
from nbops.errors import SliceError, nearest
from nbops.notebook.modules import find_imports
from nbops.notebook.names import names_of
from nbops.promotion import examples
from nbops.promotion.module import relative_imports, scoring_statements, write_module
from nbops.promotion.needs import Needs, find_needs
from nbops.snapshot.environment import distributions_for, is_site_package
from nbops.tracking.recorder import Recorder

if TYPE_CHECKING:
    import pandas as pd

FORMAT = 1
FOLDER = "nbops/scoring"


def input_frame(namespace: Mapping[str, Any], name: str) -> pd.DataFrame:
    """Return the frame that the scoring cell is about to score, as it is now.

    Raises
    ------
    SliceError
        If there is no such variable, or it isn't a DataFrame with rows.
    """
    import pandas as pd

    frame = namespace.get(name)
    if frame is None:
        frames = [key for key, value in namespace.items() if isinstance(value, pd.DataFrame) and key[0] != "_"]
        raise SliceError(f"--input {name}: no such variable", remedy=nearest(name, frames))
    if not isinstance(frame, pd.DataFrame) or frame.empty:
        raise SliceError(
            f"--input {name}: a {type(frame).__name__}, but scoring starts from a DataFrame with rows",
            remedy=f"pd.DataFrame({name})",
        )
    return frame.copy(deep=int(pd.__version__.partition(".")[0]) < 3)


def record(recorder: Recorder, cell: str, input_name: str, output_name: str, frame: pd.DataFrame) -> str:
    """Slice the scoring function out of the notebook, log it to the run, and return the run's id.

    Parameters
    ----------
    recorder
        The kernel's recorder.
    cell
        Source of the scoring cell.
    input_name, output_name
        Its ``--input`` and ``--output``.
    frame
        The input as it was before the cell ran (see `input_frame`).

    Raises
    ------
    SliceError
        If the cell can't become a function of one row after another.
    """
    namespace = recorder.shell.user_ns
    where = f"{recorder.notebook or 'notebook'}, scoring cell"
    body = scoring_statements(cell, output_name, where=where)
    needs = find_needs(
        _names_needed(body) - {input_name}, namespace, [str(source) for source in namespace.get("In", [])], where=where
    )
    rows = examples.choose_rows(frame)
    output, predictions = examples.predictions_of(namespace[output_name], len(frame), name=output_name, where=where)
    local, external = _modules(recorder, needs)
    content = {
        "format": FORMAT,
        "notebook": recorder.notebook,
        "cell": recorder.cell_id,
        "input": {"name": input_name, "columns": examples.input_columns(frame, where=where)},
        "output": output,
        "python": ".".join(map(str, sys.version_info[:3])),
        "distributions": distributions_for(["pandas", *external]),
        "local_modules": sorted(local),
    }
    recorded = {
        "columns": [str(name) for name in frame.columns],
        "data": examples.to_wire(frame.iloc[rows]),
        "predictions": [predictions[row] for row in rows],
    }
    source = write_module(
        body,
        needs,
        input_name=input_name,
        output_name=output_name,
        origin=f"{recorder.notebook or 'a notebook'}, cell {recorder.cell_id or recorder.seq}",
        local=local,
    )
    run_id = _run(recorder)
    with TemporaryDirectory(prefix="nbops-") as name:
        folder = Path(name)
        (folder / "scoring.py").write_text(source, encoding="utf-8")
        _write_modules(folder / "modules", local)
        content["objects"] = _write_objects(folder / "objects", needs)
        for file, value in (("capture", content), ("examples", recorded), ("profile", profile(frame))):
            (folder / f"{file}.json").write_text(json.dumps(value, indent=1), encoding="utf-8")
        recorder.autologging.store.log_folder(run_id, folder, FOLDER)
    return run_id


def _names_needed(body: list[Any]) -> set[str]:
    return set(names_of(statement.node for statement in body).used)


def _modules(recorder: Recorder, needs: Needs) -> tuple[dict[str, Path], set[str]]:
    """Return the project's own modules, by dotted name, and the names of all others."""
    folder = (recorder.project.root / recorder.notebook).parent if recorder.notebook else Path.cwd()
    sources = [*needs.imports, *(source for _, source in needs.definitions)]
    sources += [f"import {module}" for module in needs.modules]
    found = find_imports(sources, folder=folder, root=recorder.project.root)
    local = {name: path for name, path in found.local.items() if not is_site_package(path)}
    return local, set(found.external) | {name for name in found.local if name not in local}


def _write_modules(folder: Path, local: Mapping[str, Path]) -> None:
    for name, path in local.items():
        is_package = path.name == "__init__.py"
        relative = Path(*name.split(".")) / "__init__.py" if is_package else Path(*name.split(".")).with_suffix(".py")
        package = name if is_package else name.rpartition(".")[0]
        target = folder / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(relative_imports(path.read_text(encoding="utf-8"), local, package), encoding="utf-8")


def _write_objects(folder: Path, needs: Needs) -> dict[str, dict[str, str]]:
    folder.mkdir()
    for name, stored in needs.objects.items():
        (folder / f"{name}.pkl").write_bytes(stored.content)
    return {
        name: {"path": f"objects/{name}.pkl", "sha256": hashlib.sha256(stored.content).hexdigest()}
        for name, stored in needs.objects.items()
    }


def _run(recorder: Recorder) -> str:
    """Return the run that the scoring function belongs to: the stage's, else the session's latest, else a new one."""
    if recorder.stage_run:
        return recorder.stage_run
    store = recorder.autologging.store
    latest = store.runs(limit=1, where=f"tags.`nbops.session` = '{recorder.session}'")
    if latest:
        return latest[0].run_id
    run_id = store.start_run("score", tags=recorder.run_tags())
    store.end_run(run_id)
    return run_id
