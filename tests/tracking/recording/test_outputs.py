"""What cells show is kept by reference: whole where it's small, its ends where it's large, and without secrets."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.interactiveshell import InteractiveShell

from kernels import Kernel
from nbops.project import Project
from nbops.tracking.recording import recorder
from nbops.tracking.recording.outputs import Shown, Text
from nbops.tracking.recording.records import Cell, Output, read

REPLACE = """
import sys
class Elsewhere:
    def write(self, text): pass
    def flush(self): pass
old = sys.stdout
sys.stdout = Elsewhere()
print('lost')
"""
Kept = tuple[str, str, bytes]
Show = Callable[[str], list[Kept]]


def _kept(project: Project, outputs: list[Output]) -> list[Kept]:
    folder = project.state / "outputs"
    return [(output.kind, output.mime, (folder / output.digest).read_bytes()) for output in outputs if output.digest]


def _cells(project: Project) -> list[Cell]:
    active = recorder.current()
    file = active.file if active else next(project.sessions.iterdir())
    return read(file).cells


def _last(project: Project) -> Cell:
    return _cells(project)[-1]


@pytest.fixture
def show(shell: InteractiveShell, project: Project) -> Show:
    """Return a function that runs a cell and returns what is kept of its outputs."""
    shell.run_cell("%load_ext nbops", store_history=True)

    def run(code: str) -> list[Kept]:
        shell.run_cell(code, store_history=True)
        end = _last(project).end
        assert end
        return _kept(project, end.outputs)

    return run


@given(st.lists(st.text(max_size=30), max_size=30))
def test_of_a_text_both_ends_are_kept(pieces: list[str]) -> None:
    whole, text = "".join(pieces), Text(40)
    for piece in pieces:
        text.add(piece)
    content, kept = text.kept(lambda part: part)
    size = len(whole.encode("utf-8", "replace"))
    assert text.size == size
    assert kept <= max(40, 0)
    if size <= 40:
        assert content.decode() == whole.encode("utf-8", "replace").decode()
    else:
        first, _, last = content.partition(f"\n[… {size - kept} bytes are not kept …]\n".encode())
        encoded = whole.encode("utf-8", "replace")
        assert encoded.startswith(first)
        assert encoded.endswith(last)


def test_a_gigabyte_in_pieces_is_held_in_megabytes() -> None:
    text, piece = Text(1_000_000), "x" * 999 + "\n"
    for _ in range(10_000):
        text.add(piece)
    big = piece * 1000
    for _ in range(990):
        text.add(big)
    assert text.size == 1_000_000_000
    content, kept = text.kept(lambda part: part)
    assert kept <= 1_000_000
    assert len(content) < 1_000_100


def test_a_display_that_is_updated_for_ever_is_one_output() -> None:
    shown = Shown(1000)
    shown.display("display", {"text/plain": "0"}, display_id="bar")
    for number in range(1000):
        shown.display("display", {"text/plain": str(number)}, display_id="bar", update=True)
        shown.display("display", {"text/html": "<b>"}, display_id="other", update=True)
    assert [item.content for item in shown.items.values() if not isinstance(item, Text)] == ["999"]
    for _ in range(1000):
        shown.display("display", {"text/plain": "x" * 10})
    assert len(shown.items) == 200
    assert shown.left_out == 8010


def test_a_shell_shows_text_results_and_displays(show: Show, capsys: pytest.CaptureFixture[str]) -> None:
    assert show("print('one'); print('two')\n3") == [
        ("stdout", "text/plain", b"one\ntwo\n"),
        ("result", "text/plain", b"3"),
    ]
    assert show("import sys; print('x', file=sys.stderr)") == [("stderr", "text/plain", b"x\n")]
    assert show("from IPython.display import HTML\ndisplay(HTML('<b>'))") == [("display", "text/html", b"<b>")]
    assert show("h = display('a', display_id='i'); h.update('b')") == [("display", "text/plain", b"'b'")]
    assert show("%%capture\nprint('captured')") == []
    assert show("1 / 0") == []
    assert show("x = 1;") == []
    assert "two" in capsys.readouterr().out


def test_too_much_is_cut_and_its_size_told(show: Show, project: Project) -> None:
    show("print('x' * 5_000_000)")
    end = _last(project).end
    assert end
    assert [(output.size, output.kept) for output in end.outputs] == [(5_000_001, 1_000_000)]
    show("display({'image/png': 'A' * 4_000_000}, raw=True)")
    end = _last(project).end
    assert end
    assert [(output.mime, output.digest, output.kept) for output in end.outputs] == [("image/png", "", 0)]


def test_no_secret_is_shown(show: Show) -> None:
    show("password = 'hunter2'\nimport os; os.environ['A_TOKEN'] = 'abc-123-def'")
    assert show("print(password, os.environ['A_TOKEN'], 'http://me:pw12@host')") == [
        ("stdout", "text/plain", b"*** *** ***\n")
    ]
    assert show("[password]") == [("result", "text/plain", b"['***']")]


def test_the_streams_are_left_as_they_were(show: Show, shell: InteractiveShell) -> None:
    import sys

    before = sys.stdout.write, shell.display_pub.publish
    show("print(1)")
    shell.run_cell("%nbops off", store_history=True)
    assert sys.stdout.write == before[0]
    assert "publish" not in shell.display_pub.__dict__


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory, isolated_environment: None) -> Iterator[Kernel]:
    root = tmp_path_factory.mktemp("outputs")
    (root / "nbops.toml").write_text("", encoding="utf-8")
    kernel = Kernel(root).start()
    kernel.run("%load_ext nbops")
    yield kernel
    kernel.stop()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("print('a'); import sys; print('b', file=sys.stderr)", [("stdout", b"a\n"), ("stderr", b"b\n")]),
        ("1 + 1", [("result", b"2")]),
        ("import subprocess; subprocess.run('echo fd', shell=True);", [("stdout", b"fd\n")]),
        (REPLACE, []),
        ("sys.stdout = old", []),
        ("print('seen')", [("stdout", b"seen\n")]),
        ("from threading import Thread; t = Thread(target=print, args=('t',)); t.start(); t.join()", None),
        (
            "from IPython.display import clear_output\nfor i in range(9): clear_output(wait=True); display(i)",
            [("display", b"8")],
        ),
        ("import asyncio\nawait asyncio.sleep(0.01)\ndisplay('late')", [("display", b"'late'")]),
        ("import ipywidgets\nipywidgets.IntSlider()", [("result", None)]),
        ("%matplotlib inline\nimport matplotlib.pyplot as plt\nplt.plot([1, 2]);", [("display", None)]),
        ("1 / 0", []),
    ],
)
def test_what_a_kernel_shows(kernel: Kernel, code: str, expected: list[tuple[str, bytes | None]] | None) -> None:
    kernel.run(code)
    kernel.run("pass")  # what a cell showed is written by the beginning of the next one at the latest
    project = Project.find(kernel.folder)
    end = _cells(project)[-2].end
    assert end
    kept = _kept(project, end.outputs)
    if expected is not None:
        assert [kind for kind, _, _ in kept] == [kind for kind, _ in expected]
        assert all(content in (None, found) for (_, content), (_, _, found) in zip(expected, kept, strict=True))
    if "plt" in code:
        assert kept[0][1] == "image/png"
        assert kept[0][2].startswith(b"\x89PNG")
    if "IntSlider" in code:
        assert kept[0][1] == "application/vnd.jupyter.widget-view+json"
