"""The bundle: everything that an engineer needs to run a model, written only when its proof has passed.

It is put together in a folder under ``.nbops/work/`` and moved to its name in one step: a bundle that can be seen is
whole and proven. ``bundle.json`` lists every file with its SHA-256.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from string import Template
from typing import Any

from filelock import FileLock

from nbops.errors import PromotionError
from nbops.promotion import environments, service
from nbops.promotion.capture import FOLDER
from nbops.promotion.card import write_card
from nbops.promotion.proof import prove
from nbops.tracking.store import Store
from nbops.tracking.store.registry import ModelVersion

FORMAT = 1
_EPOCH = "315532800"  # 1980-01-01, the first date that a zip file can hold


@dataclass(frozen=True, slots=True)
class Bundle:
    """A finished bundle.

    Attributes
    ----------
    path
        Its folder.
    name, version
        The model's.
    package
        The Python package of its service.
    python
        The Python that it was proven with, such as ``3.12``.
    """

    path: Path
    name: str
    version: str
    package: str
    python: str

    @property
    def wheel(self) -> Path:
        """The service's wheel."""
        return next((self.path / "dist").glob("*.whl"))

    @property
    def lock(self) -> Path:
        """The service's requirements with hashes."""
        return self.path / "requirements.lock"

    def read(self, name: str) -> dict[str, Any]:
        """Return one of its JSON files."""
        content: dict[str, Any] = json.loads((self.path / name).read_text(encoding="utf-8"))
        return content


