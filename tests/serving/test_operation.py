"""Starting, stopping and watching a service: ports, signals, tokens, workers, metrics, broken bundles."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

import nbops.serving
from nbops.serving.app import main

from .conftest import COLUMNS, SCORING, Running, rows, split, write_package

Start = Callable[..., Running]


def fail(package: Path, *options: str, **env: str) -> str:
    """Start a service that can't start; return what it says."""
    command = [sys.executable, "-m", "nbops.serving", "--package", str(package), *options]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ, **env}, check=False)
    assert ended.returncode == 2, ended
    assert ended.stdout == ""
    return ended.stderr


def test_two_services_take_free_ports_and_write_them(starts: Start, package: Path, tmp_path: Path) -> None:
    first, second = (
        starts(package, "--port-file", str(tmp_path / "a")),
        starts(package, "--port-file", str(tmp_path / "b")),
    )
    assert first.url != second.url
    for service, name in ((first, "a"), (second, "b")):
        assert service.url == f"http://127.0.0.1:{int((tmp_path / name).read_text())}"
        assert service.invoke(split(rows())).status_code == 200
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
    port = first.url.rpartition(":")[2]
    assert f"port {port} on 127.0.0.1: Address already in use" in fail(package, "--port", port)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_request_under_way_finish(starts: Start, package: Path, number: int) -> None:
    service = starts(package)
    answers: list[httpx.Response] = []
    asking = threading.Thread(target=lambda: answers.append(service.invoke(split(rows(carrier="sleep")))))
    asking.start()
    while "nbops_requests_in_flight 2.0" not in service.client.get("/metrics").text:
        time.sleep(0.01)
    service.process.send_signal(number)
    asking.join()
    assert answers[0].status_code == 200
    assert service.process.wait(10) == 0
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{service.url}/healthz")


def test_beyond_loopback_a_token_is_required(starts: Start, package: Path) -> None:
    assert "needs a token: set NBOPS_TOKEN" in fail(package, "--host", "0.0.0.0", NBOPS_TOKEN="")
    service = starts(package, "--host", "0.0.0.0", "--token-env", "MY_TOKEN", env={"MY_TOKEN": "open sesame"})
    client = httpx.Client(base_url=service.url.replace("0.0.0.0", "127.0.0.1"))
    for path in ("/healthz", "/readyz", "/ping", "/v2/health/ready"):
        assert client.get(path).status_code == 200
    for headers in ({}, {"authorization": "Bearer sesame"}, {"authorization": "Basic open sesame"}):
        for path in ("/metrics", "/invocations", "/openapi.json", "/v2/models/echo/infer"):
            response = client.request("POST" if "i" in path[-4:] and "in" in path else "GET", path, headers=headers)
            assert response.status_code in (401, 405)
        response = client.post("/invocations", json=split(rows()), headers=headers)
        assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")
    right = {"authorization": "Bearer open sesame"}
    assert client.post("/invocations", json=split(rows()), headers=right).json() == {"predictions": [1400.5]}
    client.close()


def test_metrics_tell_what_happened(starts: Start, package: Path) -> None:
    service = starts(package)
    service.invoke(split([*rows(3), *rows(2, distance=None, when=None), *rows(1, distance=None)]))
    service.invoke(split(rows(hour="x")))
    service.client.get("/nowhere")
    response = service.client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=")
    lines = response.text.splitlines()
    for line in (
        'nbops_requests_total{route="/invocations",status="200"} 1.0',
        'nbops_requests_total{route="/invocations",status="400"} 1.0',
        'nbops_requests_total{route="unknown",status="404"} 1.0',
        'nbops_request_seconds_count{route="/invocations"} 2.0',
        "nbops_rows_scored_total 6.0",
        "nbops_requests_in_flight 1.0",
        'nbops_requests_refused_total{reason="wrong_type"} 1.0',
        'nbops_missing_values_total{column="distance"} 3.0',
        'nbops_missing_values_total{column="when"} 2.0',
    ):
        assert line in lines
    [build] = [line for line in lines if line.startswith("nbops_build_info{")]
    assert 'name="echo"' in build
    assert 'version="3"' in build
    assert 'code="c0dec0de"' in build
    assert any(line.startswith("process_resident_memory_bytes ") for line in lines)


@pytest.mark.slow
def test_workers_share_a_port_and_their_counts_and_a_dead_one_is_replaced(starts: Start, package: Path) -> None:
    service = starts(package, "--workers", "2")

    def children() -> list[int]:
        text = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children").read_text()
        return [int(pid) for pid in text.split()]

    for _ in range(10):
        assert httpx.post(f"{service.url}/invocations", json=split(rows())).status_code == 200
    before = children()
    assert len(before) == 2
    assert "nbops_rows_scored_total 10.0" in httpx.get(f"{service.url}/metrics").text
    os.kill(before[0], signal.SIGKILL)
    deadline = time.monotonic() + 20
    while set(children()) == set(before) or len(children()) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert httpx.post(f"{service.url}/invocations", json=split(rows())).status_code == 200
    assert service.stop() == 0
    assert "ended with -9; another takes its place" in service.log.read_text()


