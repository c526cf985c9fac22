"""What ``%%nbops score`` records while the notebook still has everything in memory.

The scoring function is sliced out at once, and written to the run's artifacts under ``nbops/scoring/``: the generated
module, the project's own modules, the stored objects, the signature, recorded examples and the reference profile for
drift. Promotion and packaging need nothing else of the notebook.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from nbops.data.profile import profile
from nbops.errors import SliceError, nearest
from nbops.notebook.dataflow import Statement
from nbops.notebook.modules import find_imports
from nbops.promotion import examples
from nbops.promotion.body import names_bound, names_taken, scoring_statements
from nbops.promotion.module import PROJECT, entry_name, relative_imports, write_module
from nbops.promotion.needs import Needs, find_needs
from nbops.snapshot.environment import distributions_for, is_site_package
from nbops.tracking.recording.recorder import Recorder

if TYPE_CHECKING:
    import pandas as pd

FORMAT = 1
FOLDER = "nbops/scoring"
_RECORD = "capture.json"


@dataclass(frozen=True, slots=True)
class Before:
    """The notebook as it was before the scoring cell ran: the input, and what every name stood for."""

    frame: pd.DataFrame
    names: Mapping[str, Any]


def input_frame(namespace: Mapping[str, Any], name: str) -> Before:
    """Return the notebook as it is before the scoring cell runs.

    Raises
    ------
    SliceError
        If there is no variable `name`, or it isn't a DataFrame with rows.
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
    return Before(frame.copy(deep=int(pd.__version__.partition(".")[0]) < 3), dict(namespace))


def record(recorder: Recorder, cell: str, input_name: str, output_name: str, before: Before) -> str:
    """Slice the scoring function out of the notebook, log it to the run, and return the run's id.

    Parameters
    ----------
    recorder
        The kernel's recorder.
    cell
        Source of the scoring cell.
    input_name, output_name
        Its ``--input`` and ``--output``.
    before
        The notebook as it was before the cell ran (see `input_frame`).

    Raises
    ------
    SliceError
        If the cell can't become a function of one row after another.
    """
    with TemporaryDirectory(prefix="nbops-") as name:
        folder = Path(name) / "scoring"
        write(folder, recorder, cell, input_name, output_name, before)
        store = recorder.autologging.store
        run_id = _run(recorder)
        last = (folder / _RECORD).rename(Path(name) / _RECORD)  # what says that the rest is there
        store.log_folder(run_id, folder, FOLDER)
        store.log_file(run_id, last, FOLDER)
    if not recorder.stage_run:  # by hand, somebody has to be told which run to promote
        sys.stdout.write(f"nbops: '{output_name}' can be served: nbops promote {run_id[:8]}\n")
    return run_id


def write(
    folder: Path, recorder: Recorder, cell: str, input_name: str, output_name: str, before: Before
) -> dict[str, Any]:
    """Write what `record` logs to a new folder, and return the content of its ``capture.json``."""
    after: dict[str, Any] = recorder.shell.user_ns
    where = f"{recorder.notebook or 'notebook'}, scoring cell"
    body = scoring_statements(cell, output_name, where=where)
    needs = _needs(recorder, body, before.names, input_name, where)
    frame = before.frame
    columns = examples.input_columns(frame, where=where)
    output, predictions = examples.predictions_of(after[output_name], len(frame), name=output_name, where=where)
    rows = examples.choose_rows(frame)
    if not rows:
        raise SliceError("every row of the input holds an infinity, which no request can", where=where)
    local, external = _modules(recorder, needs, body)
    content = {
        "format": FORMAT,
        "notebook": recorder.notebook,
        "cell": recorder.cell_id,
        "entry": entry_name(body, needs, input_name),
        "input": {"name": input_name, "columns": columns},
        "output": output,
        "python": ".".join(map(str, sys.version_info[:3])),
        "distributions": distributions_for(["pandas", *external]),
        "local_modules": sorted(local),
    }
    recorded = {
        "columns": list(frame.columns),
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
        dtypes=examples.dtypes_to_restore(frame, columns),
        where=where,
    )
    folder.mkdir(parents=True)
    (folder / "scoring.py").write_text(source, encoding="utf-8")
    content["modules"] = _write_modules(folder, local)
    content["objects"] = _write_objects(folder / "objects", needs)
    for name, value in (("examples", recorded), ("profile", profile(frame)), ("capture", content)):
        (folder / f"{name}.json").write_text(json.dumps(value, indent=1), encoding="utf-8")
    return content


def _needs(
    recorder: Recorder, body: Sequence[Statement], before: Mapping[str, Any], input_name: str, where: str
) -> Needs:
    """Search what the body takes; a name that it binds anew counts as it was before the cell ran."""
    taken, bound = names_taken(body), names_bound(body)
    if input_name not in taken:
        raise SliceError(
            f"the scoring cell doesn't read its input '{input_name}'",
            where=where,
            remedy=f"the cell must make the predictions from '{input_name}': all steps from the raw rows on go in it",
        )
    own = {name for name in bound if name not in before}
    namespace = {**recorder.shell.user_ns, **{name: before[name] for name in bound & taken - own}}
    return find_needs(taken - own - {input_name}, namespace, _history(recorder), where=where, input_name=input_name)


def _history(recorder: Recorder) -> list[str]:
    """Return the executed cells as they were written: with the magics that others run code by."""
    return [str(source) for source in recorder.shell.history_manager.input_hist_raw]


def _modules(recorder: Recorder, needs: Needs, body: Sequence[Statement]) -> tuple[dict[str, Path], set[str]]:
    """Return the project's own modules, by dotted name, and the names of all others."""
    folder = (recorder.project.root / recorder.notebook).parent if recorder.notebook else Path.cwd()
    sources = [*needs.imports, *(source for _, source in needs.definitions)]
    sources += [statement.source for statement in body]
    sources += [f"import {module}" for module in needs.modules]
    found = find_imports(sources, folder=folder, root=recorder.project.root)
    local = {name: path for name, path in found.local.items() if not is_site_package(path)}
    return local, set(found.external) | {name for name in found.local if name not in local}


def _write_modules(folder: Path, local: Mapping[str, Path]) -> list[str]:
    written = []
    for name, path in local.items():
        is_package = path.name == "__init__.py"
        relative = Path(*name.split(".")) / "__init__.py" if is_package else Path(*name.split(".")).with_suffix(".py")
        depth = name.count(".") + (2 if is_package else 1)
        target = folder / PROJECT / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        source = relative_imports(path.read_text(encoding="utf-8"), local, "." * depth)
        target.write_text(source, encoding="utf-8")
        written.append(target.relative_to(folder).as_posix())
    return written


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
