"""``%load_ext nbops``, ``%nbops`` and ``%%nbops``: the notebook's face.

Loading starts the recorder. The magics hold no logic: a line magic switches recording off and on, tells its status, or
runs the command of the same name as the CLI's; a cell magic runs its cell inside a run, as the scoring cell, or without a
record of it.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import shlex
import sys
import traceback
from typing import TYPE_CHECKING, Any

from nbops.errors import NbopsError, TrackingError, nearest

if TYPE_CHECKING:
    from nbops.tracking.recording.recorder import Recorder

_CELL_VERBS = ("fails", "run", "score", "skip")
_LINE_VERBS = ("off", "on", "status")
_FACE = "nbops"


def load_ipython_extension(shell: Any, *, from_next_cell: bool = False) -> None:
    """Start recording in an IPython shell and register the magics; loading twice changes nothing.

    The cell that loads it is recorded, unless `from_next_cell`. Where nothing can be recorded, such as in a read-only
    folder, that is said, and the notebook goes on without.
    """
    from nbops.project import Project
    from nbops.tracking.recording import recorder

    def face(line: str, cell: str | None = None) -> Any:
        return nbops_magic(shell, line, cell)

    face.__doc__ = nbops_magic.__doc__  # what `%nbops?` shows
    shell.register_magic_function(face, "line_cell", _FACE)
    for prefix in ("%", "%%"):
        shell.set_hook("complete_command", _completions, str_key=f"{prefix}{_FACE}")
    active = recorder.of_kernel()
    if active is not None and active.shell is shell:
        return
    try:
        recorder.Recorder(shell, Project.find()).start(from_next_cell=from_next_cell)
    except TrackingError as error:
        sys.stderr.write(f"nbops: {error}\n")
    except NbopsError as error:
        raise _usage_error(error) from None


def unload_ipython_extension(shell: Any) -> None:
    """Stop recording; what was recorded stays."""
    from nbops.tracking.recording import recorder

    active = recorder.of_kernel()
    if active is not None and active.shell is shell:
        active.autologging.unwatch()
        active.close()


def nbops_magic(shell: Any, line: str, cell: str | None = None) -> Any:
    """Switch recording, run a command, or run a cell in a way of its own.

    %nbops off                  record nothing, make no runs of fits
    %nbops on                   record again, this cell included
    %nbops status               tell whether recording is on, and where to
    %nbops status .             tell what a run of the pipeline would do, and why; also status STAGE
    %nbops VERB ...             any command of the command line: %nbops runs, %nbops show latest

    %%nbops run NAME [-p NAME=VALUE] [-t NAME=VALUE]
                                run the cell inside a run
    %%nbops skip                run the cell without a record of its code, values and outputs; fits in it make no runs
    %%nbops fails               run a cell that fails, as it did in a restored run: say how, and go on
    %%nbops score --input NAME --output NAME
                                run the cell, and take it as how a model is scored
    """
    if cell is None:
        return _line(line)
    verb, _, rest = line.strip().partition(" ")
    try:
        if verb == "skip":
            _options("skip", rest)
            return _execute(shell, cell)
        if verb == "fails":
            _options("fails", rest)
            return _let_fail(shell, cell)
        if verb == "run":
            return _run_cell(shell, _options("run", rest), cell)
        if verb == "score":
            return _score_cell(shell, _options("score", rest), cell)
    except NbopsError as error:
        raise _usage_error(error) from None
    raise _usage_error(NbopsError(f"no cell magic '%%nbops {verb}'", remedy=nearest(verb, _CELL_VERBS)))


def _line(line: str) -> None:
    import click

    from nbops.cli import invoke
    from nbops.tracking.recording import recorder

    if active := recorder.current():
        active.flush()
    try:
        words = _split(line) or ["--help"]
        # with words behind it, status is the pipeline's: `%nbops status .`
        if words[0] in _LINE_VERBS and (words[0] != "status" or not words[1:]):
            _switch(words[0], words[1:])
        else:
            invoke(words)
    except NbopsError as error:
        raise _usage_error(error) from None
    except click.ClickException as error:
        raise _usage_error(NbopsError(error.format_message(), where="%nbops")) from None


def _switch(verb: str, rest: list[str]) -> None:
    """Switch recording off or on, or tell whether it's on."""
    from nbops.tracking.recording import recorder

    if rest:
        raise NbopsError(f"'{rest[0]}' is too much", where=f"%nbops {verb}", remedy=f"%nbops {verb}")
    active = recorder.of_kernel()
    if active is None:
        raise NbopsError("nothing is recorded in this kernel", where=f"%nbops {verb}", remedy="%load_ext nbops")
    if verb == "off":
        active.pause()
    elif verb == "on":
        active.resume()
    place = active.project.relative(active.file)
    if recorder.current() is active:
        sys.stdout.write(
            f"nbops: recording is on: notebook {active.notebook or 'unknown'}, cell {active.seq} in {place}\n"
        )
    else:
        sys.stdout.write("nbops: recording is off until %nbops on: cells leave no record, fits make no runs\n")


