"""Take the README's picture of the terminal: real commands in a pseudo-terminal, drawn as SVG.

Needs what ``requirements/pictures.in`` names, and a project that `make demo` has gone through.
"""

from __future__ import annotations

import os
import pty
import sys
from pathlib import Path

import pyte
from rich.console import Console
from rich.style import Style
from rich.text import Text
from workshop import BIN, ROOT

COLUMNS, LINES = 116, 400
PROJECT = "notebooks/flights"
JULY = ("--replay", f"{PROJECT}/data/flights.parquet", "--where", "scheduled.dt.month == 7")
COMMANDS = (
    ("run", PROJECT, "--force"),
    ("run", PROJECT),
    ("promote", PROJECT),
    ("package", PROJECT, "--force"),
    ("serve", PROJECT, *JULY),
)


def record(*arguments: str) -> pyte.Screen:
    """Return the screen after an nbops command."""
    screen = pyte.Screen(COLUMNS, LINES)
    screen.set_mode(pyte.modes.LNM)
    stream = pyte.ByteStream(screen)

    def read(descriptor: int) -> bytes:
        data = os.read(descriptor, 65536)
        stream.feed(data)
        return data

    os.environ |= {"COLUMNS": str(COLUMNS), "LINES": "50", "TERM": "xterm-256color"}
    status = pty.spawn([str(BIN / "nbops"), *arguments], read)
    if status:
        sys.exit(f"nbops {' '.join(arguments)} failed")
    return screen


def text_of(screen: pyte.Screen) -> Text:
    """Return a screen's content with its colours, without the empty lines at its end."""
    lines: list[Text] = []
    for row in range(LINES):
        line = Text()
        for column in range(COLUMNS):
            cell = screen.buffer[row][column]
            colour = None if cell.fg == "default" else cell.fg.replace("brown", "yellow")
            colour = f"#{colour}" if colour and len(colour) == 6 and not colour.isalpha() else colour
            line.append(cell.data, Style(color=colour, bold=cell.bold))
        line.rstrip()
        lines.append(line)
    while lines and not lines[-1].plain:
        lines.pop()
    return Text("\n").join(lines)


def main() -> None:
    """Write ``docs/images/demo.svg``."""
    console = Console(record=True, width=COLUMNS, file=Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
    for command in COMMANDS:
        console.print(Text.assemble(("$ ", "bold green"), ("nbops " + " ".join(command), "bold")))
        console.print(text_of(record(*command)))
        console.print()
    console.save_svg(str(ROOT / "docs" / "images" / "demo.svg"), title="nbops")


if __name__ == "__main__":
    main()
