"""One model behind three servers: ours, FastAPI with scikit-learn, and (with --mlflow) `mlflow models serve`.

Each server answers the same rows from the same fitted pipeline in its own process; 16 connections ask for a while.
What counts is the server's CPU time a request, which a busy machine doesn't blur; requests a second are shown beside.

    python benchmarks/serving.py [--seconds 4] [--mlflow] [--json FILE]
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import socket
import sys
import tempfile
import threading
import time
from importlib.util import find_spec
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import psutil
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

NUMBERS = [f"n{i}" for i in range(8)]
WORDS = ["carrier", "origin"]
SCORING = """
from pathlib import Path
import joblib
MODEL = joblib.load(Path(__file__).parent / "objects" / "model.joblib")
def score(frame):
    return MODEL.predict_proba(frame)[:, 1]
"""
FASTAPI = """
import joblib, pandas as pd
from fastapi import FastAPI
from pydantic import BaseModel
MODEL = joblib.load({model!r})
class Row(BaseModel):
    {fields}
class Rows(BaseModel):
    dataframe_records: list[Row]
app = FastAPI()
@app.get("/ping")
def ping(): return "ok"
@app.post("/invocations")
def invoke(rows: Rows):
    frame = pd.DataFrame([row.model_dump() for row in rows.dataframe_records])
    return {{"predictions": MODEL.predict_proba(frame)[:, 1].tolist()}}
"""

OURS = ["nbops.serving", "--package", "bench_service", "--port"]
PEER = ["uvicorn", "fastapi_peer:app", "--no-access-log", "--port"]
MLFLOW = ["mlflow", "models", "serve", "-m", "mlflow_model", "--env-manager", "local", "-p"]
# The same pandas and scikit-learn code runs in all: what differs is what each server does around it.
GOALS = {
    "FastAPI": {"CPU µs a request, 1 rows": 1.2, "CPU µs a request, 100 rows": 1.0, "seconds to start": 1.0},
    "MLflow": {"CPU µs a request, 1 rows": 1.5, "seconds to start": 5.0, "memory, MB": 2.0},
}


def prepare(folder: Path, with_mlflow: bool) -> pd.DataFrame:
    """Fit the model and lay out what each server serves; return rows to ask about."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(5000, 8)), columns=NUMBERS)
    frame["carrier"], frame["origin"] = rng.choice(list("ABCDEFGH"), 5000), rng.choice(["EWR", "JFK", "LGA"], 5000)
    steps = [("n", StandardScaler(), NUMBERS), ("w", OneHotEncoder(sparse_output=False), WORDS)]
    model = make_pipeline(ColumnTransformer(steps), HistGradientBoostingClassifier(max_iter=100))
    model.fit(frame, frame["n0"] + rng.normal(size=5000) > 0)
    package = folder / "bench_service"
    (package / "objects").mkdir(parents=True)
    joblib.dump(model, package / "objects" / "model.joblib")
    (package / "__init__.py").touch()
    (package / "scoring.py").write_text(SCORING)
    columns = [{"name": n, "type": "double"} for n in NUMBERS] + [{"name": w, "type": "string"} for w in WORDS]
    manifest = {"format": 1, "name": "bench", "version": "1", "package": "bench_service", "entry": "scoring:score"}
    manifest |= {"input": {"name": "frame", "columns": columns}, "output": {"name": "p", "type": "double"}}
    (package / "service.json").write_text(json.dumps(manifest))
    fields = "\n    ".join([f"{n}: float" for n in NUMBERS] + [f"{w}: str" for w in WORDS])
    model_file = str(package / "objects" / "model.joblib")
    (folder / "fastapi_peer.py").write_text(FASTAPI.format(model=model_file, fields=fields))
    if with_mlflow:
        from mlflow.sklearn import save_model

        options = {"serialization_format": "cloudpickle", "pyfunc_predict_fn": "predict_proba"}
        save_model(model, str(folder / "mlflow_model"), pip_requirements=["scikit-learn"], **options)
    return frame


def measure(name: str, command: list[str], bodies: dict[str, bytes], seconds: float, folder: Path) -> dict[str, float]:
    """Start one server, load it, and return its figures."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    began = time.perf_counter()
    with (folder / "log").open("w") as log:
        process = psutil.Popen([sys.executable, "-m", *command, str(port)], cwd=folder, env=env, stdout=log, stderr=log)
    try:
        while not answers(port):
            if process.poll() is not None or time.perf_counter() - began > 120:
                raise SystemExit(f"{name} didn't start\n{(folder / 'log').read_text()}")
            time.sleep(0.02)
        figures = {"seconds to start": time.perf_counter() - began}
        family = [process, *process.children(recursive=True)]
        for what, body in bodies.items():
            load(port, body, 1.0)
            before = sum(sum(one.cpu_times()[:2]) for one in family)
            spent, count = load(port, body, seconds)
            cpu = sum(sum(one.cpu_times()[:2]) for one in family) - before
            figures[f"CPU µs a request, {what}"] = cpu / count * 1e6
            print(f"{name}, {what}: {count / spent:,.0f} requests/s")
        figures["memory, MB"] = sum(one.memory_info().rss for one in family) / 1e6
        return figures
    finally:
        for one in [*process.children(recursive=True), process]:
            one.terminate()
        process.wait()


def answers(port: int) -> bool:
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
        connection.request("GET", "/ping")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False


def load(port: int, body: bytes, seconds: float) -> tuple[float, int]:
    """Ask from 16 connections for `seconds`; return the time it took and the answers that came."""
    counts, began = [0] * 16, time.perf_counter()

    def ask(worker: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while time.perf_counter() - began < seconds:
            connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            assert response.status == 200, response.read()
            response.read()
            counts[worker] += 1

    threads = [threading.Thread(target=ask, args=[worker]) for worker in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - began, sum(counts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--mlflow", action="store_true", help="also measure `mlflow models serve`")
    parser.add_argument("--json", type=Path, help="write the comparison here")
    options = parser.parse_args()
    servers = (
        {"ours": OURS}
        | ({"FastAPI": PEER} if find_spec("fastapi") else {})
        | ({"MLflow": MLFLOW} if options.mlflow else {})
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        frame = prepare(folder, options.mlflow)
        rows = {f"{n} rows": {"dataframe_records": frame[:n].to_dict("records")} for n in (1, 100)}
        bodies = {name: json.dumps(document).encode() for name, document in rows.items()}
        figures = {name: measure(name, command, bodies, options.seconds, folder) for name, command in servers.items()}
    result = []
    for peer in list(figures)[1:]:
        for what, ours in figures["ours"].items():
            theirs, goal = figures[peer][what], GOALS[peer].get(what, 0.0)
            ratio = theirs / ours
            line = {
                "name": f"{what}, {peer}",
                "ours": ours,
                "peer": theirs,
                "ratio": ratio,
                "goal": goal,
                "met": ratio >= goal,
            }
            print(f"{what:<28} ours {ours:>9,.1f}   {peer} {theirs:>9,.1f}   {ratio:.2f}×   goal {goal or '–'}")
            result.append(line)
    if options.json:
        options.json.write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
