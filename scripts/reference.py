"""Write ``docs/reference/cli.md`` from the commands' own help. See `make docs`."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from workshop import BIN, ROOT

VERBS = (
    *("init", "run", "status", "graph", "logs", "schema", "runs", "show", "diff", "baseline", "restore", "reproduce"),
    *("stale", "history", "last", "gc", "recover", "promote", "package", "serve", "lab"),
)
HEAD = "# Command line\n\nWritten by `make docs` from each command's `--help`.\n"
TAIL = """
## Exit codes

| code | meaning |
| --- | --- |
| 0 | done |
| 1 | it failed: a stage, a gate, a proof, a reproduction that differs; with `--exit-code` there is something to do |
| 2 | wrong use, or a pipeline that can't be meant |
| 75 | another pipeline run holds the project; try again later |
| 130 | interrupted by Ctrl-C |

`--debug` before the verb shows the traceback of an error. `NO_COLOR` switches colours off.
"""


def help_of(*verb: str) -> str:
    """Return a command's help, 100 columns wide."""
    variables = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1"}
    answer = subprocess.run([BIN / "nbops", *verb, "--help"], capture_output=True, text=True, check=True, env=variables)
    return answer.stdout.rstrip()


def main() -> None:
    """Write the page."""
    parts = [HEAD, f"```text\n{help_of()}\n```\n"]
    parts += [f"## nbops {verb}\n\n```text\n{help_of(verb)}\n```\n" for verb in VERBS]
    path: Path = ROOT / "docs" / "reference" / "cli.md"
    path.write_text("\n".join([*parts, TAIL.lstrip()]), encoding="utf-8")
    print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
