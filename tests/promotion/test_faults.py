"""Killed, cut off, out of space, in use: nothing half-made is left, and the message says what to do."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from loop import Loop
from nbops.errors import PromotionError
from nbops.promotion.bundle import open_bundle
from nbops.promotion.service import read_capture

pytestmark = pytest.mark.slow


def start(
    loop: Loop, *arguments: str, setup: Callable[[], None] | None = None, **variables: str
) -> subprocess.Popen[str]:
    code = "import sys; from nbops.cli import main; main(sys.argv[1:])"
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=loop.project.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **variables},
        preexec_fn=setup,
        start_new_session=True,
    )


def read_until(process: subprocess.Popen[str], word: str) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if word in line:
            return line
    raise AssertionError(f"'{word}' wasn't said")


def descendants(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def test_a_killed_packaging_leaves_the_old_bundle_and_no_process(loop: Loop, tmp_path: Path) -> None:
    with start(loop, "package", "--force") as process:
        read_until(process, "proving")
        while not (service := descendants(process)):
            assert process.poll() is None
        process.kill()
    assert not psutil.wait_procs(service, timeout=20)[1]
    assert [path.name for path in loop.project.bundles.iterdir()] == [loop.bundle.path.name]
    assert open_bundle(loop.bundle.path).name == "biopsy"
    with start(loop, "package", "--force", UV_OFFLINE="1", UV_CACHE_DIR=str(tmp_path)) as cut_off:
        said, _ = cut_off.communicate(timeout=120)
    assert cut_off.returncode == 1
    assert "network was disabled" in said
    assert "check the network" in said
    assert not list((loop.project.state / "work").glob("bundle-*"))  # what the killed one left is gone as well


def test_a_full_disk_leaves_nothing_half_written(loop: Loop) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))

    with start(loop, "package", "--force", setup=limit) as process:
        said, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "too large" in said.lower()
    assert "Traceback" not in said
    assert [path.name for path in loop.project.bundles.iterdir()] == [loop.bundle.path.name]
    assert not list((loop.project.state / "work").glob("bundle-*"))


def test_serving_says_what_is_in_the_way_and_ends_on_ctrl_c(loop: Loop) -> None:
    with start(loop, "serve", "--workers", "2") as process:
        port = read_until(process, "http://127.0.0.1:").strip().rpartition(":")[2]
        for arguments, said in ((("--port", port), "in use"), (("--host", "0.0.0.0"), "needs a token")):
            with start(loop, "serve", *arguments) as other:
                assert said in other.communicate(timeout=120)[0]
            assert other.returncode == 2
        workers = descendants(process)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(30) == 0
    assert not psutil.wait_procs(workers, timeout=20)[1]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("openapi.json", "x", "openapi.json isn't the file that was proven"),
        ("requirements.lock", None, "requirements.lock is missing"),
        ("bundle.json", "{}", "not a bundle"),
        ("bundle.json", None, "not a bundle"),
    ],
)
def test_a_damaged_bundle_is_named(loop: Loop, tmp_path: Path, name: str, text: str | None, message: str) -> None:
    copy = shutil.copytree(loop.bundle.path, tmp_path / "copy")
    (copy / name).unlink()
    if text is not None:
        (copy / name).write_text(text)
    with pytest.raises(PromotionError, match=message) as caught:
        open_bundle(copy)
    assert "nbops package --force" in caught.value.remedy


def test_another_python_is_refused(tmp_path: Path) -> None:
    content = {"format": 1, "python": "3.8.1", "notebook": "n.ipynb", "cell": "c1"}
    (tmp_path / "capture.json").write_text(json.dumps(content))
    with pytest.raises(PromotionError, match=r"ran in Python 3\.8, but this is Python") as caught:
        read_capture(tmp_path)
    assert "environment with Python 3.8" in caught.value.remedy
