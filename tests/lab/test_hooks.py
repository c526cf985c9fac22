"""What Jupyter finds at nbops' door."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import nbops
from nbops import lab

REPOSITORY = Path(__file__).resolve().parents[2]


def test_jupyter_finds_its_hooks_at_the_door() -> None:
    assert nbops._jupyter_server_extension_points() == [{"module": "nbops.lab"}]
    assert nbops._jupyter_labextension_paths() == [{"src": "labextension", "dest": "nbops-lab"}]


def test_the_shipped_configuration_enables_the_server_part() -> None:
    config = json.loads((REPOSITORY / "jupyter-config/jupyter_server_config.d/nbops.json").read_text())
    assert config == {"ServerApp": {"jpserver_extensions": {"nbops": True}}}


def test_finds_the_built_extension_where_jupyter_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = tmp_path / "labextensions" / "nbops-lab"
    built.mkdir(parents=True)
    (built / "package.json").write_text("{}")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    assert lab.extension_folder() == str(built)