def open_bundle(path: Path) -> Bundle:
    """Return the bundle at `path`, its files checked against ``bundle.json``.

    Raises
    ------
    PromotionError
        If it isn't a bundle, is of a newer format, or a file isn't the one that was proven.
    """
    try:
        content = json.loads((path / "bundle.json").read_text(encoding="utf-8"))
        names = content["format"], content["files"], content["name"], content["version"], content["package"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise PromotionError("not a bundle", where=str(path), remedy="nbops package --force") from error
    if names[0] > FORMAT:
        raise PromotionError(f"written by a newer nbops (format {content['format']})", where=str(path))
    for name, digest in content["files"].items():
        file = path / name
        if not file.is_file() or _sha256(file) != digest:
            what = "isn't the file that was proven" if file.is_file() else "is missing"
            raise PromotionError(f"{name} {what}", where=str(path), remedy="nbops package --force writes it anew")
    return Bundle(path, *names[2:], str(content.get("python") or service.python_minor()))


def package(
    store: Store, version: ModelVersion, *, force: bool = False, say: Callable[[str], None] = lambda _: None
) -> Bundle:
    """Write the bundle of a registered version, or return the one that is there.

    Parameters
    ----------
    store
        Where the version's run is.
    version
        What to package.
    force
        Write it anew even if it is there.
    say
        Told about each step.

    Raises
    ------
    ProofFailed
        If the service doesn't predict what the notebook predicted; no bundle is written.
    """
    target = store.project.bundles / f"{version.model}-{version.version}"
    if target.exists() and not force:
        return open_bundle(target)
    works = store.project.state / "work"
    try:
        works.mkdir(parents=True, exist_ok=True)
        with FileLock(works / f"{target.name}.lock"):
            if target.exists() and not force:  # by another process, while this one waited
                return open_bundle(target)
            _clear(works, target.name)  # what a killed process left
            try:
                work = works / f"bundle-{target.name}@{os.getpid()}"
                _write(store, version, work, say)
                _move(work / "bundle", target)
            finally:
                _clear(works, target.name)
    except OSError as error:
        raise PromotionError(
            f"the bundle can't be written: {error.strerror or error}",
            where=str(error.filename or target),
            remedy="look at the disk's space and the folder's permissions",
        ) from error
    return open_bundle(target)


def _clear(works: Path, name: str) -> None:
    for left in works.iterdir():
        if left.name.startswith(f"bundle-{name}@"):
            shutil.rmtree(left, ignore_errors=True)


def _write(store: Store, version: ModelVersion, work: Path, say: Callable[[str], None]) -> None:
    say("fetching what the notebook recorded")
    capture = store.download(version.run_id, FOLDER, work)
    recorded = service.read_capture(capture)
    run = store.run(version.run_id)
    pins = service.pins(recorded)
    name = service.package_name(version.model, pins)
    folder = work / "bundle"
    manifest = service.write_service(
        folder / "service" / name,
        capture,
        package=name,
        model=version.model,
        version=version.version,
        versions=run.summary.versions,
        run_id=version.run_id,
    )
    service.write_project(
        folder / "service", package=name, model=version.model, version=version.version, requirements=pins
    )
    say("building the wheel and the lock")
    wheel = build_wheel(folder / "service", folder / "dist")
    lock = folder / "requirements.lock"
    lock.write_text(environments.write_lock(pins), encoding="utf-8")
    say("installing it in a clean environment")
    python = environments.make(store.project.state / "environments", lock, wheel)
    say("proving that it predicts what the notebook predicted")
    examples = json.loads((capture / "examples.json").read_text(encoding="utf-8"))
    proof = prove(python, manifest, examples)
    card = write_card(
        manifest,
        notebook=recorded["notebook"],
        versions=run.summary.versions,
        datasets=run.datasets,
        metrics=json.loads(version.tags.get("nbops.metrics", "{}")),
        gates=json.loads(version.tags.get("nbops.gates", "[]")),
        profile=json.loads((capture / "profile.json").read_text(encoding="utf-8")),
        proof=proof,
    )
    _write_texts(
        folder,
        {
            "proof.json": proof.to_json(),
            "snapshot.json": json.dumps(run.snapshot, indent=1),
            "openapi.json": _openapi(folder / "service" / name),
            "MODEL_CARD.md": card,
            "Dockerfile": _dockerfile(name, version),
            ".dockerignore": "*\n!dist\n!requirements.lock\n",
        },
    )
    for file in ("examples.json", "profile.json"):
        shutil.copyfile(capture / file, folder / file)
    _write_manifest(folder, version, name)


def build_wheel(source: Path, into: Path) -> Path:
    """Build the wheel of a service's folder; the same folder gives the same bytes.

    Raises
    ------
    PromotionError
        If the build fails.
    """
    into.mkdir(parents=True, exist_ok=True)
    build = f"from flit_core.buildapi import build_wheel; build_wheel({str(into.resolve())!r})"
    variables = {**os.environ, "SOURCE_DATE_EPOCH": _EPOCH}
    answer = subprocess.run(
        [sys.executable, "-c", build], cwd=source, capture_output=True, text=True, check=False, env=variables
    )
    if answer.returncode:
        reason = answer.stderr.strip().rpartition("\n")[2] or f"status {answer.returncode}"
        raise PromotionError(f"the wheel can't be built: {reason}", where=str(source))
    return next(into.glob("*.whl"))


def _openapi(package_folder: Path) -> str:
    from nbops.serving.manifest import read
    from nbops.serving.openapi import openapi

    return json.dumps(openapi(read(package_folder / "service.json")), indent=1)


def _dockerfile(package_name: str, version: ModelVersion) -> str:
    return Template(service.template("Dockerfile")).substitute(
        model=version.model,
        version=version.version,
        distribution=package_name.replace("_", "-"),
        package=package_name,
        python=service.python_minor(),
    )


def _write_texts(folder: Path, texts: dict[str, str]) -> None:
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")


def _write_manifest(folder: Path, version: ModelVersion, package_name: str) -> None:
    files = {path.relative_to(folder).as_posix(): _sha256(path) for path in sorted(folder.rglob("*")) if path.is_file()}
    content = {
        "format": FORMAT,
        "name": version.model,
        "version": version.version,
        "package": package_name,
        "run": version.run_id,
        "python": service.python_minor(),
        "nbops": metadata.version("nbops"),
        "files": files,
    }
    (folder / "bundle.json").write_text(json.dumps(content, indent=1), encoding="utf-8")


def _move(folder: Path, target: Path) -> None:
    """Give a finished bundle its name; one that is there already steps aside and is removed afterwards."""
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = folder.with_name("replaced")
    if folder.stat().st_dev != target.parent.stat().st_dev:  # a rename can't cross file systems
        aside = target.with_name(f".{target.name}.replaced")
        folder = shutil.copytree(folder, target.with_name(f".{target.name}.{os.getpid()}.new"))
    if target.exists():
        target.rename(aside)
    try:
        folder.rename(target)
    except OSError:
        if aside.exists():
            aside.rename(target)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
