"""The cache: a pipeline of 50 stages with nothing to do, beside `dvc repro` on the same graph; and a gigabyte restored.

The first is measured in processor time of whole processes, medians of the rounds: 50 stages, ten wide and five deep, that
made a megabyte each. Their entries are written by nbops' own cache without kernels, since what was executed doesn't matter
here. DVC is run where a throw-away environment can be made with ``uv``. Restoring is measured in wall time, by each kind of
link that the file system has, beside ``shutil.copyfile``, a sync and a digest: the least that a verified copy needs.

python benchmarks/cache.py [--json FILE] [--repeat 3] [--bytes 1000000000] [--folder FOLDER]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nbops.notebook.document import new, write
from nbops.pipeline.cache import Entry
from nbops.pipeline.graph import order
from nbops.pipeline.hashing import Hasher, hash_file
from nbops.pipeline.links import LINKS
from nbops.pipeline.objects import Objects, remove
from nbops.pipeline.plan import Plan
from nbops.pipeline.spec import load
from nbops.project import Project

STAGES, WIDE = 50, 10
GOAL_SECONDS = 1.0
GOAL_RATIO = 3.0
STAGE_BYTES = 1 << 20


def lay_out(folder: Path) -> Path:
    """Write a pipeline of 50 stages, each of which needs one or two of the layer before, for nbops and for DVC."""
    folder.mkdir()
    (folder / "nbops.toml").touch()
    (folder / "out").mkdir()
    ours, theirs = ["stages:"], ["stages:"]
    tagged = {"cell_type": "code", "source": "one = ''\ntwo = ''\nmade = 'x'", "metadata": {"tags": ["parameters"]}}
    for i in range(STAGES):
        work = {"cell_type": "code", "source": f"import json, pandas\ndata = open(one).read()\nx = {i}", "metadata": {}}
        write(folder / f"n{i}.ipynb", new([tagged, *[work] * 8]))
        (folder / "out" / f"{i}.bin").write_bytes(os.urandom(STAGE_BYTES))
        needs = [i - WIDE, i - WIDE + 1][: 2 if (i + 1) % WIDE else 1] if i >= WIDE else []
        ours.append(f"  s{i}:\n    notebook: n{i}.ipynb\n    outputs: {{made: out/{i}.bin}}")
        if needs:
            given = ", ".join(f"{name}: s{j}.made" for name, j in zip(("one", "two"), needs, strict=False))
            ours.append(f"    inputs: {{{given}}}")
        deps = "".join(f"\n      - out/{j}.bin" for j in needs)
        theirs.append(f"  s{i}:\n    cmd: 'true'\n    deps:\n      - n{i}.ipynb{deps}\n    outs:\n      - out/{i}.bin")
    (folder / "pipeline.yaml").write_text("\n".join(ours), encoding="utf-8")
    (folder / "dvc.yaml").write_text("\n".join(theirs), encoding="utf-8")
    return folder


def fill(root: Path) -> None:
    """Write cache entries as if every stage had been executed and had made what lies there."""
    project = Project.find(root)
    pipeline = load(project)
    plan = Plan(project, pipeline)
    made: dict[str, Entry] = {}
    for name in order(pipeline):
        stage = pipeline.stages[name]
        key = plan.key(stage, made)
        outputs = {}
        for output, path in stage.outputs.items():
            content = outputs[output] = Hasher().content(path)  # type: ignore[assignment]
            plan.cache.objects.keep(path, content)  # type: ignore[arg-type]
        entry = Entry(key.digest, name, "0" * 32, outputs, created=time.time(), parts=key.parts, cells=key.cells)  # type: ignore[arg-type]
        plan.cache.put(entry, plan.facts(stage, made))
        made[name] = entry
    plan.remember()


def processor(command: list[str], folder: Path, repeat: int) -> tuple[float, str]:
    """Return the median processor seconds of a command, and what it said last."""
    said = ""
    times = []
    for _ in range(repeat + 1):  # the first one learns what the others may remember
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        said = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ""
    return statistics.median(times[1:]), said


def dvc(folder: Path, given: Path | None) -> tuple[list[str] | None, str]:
    """Return a command of DVC's in a throw-away environment, or why there is none."""
    if given:
        return [str(given)], ""
    uv = shutil.which("uv")
    if uv is None:
        return None, "uv isn't there"
    environment = folder / "dvc-environment"
    subprocess.run([uv, "venv", "-q", str(environment)], check=True)
    python = environment / "bin" / "python"
    done = subprocess.run([uv, "pip", "install", "-q", "--python", str(python), "dvc"], capture_output=True, text=True)
    return ([str(environment / "bin" / "dvc")], "") if done.returncode == 0 else (None, done.stderr.strip()[-200:])