def _split(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError as error:  # a quotation without an end
        raise NbopsError(f"can't be read: {error}", where="nbops", remedy=f"nbops {line}") from None


def _completions(_: Any, event: Any) -> list[str]:
    """Return what may follow `%nbops` or `%%nbops`."""
    import click

    from nbops.cli import group

    words = event.line.split()
    if len(words) > 2 or (len(words) == 2 and event.line.endswith(" ")):
        return []
    if words[0].startswith("%%"):
        return sorted(_CELL_VERBS)
    return sorted({*group.list_commands(click.Context(group)), *_LINE_VERBS})


def _run_cell(shell: Any, options: argparse.Namespace, cell: str) -> Any:
    from nbops.tracking.runs import run

    _recorder()
    with run(options.name, params=dict(options.param), tags=dict(options.tag)):
        return _execute(shell, cell)


def _let_fail(shell: Any, cell: str) -> Any:
    """Run a cell that failed when it was recorded: what it did before counts, and whoever executes the notebook goes on."""
    try:
        return _execute(shell, cell)
    except NbopsError:
        raise
    except Exception as error:  # noqa: BLE001  # it did so before, and nobody handled it then
        sys.stderr.write("".join(traceback.format_exception_only(error)))
        return None


def _score_cell(shell: Any, options: argparse.Namespace, cell: str) -> Any:
    from nbops.promotion import capture

    frame = capture.input_frame(shell.user_ns, options.input)
    shown = _execute(shell, cell)
    capture.record(_recorder(), cell, options.input, options.output, frame)
    return shown


def _recorder() -> Recorder:
    from nbops.tracking.recording import recorder

    active = recorder.current()
    if active is None:
        remedy = "%nbops on" if recorder.of_kernel() else "%load_ext nbops"
        raise NbopsError("nothing is recorded in this kernel", remedy=remedy)
    return active


def _execute(shell: Any, cell: str) -> Any:
    """Run a cell's code in the user's namespace as if it stood alone; return the value of a last expression."""
    source = shell.transform_cell(cell)
    name = shell.compile.cache(source, shell.execution_count, raw_code=cell)
    tree = ast.parse(source, filename=name)
    _refuse_await(tree, name)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    flags = shell.compile.flags  # such as `from __future__ import annotations` in a cell before
    exec(compile(tree, name, "exec", flags, dont_inherit=True), shell.user_ns)
    if last is None:
        return None
    value = eval(compile(ast.Expression(last.value), name, "eval", flags, dont_inherit=True), shell.user_ns)
    return None if source.rstrip().endswith(";") else value


def _refuse_await(tree: ast.Module, name: str) -> None:
    code = compile(tree, name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    if code.co_flags & inspect.CO_COROUTINE:
        raise NbopsError(
            "a cell magic can't await: Jupyter's own loop is running it",
            where="%%nbops",
            remedy='in a cell without the magic: `with nbops.run("name"): ...`, which may await',
        )


def _options(verb: str, line: str) -> argparse.Namespace:
    parser = _Parser(prog=f"%%nbops {verb}", add_help=False)
    if verb == "run":
        parser.add_argument("name")
        parser.add_argument("-p", "--param", action="append", default=[], type=_pair)
        parser.add_argument("-t", "--tag", action="append", default=[], type=_pair)
    elif verb == "score":
        parser.add_argument("--input", required=True)
        parser.add_argument("--output", required=True)
    return parser.parse_args(_split(line))


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise argparse.ArgumentTypeError(f"'{text}' isn't NAME=VALUE")
    return key, value


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        raise NbopsError(message, where=self.prog, remedy=self.format_usage().strip())


def _usage_error(error: NbopsError) -> Exception:
    """Return IPython's own error for wrong use, which it shows as one line without a traceback."""
    from IPython.core.error import UsageError

    return UsageError(str(error))  # type: ignore[no-any-return]
