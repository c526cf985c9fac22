"""Pipelines drawn for terminals, as SVG, in Mermaid and dot."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from nbops.cli import graph
from nbops.notebook.document import new, write
from nbops.pipeline.drawing import languages
from nbops.pipeline.drawing.scene import Condition, Figure, Scene
from nbops.pipeline.drawing.svg import svg
from nbops.pipeline.drawing.terminal import drawing, legend

CONDITIONS: list[Condition] = ["current", "restore", "execute", "depends", "skip", "failed"]
SVG = "{http://www.w3.org/2000/svg}"
DOWN, RIGHT, LEFT = "│┐┌├┤┬┼▼", "─└┌├┬┴┼", "─┘┐┤┬┴┼"


def figure(name: str, *needs: str, condition: Condition = "current", **files: tuple[str, ...]) -> Figure:
    return Figure(name, condition, "why <not>", needs, files.get("reads", ()), files.get("makes", ()))


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    names = [f"stage{i}" for i in range(draw(st.integers(1, 10)))]
    figures = []
    for i, name in enumerate(names):
        needs = draw(st.lists(st.sampled_from(names[:i]), unique=True, max_size=3)) if i else []
        makes = tuple(f"data/{name}.{n}" for n in range(draw(st.integers(0, 2))))
        figures.append(figure(name, *needs, condition=draw(st.sampled_from(CONDITIONS)), makes=makes))
    return Scene("p", tuple(figures))


def followed(text: str) -> set[tuple[str, str]]:
    """Follow every line from box to box as an eye does: straight over crossings, both ways at junctions."""
    rows = text.split("\n")
    width = max(map(len, rows))
    rows = [row.ljust(width) for row in rows]
    owner: dict[tuple[int, int], str] = {}
    for y, row in enumerate(rows):
        for match in re.finditer(r"│ . (stage\d+)", row):
            left = match.start()
            right = row.index("│", left + 1)
            bottom = next(below for below in range(y, len(rows)) if rows[below][left] == "└")
            for below in range(y - 1, bottom + 1):
                owner |= {(x, below): match[1] for x in range(left, right + 1)}
    found = set()
    for (x, y), name in owner.items():
        if rows[y][x] == "┬":
            found |= {(name, target) for target in reached(rows, owner, x, y + 1)}
    return found


def reached(rows: list[str], owner: dict[tuple[int, int], str], x: int, y: int) -> set[str]:
    arms = {"│": "NS", "─": "EW", "└": "NE", "┘": "NW", "┌": "SE", "┐": "SW", "├": "NSE", "┤": "NSW"}
    arms |= {"┬": "SEW", "┴": "NEW", "┼": "NSEW", "▼": "NS"}
    steps = {"N": (0, -1, "S"), "S": (0, 1, "N"), "E": (1, 0, "W"), "W": (-1, 0, "E")}
    targets: set[str] = set()
    waiting, seen = [(x, y, "N")], set()
    while waiting:
        x, y, came = waiting.pop()
        if (x, y, came) in seen:
            continue
        seen.add((x, y, came))
        if (x, y) in owner:
            targets.add(owner[x, y])
            continue
        sign = rows[y][x]
        if came not in arms[sign]:
            # an interrupted line goes on behind the one that crosses it
            assert sign == "│", f"a line ends at {sign!r}"
            assert came in "EW"
            ways = {"E": "W", "W": "E"}[came]
        else:
            ways = arms[sign].replace(came, "")
        for way in ways:
            dx, dy, back = steps[way]
            waiting.append((x + dx, y + dy, back))
    return targets


@given(scenes())
@settings(max_examples=150, deadline=None)
def test_the_eye_finds_every_edge_and_no_other(scene: Scene) -> None:
    text = drawing(scene, 10_000)

    assert followed(text) == set(scene.edges)
    for one in scene.figures:
        assert all(line in text for line in one.lines)


def test_a_small_pipeline_looks_like_this() -> None:
    scene = Scene(
        "tiny",
        (
            figure("make", makes=("n.json",), condition="failed"),
            figure("add", "make", condition="depends", reads=("words.txt",)),
            figure("tree", "make"),
        ),
    )

    assert drawing(scene, 80).split("\n") == [
        "            ┌───────────┐",
        "            │ ✗ make    │",
        "            │ → n.json  │",
        "            └─────┬─────┘",
        "          ┌───────┴───────┐",
        "          ▼               ▼",
        "  ┌───────────────┐  ┌─────────┐",
        "  │ ? add         │  │ ✓ tree  │",
        "  │ ← words.txt   │  └─────────┘",
        "  └───────────────┘",
    ]
    assert legend(scene) == "✓ cached   ? may be executed   ✗ failed last time"


def test_what_is_too_wide_loses_its_files_and_then_becomes_a_list() -> None:
    middle = tuple(figure(f"part{i}", "first", makes=(f"data/long/name/of/part{i}",)) for i in range(4))
    scene = Scene("wide", (figure("first", reads=("in.csv",)), *middle, figure("last", *(one.name for one in middle))))

    assert "→ data/long" in drawing(scene, 200)
    narrow = drawing(scene, 80)
    assert "→ data/long" not in narrow
    assert "│ ✓ part3" in narrow
    assert max(map(len, narrow.split("\n"))) <= 80
    assert drawing(scene, 40).split("\n")[:2] == ["✓ first  ← in.csv", "✓ part0  ← first  → data/long/name/of/part0"]


@pytest.mark.parametrize("count", [3, 20, 50])
def test_layered_pipelines_of_all_sizes_fit_a_terminal(count: int) -> None:
    names = [f"stage{i}" for i in range(count)]
    figures = tuple(figure(name, *names[max(0, i - 3) : i : 2]) for i, name in enumerate(names))

    text = drawing(Scene("many", figures), 100)

    assert text.startswith(" ")
    assert text.count("▼") == sum(len(one.needs) for one in figures)


def test_svg_is_well_formed_and_brings_nothing_with_it() -> None:
    scene = Scene("a <b>", (figure("one&", makes=("x<y>.csv",)), figure("two", "one&", condition="failed")))

    text = svg(scene)

    tree = ET.fromstring(text)
    assert {element.tag for element in tree.iter()} <= {
        SVG + name for name in ("svg", "title", "style", "g", "rect", "text", "path")
    }
    assert [text.text for text in tree.iter(SVG + "text")][:2] == ["✓ one&", "→ x<y>.csv"]
    assert len([path for path in tree.iter(SVG + "path") if "tip" not in path.get("class", "")]) == 1
    assert "prefers-color-scheme: dark" in text
    assert "http" not in text.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.search(r"url\(|<script|@import|on\w+=", text)


def test_mermaid_and_dot_say_the_same() -> None:
    scene = Scene("p", (figure("end", makes=('a"b',), reads=("in.csv",)), figure("two", "end", condition="depends")))

    assert languages.mermaid(scene).split("\n")[:5] == [
        "flowchart TD",
        '  s0["✓ end<br/>→ a#34;b"]:::current',
        '  s1["? two"]:::depends',
        '  f0[/"in.csv"/]',
        "  s0 --> s1",
    ]
    dot = languages.dot(scene)
    assert '  "end" -> "two";' in dot
    assert '"✓ end\\n→ a\\"b"' in dot
    assert dot.count("{") == dot.count("}") == 1


def chain(root: Path, *names: str) -> Path:
    (root / "nbops.toml").touch()
    lines = ["stages:"]
    cell = {"cell_type": "code", "source": "source = ''\nmade = 'x'", "metadata": {"tags": ["parameters"]}}
    for before, name in pairwise(["", *names]):
        write(root / f"{name}.ipynb", new([cell]))
        lines.append(f"  {name}:\n    notebook: {name}.ipynb\n    outputs: {{made: {name}.out}}")
        lines += [f"    inputs: {{source: {before}.made}}"] if before else []
    (root / "pipeline.yaml").write_text("\n".join(lines))
    return root


def test_the_command_writes_what_the_files_ending_says(tmp_path: Path) -> None:
    root = chain(tmp_path, "one", "two")

    def said(*words: str) -> str:
        result = CliRunner().invoke(graph.command, [str(root), *words], catch_exceptions=False)
        assert result.exit_code == 0
        return result.stdout

    assert "│ ▸ one" in said()
    assert "▸ would be executed   ? may be executed" in said()
    assert "two" not in said("one")
    assert said("--format", "mermaid").startswith("flowchart TD")
    for name, begins in {"g.svg": "<svg", "g.mmd": "flowchart", "g.dot": "digraph", "g.txt": " "}.items():
        assert said("-o", str(tmp_path / name)) == f"wrote {tmp_path / name}\n"
        assert (tmp_path / name).read_text().startswith(begins)
    assert [one["needs"] for one in json.loads(said("--format", "json"))["figures"]] == [[], ["one"]]