def nothing_to_do(folder: Path, repeat: int, given: Path | None) -> list[dict[str, Any]]:
    """Measure runs with nothing to do."""
    root = lay_out(folder / "project")
    fill(root)
    time.sleep(0.2)  # files are remembered once they are older than the file system's clock is fine
    figures = {}
    for verb in ("run", "status", "graph"):
        figures[verb], said = processor([sys.executable, "-m", "nbops", verb], root, repeat)
        assert verb == "graph" or f"{STAGES} " in said, said
        print(f"nbops {verb:<8} {figures[verb]:6.3f} s   {said if verb != 'graph' else ''}")
    rows = [
        row(f"{STAGES} stages, nothing to do: nbops {verb}, CPU seconds", seconds, GOAL_SECONDS, 1.0)
        for verb, seconds in figures.items()
    ]
    command, why = dvc(folder, given)
    if command is None:
        print(f"dvc isn't measured: {why}")
        return rows
    subprocess.run([*command, "init", "--no-scm", "-q"], cwd=root, check=True)
    subprocess.run([*command, "config", "core.analytics", "false"], cwd=root, check=True)
    subprocess.run([*command, "commit", "-f", "-q"], cwd=root, check=True)
    peer, said = processor([*command, "repro"], root, repeat)
    print(f"dvc repro      {peer:6.3f} s   {said}")
    return [*rows, row(f"{STAGES} stages, nothing to do, beside dvc repro", figures["run"], peer, GOAL_RATIO)]


def restoring(folder: Path, size: int, repeat: int) -> list[dict[str, Any]]:
    """Measure restoring a file by each kind of link that the file system has."""
    source = folder / "big"
    with source.open("wb") as file:
        block = os.urandom(1 << 20)
        for number in range(size >> 20):
            file.write(number.to_bytes(8, "big") + block[8:])
    content = Hasher().content(source)
    assert content is not None
    target = folder / "restored"

    def plain() -> None:
        shutil.copyfile(source, target)
        with target.open("rb") as file:
            os.fsync(file.fileno())
            hashlib.file_digest(file, "sha256")

    peer = median(plain, target, repeat)
    print(f"copy and digest  {content.size / peer / 1e6:7.0f} MB/s")
    rows = []
    for link in LINKS:
        objects = Objects(folder / link, [link])
        objects.keep(source, content)
        [(_, kept)] = objects.paths()
        ours = median(lambda objects=objects: objects.restore(content, target), target, repeat)  # type: ignore[misc]
        objects.restore(content, target)
        used = "hardlink" if target.samefile(kept) else "copy" if link == "copy" or not can_reflink(folder) else link
        remove(target)
        remove(folder / link)
        print(f"restore, {link:<8} {content.size / ours / 1e6:7.0f} MB/s   done by {used}")
        if used == link:
            rows.append(row(f"{size / 1e9:g} GB restored and verified by {link}", ours, peer, 1.0))
    rate = content.size / median(lambda: hash_file(source), target, repeat) / 1e6
    print(f"digest alone     {rate:7.0f} MB/s")
    source.chmod(0o644)
    return rows


def can_reflink(folder: Path) -> bool:
    from nbops.pipeline.links import transfer

    (folder / "one").write_text("x")
    try:
        return transfer(folder / "one", folder / "two", ["reflink"]) == "reflink"
    finally:
        remove(folder / "two")


def median(work: Callable[[], object], target: Path, repeat: int) -> float:
    times = []
    for _ in range(repeat):
        remove(target)
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def row(name: str, ours: float, peer: float, goal: float) -> dict[str, Any]:
    ratio = peer / ours
    print(f"  {name}: {ratio:.2f}× (goal {goal}×)")
    return {"name": name, "ours": ours, "peer": peer, "ratio": ratio, "goal": goal, "met": ratio >= goal}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--bytes", type=int, default=10**9)
    parser.add_argument("--folder", type=Path, help="Where to work: on the file system to be measured.")
    parser.add_argument("--dvc", type=Path, help="A `dvc` that is installed already.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nbops-bench-", dir=options.folder) as name:
        folder = Path(name)
        rows = nothing_to_do(folder, options.repeat, options.dvc)
        rows += restoring(folder, options.bytes, options.repeat)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