def test_the_runtime_copied_into_a_package_serves_without_nbops(tmp_path: Path) -> None:
    import shutil

    package = write_package(tmp_path)
    shutil.copytree(Path(nbops.serving.__file__).parent, package / "serving")
    (package / "__main__.py").write_text(
        "import sys\nfrom pathlib import Path\n\nfrom .serving.app import main\n\n"
        "sys.modules['nbops'] = None  # importing it would fail\n"
        "sys.exit(main(Path(__file__).parent))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "echo_service"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    line = process.stdout.readline()
    try:
        assert line.startswith("echo version 3: http://127.0.0.1:"), process.stderr.read()
        answer = httpx.post(line.split()[-1] + "/invocations", json=split(rows()))
        assert answer.json() == {"predictions": [1400.5]}
    finally:
        process.terminate()
        assert process.communicate(timeout=20) == ("", "")
        assert process.returncode == 0


def test_the_runtime_imports_only_what_a_service_has() -> None:
    allowed = {"msgspec", "uvicorn", "prometheus_client", "numpy", "pandas"}
    for path in Path(nbops.serving.__file__).parent.rglob("*.py"):
        found = set(re.findall(r"^\s*(?:from|import) ([a-z_]\w*)", path.read_text(), re.MULTILINE))
        assert found - set(sys.stdlib_module_names) <= allowed, path


@pytest.mark.parametrize(
    ("break_it", "expected"),
    [
        (lambda package: (package / "service.json").unlink(), "can't be read"),
        (lambda package: (package / "service.json").write_text("{"), "truncated"),
        (lambda package: (package / "service.json").write_bytes(b'{"format": 1, "name": "\xff"}'), "utf-8"),
        (
            lambda package: (package / "service.json").write_text('{"format": 2}'),
            "format 2, but this runtime reads up to 1",
        ),
        (lambda package: (package / "objects" / "scale.txt").unlink(), "missing; the bundle is incomplete"),
        (lambda package: (package / "objects" / "scale.txt").write_text("2.0"), "not the file that was packaged"),
        (lambda package: (package / "scoring.py").write_text("import nothing_here"), "No module named 'nothing_here'"),
        (lambda package: (package / "scoring.py").write_text("score = 1"), "scoring:score is not a function"),
        (lambda package: (package / "__init__.py").unlink(), "no package (it has no __init__.py)"),
    ],
)
def test_a_broken_bundle_does_not_start_and_says_why(
    tmp_path: Path,
    break_it: Callable[[Path], Any],
    expected: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # else the service's own setting would outlive the test
    package = write_package(tmp_path, name=f"broken_{abs(hash(expected))}")
    break_it(package)
    assert main(package, []) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert expected in captured.err


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"entry": "scoring.score"}, "not of the form module:function"),
        ({"input": {"name": "x", "columns": []}}, "the input has no columns"),
        ({"input": {"name": "x", "columns": [COLUMNS[0], COLUMNS[0]]}}, "'carrier' is declared twice"),
        ({"input": {"name": "x", "columns": [{"name": "a", "type": "text"}]}}, "Invalid enum value 'text'"),
        ({"input": {"name": "x", "columns": [{"name": "a", "type": "long", "required": False}]}}, "must be nullable"),
        ({"input": {"name": "x", "columns": [{"name": "a", "type": "long", "tz": "UTC"}]}}, "is no datetime"),
        ({"objects": [{"path": "../../etc/passwd", "sha256": ""}]}, "lies outside the package"),
    ],
)
def test_a_contradictory_manifest_does_not_start(tmp_path: Path, changes: dict[str, Any], expected: str) -> None:
    from nbops.serving.manifest import check_objects, read
    from nbops.serving.refusal import StartError

    package = write_package(tmp_path, **changes)
    with pytest.raises(StartError, match=re.escape(expected)):
        check_objects(package, read(package / "service.json"))


def test_numpy_in_a_service_computes_on_one_thread(starts: Start, tmp_path: Path) -> None:
    scoring = "import os\n\n" + SCORING.replace("* SCALE", "* 0 + float(os.environ['OMP_NUM_THREADS'])")
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    assert "OMP_NUM_THREADS" not in environment
    service = starts(write_package(tmp_path, scoring=scoring))
    assert service.invoke(split(rows())).json() == {"predictions": [1.0]}


def test_head_and_keep_alive_and_the_index(service: Running) -> None:
    response = service.client.head("/healthz")
    assert (response.status_code, response.content) == (200, b"")
    assert "server" not in response.headers
    assert service.client.get("/").json()["name"] == "echo"
    assert service.client.get("/version").text == "3"
    assert json.loads(service.client.get("/readyz").text)["status"] == "ready"
