"""Pin what works together, with hashes and without addresses: ``requirements/*.lock``. See `make lock`."""

from __future__ import annotations

from workshop import PYTHON, ROOT, run

FLAGS = ("--universal", "--python-version", "3.11", "--generate-hashes", "--no-emit-index-url", "--no-emit-find-links")
QUIET = ("--no-header", "--no-annotate", "--quiet")


def main() -> None:
    """Write the locks; the demo's pins are those of the tests."""
    folder = ROOT / "requirements"
    test, demo = folder / "test.lock", folder / "demo.lock"
    groups = ("--group", "demo", "--group", "test")
    compile_ = (PYTHON, "-m", "uv", "pip", "compile", *FLAGS, *QUIET)
    run(*compile_, "pyproject.toml", *groups, "-o", test)
    run(*compile_, "pyproject.toml", "--group", "demo", "-c", test, "-o", demo)
    uv = folder / "uv.in"
    run(*compile_, uv, "-c", test, "-o", folder / "uv.lock")


if __name__ == "__main__":
    main()
