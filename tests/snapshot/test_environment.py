"""What is installed, and what of it an import needs."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
import sys
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from nbops.snapshot import environment, hardware


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
