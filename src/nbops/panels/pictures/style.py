"""The colours of pictures and pages, light and dark: what a page, JupyterLab's theme or VS Code's says."""

from __future__ import annotations

from pathlib import Path

SERIES = 8

_HERE = Path(__file__).parent
_NAMES = (
    "ink",
    "soft",
    "line",
    "surface",
    "raised",
    "better",
    "worse",
    "different",
    "same",
    "added",
    "removed",
    "edited",
)
_LIGHT = (
    *("#1f2328", "#59636e", "#d1d9e0", "#ffffff", "#f6f8fa"),
    *("#1a7f37", "#cf222e", "#0969da", "#818b98"),
    *("#dafbe1", "#ffebe9", "#9a6700"),
    *("#0969da", "#bc4c00", "#1a7f37", "#8250df", "#bf3989", "#1b7c83", "#9a6700", "#57606a"),
)
_DARK = (
    *("#e6edf3", "#9198a1", "#3d444d", "#0d1117", "#151b23"),
    *("#3fb950", "#f85149", "#58a6ff", "#8b949e"),
    *("#12301c", "#3c1618", "#d29922"),
    *("#58a6ff", "#f0883e", "#3fb950", "#bc8cff", "#f778ba", "#39c5cf", "#d29922", "#8b949e"),
)


def css(*, page: bool = True) -> str:
    """Return the style of pictures, with that of tables and code for a page."""
    light, dark = _variables(_LIGHT), _variables(_DARK)
    told = "[data-jp-theme-light]", ".vscode-light", ".vscode-dark"
    rules = [
        f".nbops {{ {light} }}",
        f"@media (prefers-color-scheme: dark) {{ .nbops {{ {dark} }} }}",
        f"{told[0][:-1]}=true] .nbops, {told[1]} .nbops {{ {light} }}",  # where a theme is told, it counts
        f"{told[0][:-1]}=false] .nbops, {told[2]} .nbops {{ {dark} }}",
    ]
    rules.append(f"{told[0]} .nbops {{ --nb-surface: var(--jp-layout-color0); }}")
    for number in range(SERIES):
        rules.append(f".nbops .nb-s{number} {{ stroke: var(--nb-{number}); }}")
        rules.append(
            f".nbops circle.nb-s{number}, .nbops .nb-key.nb-s{number} "
            f"{{ fill: var(--nb-{number}); background: var(--nb-{number}); }}"
        )
    files = ("drawn.css", "page.css") if page else ("drawn.css",)
    return "\n".join([*rules, *((_HERE / name).read_text(encoding="utf-8") for name in files)])


def _variables(colours: tuple[str, ...]) -> str:
    names = (*_NAMES, *map(str, range(SERIES)))
    return " ".join(f"--nb-{name}: {colour};" for name, colour in zip(names, colours, strict=True))
