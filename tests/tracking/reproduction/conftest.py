"""A study that was lived once for all tests; each leaves its project as it is."""

from __future__ import annotations

import pytest

from lives_study import Study, live_it, write_project


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory, isolated_environment: None) -> Study:
    """Return a study with two runs."""
    return live_it(write_project(tmp_path_factory.mktemp("lives") / "study"))
