"""What Python reports of a statement: the user's files and code, not the thousands of a library's at an import."""

from __future__ import annotations

import collections
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nbops.tracking import audit


@pytest.fixture
def heard() -> Iterator[list[tuple[str, Any]]]:
    found: list[tuple[str, Any]] = []
    audit.listen(lambda event, arguments: found.append((event, arguments[0])))
    yield found
    audit.listen(None)


def test_files_of_libraries_are_left_out_and_links_out_of_them_are_not(
    heard: list[tuple[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path / "library"
    own = tmp_path / "own"
    for folder in (library / "package", own):
        folder.mkdir(parents=True)
        (folder / "module.py").touch()
    (library / "linked").symlink_to(own)
    (library / "module.py").symlink_to(own / "module.py")
    monkeypatch.setattr("nbops.tracking.flow.places.library_folders", lambda: (f"{library}/",))
    opened = [
        library / "package" / "module.py",
        library / "linked" / "module.py",
        library / "module.py",
        own / "module.py",
    ]
    heard.clear()
    for path in opened:
        open(path).close()  # noqa: PTH123
    assert [Path(path) for event, path in heard if event == "open"] == opened[1:]


def test_an_import_of_a_library_says_next_to_nothing(heard: list[tuple[str, Any]]) -> None:
    stdlib = Path(sysconfig.get_paths()["stdlib"])
    exec(compile("x = 1", str(stdlib / "some.py"), "exec"), {})
    (stdlib / "this.py").open().close()
    collections.namedtuple("Pair", "a b")
    assert heard == []
    exec(compile("x = 1", "<string>", "exec"), {"__name__": "__main__"})
    assert [event for event, _ in heard] == ["exec"]


def test_it_is_silent_when_the_interpreter_ends() -> None:
    code = (
        "from nbops.tracking import audit\n"
        "class Late:\n    def __del__(self, opened=open): opened('/dev/null').close(); exec('x = 1', {})\n"
        "audit.listen(lambda event, arguments: None)\nimport sys; sys.late = Late()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
