"""How fast content is fingerprinted: GB/s of frames and files, beside what others hash the same with.

python benchmarks/fingerprint.py [--gb 1] [--repeat 3] [--dvc] [--json FILE]

A frame of 200 MB (17 columns: floats with and without missing values, integers, booleans, times, categories, strings), the
same backed by Arrow, and files of Parquet and CSV in the page cache. The best of the repeats counts. MLflow's digest looks at
the first 10,000 rows only, joblib's changes with how equal content is laid out. DVC's is MD5 over the file in blocks of
1 MiB: with ``--dvc`` its own function is timed in an environment that uv makes for it, else the same by hashlib.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from nbops.snapshot.fingerprint import fingerprint, fingerprint_file

DVC = """
import sys, time
from dvc_data.hashfile.hash import file_md5
from dvc_objects.fs.local import LocalFileSystem
best = 1e9
for _ in range(int(sys.argv[2])):
    began = time.perf_counter()
    file_md5(sys.argv[1], LocalFileSystem())
    best = min(best, time.perf_counter() - began)
print(best)
"""


def mixed(megabytes: float) -> pd.DataFrame:
    """Return a frame of about so many megabytes."""
    rows, random = int(megabytes * 8_350), np.random.default_rng(7)
    columns: dict[str, Any] = {f"float{n}": random.normal(size=rows) for n in range(6)}
    for name in ("float0", "float1", "float2"):
        columns[name][random.random(rows) < 0.02] = np.nan
    columns |= {f"int{n}": random.integers(0, 100_000, rows) for n in range(4)}
    columns["small"] = random.integers(0, 100, rows).astype("int16")
    columns["single"] = random.random(rows).astype("float32")
    columns["flag"] = random.random(rows) < 0.5
    columns["when"] = pd.Timestamp("2013-01-01") + pd.to_timedelta(random.integers(0, 30_000_000, rows), unit="s")
    columns["kind"] = pd.Categorical(random.choice(["economy", "business", "first"], rows))
    columns["tail"] = random.choice([f"N{n}{n % 7}AA" for n in range(4_000)], rows)
    columns["airport"] = random.choice(["JFK", "LGA", "EWR", "ORD", "Heathrow", "Charles de Gaulle"], rows)
    return pd.DataFrame(columns)


def seconds(work: Callable[[], object], repeat: int) -> float:
    """Return how long the fastest of the repeats takes."""
    best = float("inf")
    for _ in range(repeat):
        began = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - began)
    return best


def md5_of(path: Path) -> str:
    running = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            running.update(block)
    return running.hexdigest()


def dvc_seconds(path: Path, repeat: int) -> float:
    command = ["uv", "run", "--no-project", "--with", "dvc-data", "python", "-c", DVC, str(path), str(repeat)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def write_files(folder: Path, size: float) -> tuple[Path, Path]:
    """Write Parquet and CSV of about `size` bytes each."""
    table = pa.Table.from_pandas(mixed(50))
    parquet, csv = folder / "table.parquet", folder / "table.csv"
    with pa.parquet.ParquetWriter(parquet, table.schema, compression="none", use_dictionary=False) as writer:
        while parquet.stat().st_size < size:
            writer.write_table(table)
    with csv.open("wb") as stream:
        pa.csv.write_csv(table, stream)
        part = csv.stat().st_size
    block = csv.read_bytes()
    with csv.open("ab") as stream:
        for _ in range(max(0, int(size / part) - 1)):
            stream.write(block)
    return parquet, csv


def main() -> None:
    """Measure, and say what was reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gb", type=float, default=1.0, help="size of each file")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--dvc", action="store_true", help="time DVC's own function, in an environment made for it")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []

    def compare(name: str, size: float, ours: float, peer: float, *, ratio: float = 0.0, speed: float = 0.0) -> None:
        mine, theirs = size / ours / 1e9, size / peer / 1e9
        met = mine >= speed and mine / theirs >= ratio
        goal = f"{speed} GB/s" if speed else f"{ratio}x" if ratio else None
        rows.append({"name": name, "ours": mine, "peer": theirs, "ratio": mine / theirs, "goal": goal, "met": met})
        print(
            f"{name:<58} ours {mine:6.2f} GB/s   peer {theirs:6.2f} GB/s   {mine / theirs:7.1f}x   goal {goal or '-'}"
        )

    frame = mixed(200)
    size = float(frame.memory_usage(deep=True).sum())
    ours = seconds(lambda: fingerprint(frame), options.repeat)
    print(f"mixed frame: {size / 1e6:.0f} MB, {frame.shape[1]} columns, {ours * 1000:.0f} ms")
    peers: dict[str, tuple[Callable[[], object], float]] = {
        "joblib.hash": (lambda: joblib.hash(frame), 0.0),
        "pandas.util.hash_pandas_object": (lambda: pd.util.hash_pandas_object(frame), 2.0),
        "MLflow's digest (of 10,000 rows)": (_mlflow(frame), 30.0),
    }
    for peer, (work, goal) in peers.items():
        compare(f"mixed frame, {peer}", size, ours, seconds(work, options.repeat), ratio=goal)
    backed = frame.convert_dtypes(dtype_backend="pyarrow")
    size = float(backed.memory_usage(deep=True).sum())
    took = seconds(lambda: joblib.hash(backed), options.repeat)
    compare(
        "Arrow-backed frame, joblib.hash", size, seconds(lambda: fingerprint(backed), options.repeat), took, speed=3.0
    )
    with tempfile.TemporaryDirectory() as folder:
        hashes = "DVC's file_md5" if options.dvc else "MD5 as DVC's"
        for path in write_files(Path(folder), options.gb * 1e9):
            size = path.stat().st_size
            peer = (
                dvc_seconds(path, options.repeat) if options.dvc else seconds(lambda p=path: md5_of(p), options.repeat)
            )
            ours = seconds(lambda p=path: fingerprint_file(p), options.repeat)
            compare(f"{size / 1e9:.2f} GB of {path.suffix[1:]}, {hashes}", size, ours, peer)
        table = pa.parquet.read_table(Path(folder, "table.parquet"))
    size, took = float(table.nbytes), seconds(lambda: joblib.hash(table), 1)
    compare("its Arrow table, joblib.hash", size, seconds(lambda: fingerprint(table), options.repeat), took, speed=3.0)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


def _mlflow(frame: pd.DataFrame) -> Callable[[], object]:
    from mlflow.data.digest_utils import compute_pandas_digest

    return lambda: compute_pandas_digest(frame)


if __name__ == "__main__":
    main()
