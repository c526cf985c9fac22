"""A pipeline in the languages of other programs: Mermaid (which GitHub and JupyterLab draw) and Graphviz' dot."""

from __future__ import annotations

import json
from collections.abc import Iterator

from nbops.pipeline.drawing.scene import Figure, Scene

_MERMAID = {
    "current": "stroke:#2da44e",
    "restore": "stroke:#218bff",
    "execute": "stroke:#d4a72c",
    "depends": "stroke:#d4a72c,stroke-dasharray:5 3",
    "skip": "stroke:#8c959f,stroke-dasharray:5 3",
    "failed": "stroke:#e5534b",
}
_DOT = {
    "current": "#2da44e",
    "restore": "#218bff",
    "execute": "#d4a72c",
    "depends": "#d4a72c",
    "skip": "#8c959f",
    "failed": "#e5534b",
}


def mermaid(scene: Scene) -> str:
    """Return a Mermaid flowchart; stages have numbers for ids, because names may be words of Mermaid."""
    ids = {figure.name: f"s{number}" for number, figure in enumerate(scene.figures)}
    lines = ["flowchart TD"]
    for figure in scene.figures:
        text = "<br/>".join(_mermaid_text(line) for line in _lines(figure))
        lines.append(f'  {ids[figure.name]}["{text}"]:::{figure.condition}')
    for path, number in _files(scene).items():
        lines.append(f'  f{number}[/"{_mermaid_text(path)}"/]')
    lines += [f"  {ids[source]} --> {ids[target]}" for source, target in scene.edges]
    files = _files(scene)
    lines += [f"  f{files[path]} --> {ids[figure.name]}" for figure in scene.figures for path in figure.reads]
    lines += [f"  classDef {condition} {_MERMAID[condition]},stroke-width:2px" for condition, _ in scene.legend]
    return "\n".join(lines) + "\n"


def dot(scene: Scene) -> str:
    """Return a Graphviz digraph."""
    return "\n".join(["digraph pipeline {", *_dot_lines(scene), "}", ""])


def _dot_lines(scene: Scene) -> Iterator[str]:
    yield f"  label={_quoted(scene.name)}; rankdir=TB; node [shape=box, style=rounded, fontname=monospace];"
    for figure in scene.figures:
        style = ', style="rounded,dashed"' if figure.condition == "depends" else ""
        label = _quoted("\n".join(_lines(figure)))
        yield f'  {_quoted(figure.name)} [label={label}, color="{_DOT[figure.condition]}"{style}];'
    for path in _files(scene):
        yield f"  {_quoted('file:' + path)} [label={_quoted(path)}, shape=note, style=solid];"
    for source, target in scene.edges:
        yield f"  {_quoted(source)} -> {_quoted(target)};"
    for figure in scene.figures:
        for path in figure.reads:
            yield f"  {_quoted('file:' + path)} -> {_quoted(figure.name)};"


def _lines(figure: Figure) -> tuple[str, ...]:
    """Return what stands in a stage's box; files that go in are boxes of their own here."""
    return (figure.title, *(f"→ {path}" for path in figure.makes))


def _files(scene: Scene) -> dict[str, int]:
    paths = dict.fromkeys(path for figure in scene.figures for path in figure.reads)
    return {path: number for number, path in enumerate(paths)}


def _mermaid_text(text: str) -> str:
    for character in '#&<>"`':  # the first one first: it begins what the others become
        text = text.replace(character, f"#{ord(character)};")
    return text


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
