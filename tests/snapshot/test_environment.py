"""What is installed, and what of it an import needs."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from packaging.utils import canonicalize_name

from nbops.snapshot import distributions, environment, hardware, settings


def test_every_distribution_is_found_with_its_version() -> None:
    expected: dict[str, str] = {}
    for found in importlib.metadata.distributions():
        expected.setdefault(canonicalize_name(found.name), found.version)
    assert environment.installed() == expected


def test_the_digest_sees_a_version_and_not_the_machine() -> None:
    captured = environment.capture()
    assert captured.digest == environment.capture().digest
    assert dataclasses.replace(captured, machine="other", threads={"OMP_NUM_THREADS": "9"}).digest == captured.digest
    other = dataclasses.replace(captured, distributions={**captured.distributions, "numpy": "0.1"})
    assert other.digest != captured.digest
    assert "numpy==0.1\n" in other.lock


def test_the_first_folder_on_the_path_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "NumPy-9.9.dist-info").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path), str(tmp_path / "gone"), *sys.path])
    assert environment.installed()["numpy"] == "9.9"


def test_what_is_installed_is_kept_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    before = distributions.installed()
    began = time.perf_counter()
    for _ in range(100):
        assert distributions.installed() is before
    assert (time.perf_counter() - began) / 100 < 0.5e-3
    (tmp_path / "Made_Up-1.0.dist-info").mkdir()
    assert distributions.installed().versions["made-up"] == "1.0"
    (tmp_path / "Made_Up-1.0.dist-info").rename(tmp_path / "Made_Up-1.1.dist-info")
    assert environment.installed()["made-up"] == "1.1"


ORIGINS = {
    '{"url": "https://user:pw@example.org/a.git", "vcs_info": {"vcs": "git", "commit_id": "c0ffee"}, "subdirectory": "x"}': (
        "thing @ git+https://example.org/a.git@c0ffee#subdirectory=x"
    ),
    '{"url": "ssh://git:pw@example.org/a.git", "vcs_info": {"vcs": "git", "commit_id": "c0ffee"}}': (
        "thing @ git+ssh://git@example.org/a.git@c0ffee"
    ),
    '{"url": "https://example.org/thing-1.0.whl?token=secret", "archive_info": {}}': (
        "thing @ https://example.org/thing-1.0.whl"
    ),
    '{"url": "file:///home/me/thing", "dir_info": {"editable": true}}': (
        "# thing==1.0 is a local project (editable): install it from there"
    ),
    '{"url": "file:///home/me/thing", "dir_info": {}}': "# thing==1.0 is a local project: install it from there",
    '{"url": "file:///home/me/thing-1.0.whl", "archive_info": {}}': "# thing==1.0 is a local project: install it from there",
    "half a": "thing==1.0",
}


@pytest.mark.parametrize("told", ORIGINS)
def test_direct_urls_are_locked_without_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str) -> None:
    place = tmp_path / "thing-1.0.dist-info"
    place.mkdir()
    (place / "direct_url.json").write_text(told, encoding="utf-8")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    captured = environment.capture()
    assert f"{ORIGINS[told]}\n" in captured.lock
    assert not any(secret in f"{captured.lock}{captured.direct}" for secret in ("pw", "secret", "/home/me"))
    (place / "INSTALLER").write_text("conda\n", encoding="utf-8")
    os.utime(tmp_path, ns=(1, 1))
    if "file:" in told and "editable" not in told:  # Conda names the folders of a build machine
        assert "thing==1.0\n" in environment.capture().lock


def test_a_commit_counts_and_where_it_was_cloned_from_does_not() -> None:
    captured = environment.capture()
    urls = ["git+https://a.org/x@c1", "git+https://b.org/x@c1", "git+https://a.org/x@c2"]
    digests = [dataclasses.replace(captured, direct={"x": url}).digest for url in urls]
    assert digests[0] == digests[1] != digests[2]


def test_seeds_and_threads_in_force(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    random.seed(1)
    np.random.seed(1)
    first = environment.capture()
    assert first.threads["OMP_NUM_THREADS"] == "1"
    assert first.seeds["PYTHONHASHSEED"] == "0"
    assert any(name.startswith("pool.") for name in first.threads) is ("threadpoolctl" in sys.modules)
    assert settings.seeds() == dict(first.seeds)  # asking changes nothing
    np.random.rand()
    assert settings.seeds()["numpy"] != first.seeds["numpy"]
    assert settings.seeds()["random"] == first.seeds["random"]
    np.random.seed(1)
    random.random()
    assert settings.seeds()["numpy"] == first.seeds["numpy"]
    assert settings.seeds()["random"] != first.seeds["random"]


@pytest.mark.slow
def test_a_lock_installs_elsewhere(tmp_path: Path) -> None:
    project = tmp_path / "mine"
    project.mkdir()
    metadata = '[project]\nname = "mine"\nversion = "1"\ndescription = "x"\n[build-system]\nrequires = ["flit-core"]\n'
    (project / "pyproject.toml").write_text(f'{metadata}build-backend = "flit_core.buildapi"\n', encoding="utf-8")
    (project / "mine.py").write_text('"""Mine."""\n', encoding="utf-8")
    first, second = tmp_path / "one", tmp_path / "two"
    for folder in (first, second):
        subprocess.run(["uv", "venv", "-q", "-p", sys.executable, folder], check=True)
    install = ["uv", "pip", "install", "-q", "--python"]
    subprocess.run([*install, first / "bin/python", "packaging", "six", "-e", project], check=True)
    code = "from nbops.snapshot import environment; print(environment.capture().lock)"
    alone = tmp_path / "path"  # nbops, and nothing else that lies beside it
    shutil.copytree(Path(environment.__file__).parents[1], alone / "nbops")
    variables = {**os.environ, "PYTHONPATH": str(alone)}
    told = subprocess.run(
        [first / "bin/python", "-c", code], env=variables, capture_output=True, text=True, check=True
    ).stdout
    assert "# mine==1 is a local project (editable)" in told
    (tmp_path / "lock.txt").write_text(told, encoding="utf-8")
    subprocess.run([*install, second / "bin/python", "-r", tmp_path / "lock.txt"], check=True)
    listed = [
        subprocess.run(["uv", "pip", "freeze", "--python", folder], capture_output=True, text=True, check=True).stdout
        for folder in (first, second)
    ]
    assert [line for line in listed[0].splitlines() if "==" in line and "mine" not in line] == listed[1].splitlines()


def test_what_an_import_needs_comes_with_what_that_requires() -> None:
    needed = environment.distributions_for(["sklearn.linear_model", "os", "not_a_module"])
    assert {"scikit-learn", "numpy", "scipy"} <= set(needed)
    assert "mlflow" not in needed
    assert environment.distributions_for(["json"]) == {}


def test_site_packages_are_told_from_the_project(tmp_path: Path) -> None:
    assert environment.is_site_package(importlib.util.find_spec("pandas").origin)  # type: ignore[union-attr, arg-type]
    assert environment.is_site_package(os.__file__)
    assert not environment.is_site_package(tmp_path / "mine.py")


def test_hardware_is_this_machine() -> None:
    captured = hardware.capture()
    assert captured.cores >= 1
    assert captured.memory_bytes > 1 << 28
    assert captured.processor
