"""A real JupyterLab with the extension, and a real Chromium that looks at it."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from nbops import lab

REPOSITORY = Path(__file__).resolve().parents[2]
CHROMIUM = Path("/usr/bin/chromium")
_FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]


@dataclass
class Desk:
    """A running JupyterLab."""

    root: Path
    url: str
    token: str

    def ask(self, route: str, **query: str) -> Any:
        headers = {"Authorization": f"token {self.token}"}
        return httpx.get(f"{self.url}/nbops/api/{route}", params=query, headers=headers, timeout=60).json()


@pytest.fixture(scope="module")  # not longer: while it is open, Playwright runs an event loop in this thread
def chromium() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    if not CHROMIUM.exists():
        pytest.skip("chromium isn't there: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def start_lab(tmp_path: Path) -> Iterator[Callable[[Path], Desk]]:
    """Return a function that starts JupyterLab over a folder."""
    share = tmp_path / "share"
    _place_extension(share)
    servers: list[subprocess.Popen[bytes]] = []

    def start(root: Path) -> Desk:
        desk = Desk(root, f"http://127.0.0.1:{_free_port()}", secrets.token_hex(16))
        servers.append(_launch(desk, tmp_path, share))
        return desk

    yield start
    for server in servers:
        server.terminate()
        server.wait(timeout=30)


def _place_extension(share: Path) -> None:
    """Let JupyterLab find the extension: that of the installed wheel or, working in a checkout, the one built there."""
    built = REPOSITORY / "src" / "nbops" / "labextension"
    in_checkout = Path(lab.__file__).is_relative_to(REPOSITORY / "src")
    if in_checkout and (built / "package.json").is_file():
        (share / "labextensions").mkdir(parents=True)
        (share / "labextensions" / lab.EXTENSION_NAME).symlink_to(built)
    elif in_checkout or lab.extension_folder() is None:
        pytest.skip("the extension isn't built: install npm, then in extension/: npm ci && npm run build:prod")


def _launch(desk: Desk, folder: Path, share: Path) -> subprocess.Popen[bytes]:
    settings = folder / "settings"
    _write_setting(settings, "apputils-extension/notification", {"fetchNews": "false", "checkForUpdates": False})
    _write_setting(settings, "docmanager-extension/plugin", {"autosaveInterval": 3600})
    environment = {
        **os.environ,
        "JUPYTER_PATH": str(share),
        "JUPYTER_CONFIG_PATH": str(REPOSITORY / "jupyter-config"),
        "JUPYTERLAB_SETTINGS_DIR": str(settings),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
        "OMP_NUM_THREADS": "1",  # a fit with more threads than free cores takes minutes instead of seconds
    }
    environment.pop("MPLBACKEND", None)  # kernels draw into the notebook
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
        f"--ServerApp.root_dir={desk.root}",
        f"--ServerApp.port={desk.url.rpartition(':')[2]}",
        "--ServerApp.port_retries=0",
        f"--IdentityProvider.token={desk.token}",
        "--LabApp.expose_app_in_browser=True",
    ]
    log = folder / "jupyterlab.log"
    with log.open("w") as output:
        server = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and server.poll() is None:
        try:
            httpx.get(f"{desk.url}/api", timeout=5).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.3)
        else:
            return server
    server.kill()
    server.wait()
    return pytest.fail(f"JupyterLab did not start:\n{log.read_text()[-4000:]}")


def _write_setting(settings: Path, plugin: str, values: dict[str, Any]) -> None:
    path = settings / "@jupyterlab" / f"{plugin}.jupyterlab-settings"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
