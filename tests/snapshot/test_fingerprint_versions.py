"""The same content has the same fingerprint under other versions of Python, pandas and pyarrow: literals say which."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import fingerprint_vectors
from nbops.snapshot.fingerprint import UNKNOWN, fingerprint

LITERALS = json.loads(Path(__file__).with_name("fingerprints.json").read_text("utf-8"))
SOURCE = Path(__file__).parents[2] / "src"


@pytest.mark.parametrize("name", LITERALS)
def test_fingerprints_are_what_they_always_were(name: str) -> None:
    assert LITERALS[name] != UNKNOWN
    assert fingerprint(fingerprint_vectors.vectors()[name]) == LITERALS[name]


def test_no_vector_is_like_another() -> None:
    assert set(LITERALS) == set(fingerprint_vectors.vectors())
    alike = {"array by column"}  # only laid out otherwise
    assert len({digest for name, digest in LITERALS.items() if name not in alike}) == len(LITERALS) - len(alike)
    assert LITERALS["array by column"] == LITERALS["array"]


@pytest.mark.slow
@pytest.mark.parametrize("versions", [("pandas==2.3.*", "pyarrow==21.*"), ("pandas==2.3.*", "pyarrow==25.*")])
def test_other_versions_find_the_same(versions: tuple[str, ...], tmp_path: Path) -> None:
    python, script = tmp_path / "env" / "bin" / "python", fingerprint_vectors.__file__
    subprocess.run(["uv", "venv", "-q", "-p", sys.executable, tmp_path / "env"], check=True)
    wanted = [*versions, "scipy", "xxhash", "packaging"]
    subprocess.run(["uv", "pip", "install", "-q", "--python", python, *wanted], check=True)
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "PYTHONHASHSEED": "7"}
    told = subprocess.run([python, script], capture_output=True, text=True, check=True, env=environment)
    assert json.loads(told.stdout) == LITERALS
