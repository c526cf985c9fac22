"""``nbops status`` and ``nbops run --dry-run``: what would happen, why, at what cost."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from nbops.cli import status
from nbops.errors import SpecError
from nbops.notebook.document import new, write

HEAVY = "{'mlflow', 'papermill', 'pandas', 'sklearn', 'nbformat', 'nbclient', 'rich'}"


def invoke(*words: Any) -> Any:
    result = CliRunner().invoke(status.command, [str(word) for word in words], standalone_mode=False)
    if result.exception:
        raise result.exception
    return result


def states(root: Path, *words: str) -> dict[str, str]:
    return {stage["name"]: stage["state"] for stage in json.loads(invoke(root, *words, "--json").output)}


def replace_in(path: Path, old: str, by: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, by))


@pytest.mark.slow
def test_what_changed_is_named_with_its_diff(executed: Any) -> None:
    assert set(states(executed.root).values()) == {"current"}
    assert invoke(executed.root, "--exit-code").return_value == 0
    replace_in(executed.root / "make.ipynb", "i * scale", "i * scale + 1")
    replace_in(executed.root / "helper.py", "return sum", "return 1 + sum")
    (executed.root / "words.txt").write_text("oak elm fir")

    result = invoke(executed.root, "-p", "n=4")

    assert result.return_value == 0
    lines = [line.strip() for line in result.output.splitlines()]
    assert "cell 2 changed" in lines
    assert "-Path(numbers).write_text(json.dumps([i * scale for i in range(n)]))" in lines
    assert "+Path(numbers).write_text(json.dumps([i * scale + 1 for i in range(n)]))" in lines
    assert "parameter n: 3 → 4" in lines
    assert any(line.startswith("input words (words.txt): ") and "(11 B, " in line for line in lines)
    assert "? add   may be executed (depends on what make makes)" in lines
    assert "module helper (helper.py) changed" in lines
    assert "\x1b" not in result.output
    assert invoke(executed.root, "--exit-code").return_value == 1


@pytest.mark.slow
def test_outputs_that_are_gone_would_be_restored(executed: Any) -> None:
    (executed.root / "data/total.txt").unlink()
    assert states(executed.root) == {"make": "current", "tree": "current", "add": "restore"}
    assert "↺ add   would be restored (restores total)" in invoke(executed.root).output
    assert invoke(executed.root, "--exit-code").return_value == 0, "restoring executes nothing"
    assert not (executed.root / "data/total.txt").exists(), "status changes nothing"


@pytest.mark.slow
def test_secrets_are_shown_by_neither_status_nor_the_cache(executed: Any) -> None:
    executed.notebook("make.ipynb", "api_key = 'hunter2hunter2'\nx = 1", parameters="n = 2\nnumbers = ''")
    executed.yaml("stages:\n  make: {notebook: make.ipynb}\n")
    assert executed.outcomes() == {"make": "executed"}
    executed.notebook("make.ipynb", "api_key = 'hunter2hunter2'\nx = 2", parameters="n = 2\nnumbers = ''")

    shown = invoke(executed.root).output

    assert "+x = 2" in shown
    assert "hunter2" not in shown
    kept = (executed.root / ".nbops/cache/facts").glob("*.json")
    assert not any("hunter2" in path.read_text() for path in kept)


@pytest.mark.slow
def test_a_failed_execution_is_told_of(executed: Any) -> None:
    replace_in(executed.root / "tree.ipynb", "(leaves / word).mkdir", "1 / 0")
    assert executed.outcomes()["tree"] == "failed"

    assert "▸ tree  would be executed (its last execution failed)" in invoke(executed.root).output


@pytest.mark.slow
def test_without_facts_it_still_says_what(executed: Any) -> None:
    for path in (executed.root / ".nbops/cache/facts").iterdir():
        path.write_text("{")
    (executed.root / "helper.py").write_text("def add(path):\n    return 7\n")

    assert "would be executed (changed: module helper)" in invoke(executed.root).output


def test_targets_and_files_are_as_those_of_run(tiny: Any) -> None:
    (tiny.root / "other.yaml").write_text((tiny.root / "pipeline.yaml").read_text().replace("tree:", "forest:"))
    assert states(tiny.root, "add") == {"make": "execute", "add": "depends"}
    assert "forest" in states(tiny.root / "other.yaml")
    assert json.loads(invoke("--file", tiny.root / "other.yaml", "forest", "--json").output)[0]["name"] == "forest"
    assert "never executed" in invoke(tiny.root).output
    with pytest.raises(SpecError, match="did you mean 'tree'"):
        invoke(tiny.root, "tre")


@pytest.mark.slow
def test_fifty_stages_take_less_than_a_second_and_import_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "nbops.toml").touch()
    lines = ["stages:"]
    for i in range(50):
        cell = {"cell_type": "code", "source": f"source = ''\nmade = 'x{i}'", "metadata": {"tags": ["parameters"]}}
        write(tmp_path / f"n{i}.ipynb", new([cell, {**cell, "source": "import json, pandas", "metadata": {}}]))
        lines.append(f"  s{i}:\n    notebook: n{i}.ipynb\n    outputs: {{made: out/x{i}}}")
        lines += [f"    inputs: {{source: s{i - 1}.made}}"] if i else []
    (tmp_path / "pipeline.yaml").write_text("\n".join(lines))
    code = (
        "import sys; from nbops.cli import invoke; invoke(sys.argv[1:]); "
        f"assert not {HEAVY} & set(sys.modules), {HEAVY} & set(sys.modules)"
    )
    spent = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([sys.executable, "-c", code, "status", str(tmp_path)], capture_output=True, text=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.returncode == 0, done.stderr
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)

    assert done.stdout.count("be executed") >= 50
    assert min(spent) < 1.0
