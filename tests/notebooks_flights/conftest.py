"""The reference project's folder, and its feature module, which lies beside notebooks and in no package."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def flights_folder() -> Path:
    """Return the folder of the reference project."""
    return Path(__file__).parents[2] / "notebooks" / "flights"


@pytest.fixture(scope="session")
def flight_features(flights_folder: Path) -> ModuleType:
    """Import `flight_features.py` from its folder."""
    spec = importlib.util.spec_from_file_location("flight_features", flights_folder / "flight_features.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
