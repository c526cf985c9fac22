"""The service's package: scoring module, stored objects, the project's own modules, and the serving runtime copied in."""

from __future__ import annotations

import importlib.resources
import json
import keyword
import re
import shutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from string import Template
from typing import Any

from packaging.utils import canonicalize_name

from nbops.errors import PromotionError
from nbops.promotion.module import PROJECT
from nbops.snapshot.environment import distributions_for, module_distributions
from nbops.tracking.schema import Versions

FORMAT = 1
_RUNTIME = ("msgspec", "uvicorn", "uvloop", "httptools", "prometheus_client", "numpy", "pandas")


def package_name(model: str, distributions: Iterable[str] = ()) -> str:
    """Return the Python package's name for a model, clear of keywords and of all that the service installs."""
    installed = {canonicalize_name(name) for name in distributions}
    modules = {
        module
        for module, names in module_distributions().items()
        if installed & {canonicalize_name(one) for one in names}
    }
    name = re.sub(r"\W+", "_", model, flags=re.ASCII).strip("_").lower() or "model"
    if name[0].isdigit() or keyword.iskeyword(name) or name in sys.stdlib_module_names | modules | {"nbops"}:
        name = f"model_{name}"
    return f"{name}_model" if canonicalize_name(name) in installed else name


def read_capture(folder: Path) -> dict[str, Any]:
    """Return what `nbops.promotion.capture` recorded in `folder`.

    Raises
    ------
    PromotionError
        If a newer nbops recorded it, or another Python: the stored objects are only sure to be read by the same one.
    """
    content: dict[str, Any] = json.loads((folder / "capture.json").read_text(encoding="utf-8"))
    if content["format"] > FORMAT:
        raise PromotionError(f"the scoring cell was recorded by a newer nbops (format {content['format']})")
    recorded, here = content["python"].rsplit(".", 1)[0], python_minor()
    if recorded != here:
        raise PromotionError(
            f"the scoring cell ran in Python {recorded}, but this is Python {here}",
            where=f"{content['notebook'] or 'a notebook'}, cell {content['cell']}",
            remedy=f"use nbops of an environment with Python {recorded}, or run the notebook with this one",
        )
    return content


def python_minor() -> str:
    """Return this Python's version without its last number, such as ``3.12``."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def write_scoring(target: Path, capture: Path) -> None:
    """Write the package's scoring half: module, loader, objects and the project's own modules."""
    target.mkdir(parents=True)
    recorded = read_capture(capture)
    files = ["scoring.py", *recorded["modules"], *(stored["path"] for stored in recorded["objects"].values())]
    for name in files:  # only these: an earlier capture of the same run may have left others
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(capture / name, target / name)
    if recorded["modules"]:
        (target / PROJECT / "__init__.py").write_text('"""The project\'s own modules."""\n', encoding="utf-8")
    digests = {name: stored["sha256"] for name, stored in recorded["objects"].items()}
    if digests:
        (target / "objects" / "sha256.json").write_text(json.dumps(digests, indent=1), encoding="utf-8")
        (target / "_objects.py").write_text(template("objects.py"), encoding="utf-8")
    (target / "__init__.py").write_text('"""A model and its scoring function."""\n', encoding="utf-8")


def write_service(
    target: Path, capture: Path, *, package: str, model: str, version: str, versions: Versions, run_id: str
) -> dict[str, Any]:
    """Write the whole package of the service and return its ``service.json``."""
    recorded = read_capture(capture)
    write_scoring(target, capture)
    manifest = {
        "format": FORMAT,
        "name": model,
        "version": version,
        "package": package,
        "entry": f"scoring:{recorded['entry']}",
        "run": run_id,
        "input": recorded["input"],
        "output": recorded["output"],
        "versions": asdict(versions),
        "objects": list(recorded["objects"].values()),
    }
    (target / "service.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    for name in ("examples.json", "profile.json"):
        shutil.copyfile(capture / name, target / name)
    (target / "__main__.py").write_text(template("main.py"), encoding="utf-8")
    runtime = importlib.resources.files("nbops.serving")
    with importlib.resources.as_file(runtime) as source:
        shutil.copytree(source, target / "serving", ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    return manifest


def pins(recorded: Mapping[str, Any]) -> dict[str, str]:
    """Return every distribution that the service needs, with the version in force in the notebook."""
    return distributions_for(_RUNTIME) | dict(recorded["distributions"])


def write_project(folder: Path, *, package: str, model: str, version: str, requirements: Mapping[str, str]) -> None:
    """Write the ``pyproject.toml`` that builds the service's wheel."""
    dependencies = "\n".join(f'  "{name}=={pin}",' for name, pin in sorted(requirements.items()))
    text = Template(template("pyproject.toml")).substitute(
        distribution=package.replace("_", "-"),
        package=package,
        model=model,
        version=version,
        python=python_minor(),
        dependencies=dependencies,
        nbops=metadata.version("nbops"),
    )
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")


def template(name: str) -> str:
    """Return a template's text."""
    return (importlib.resources.files("nbops.promotion") / "templates" / f"{name}.in").read_text(encoding="utf-8")
