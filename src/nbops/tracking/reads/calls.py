"""Functions that tell of their calls, wherever they were imported to, and whenever.

A Python function keeps its identity: its code is exchanged for one that calls a copy of the function as it was, and then
tells. So `read_csv` that a cell imported before nbops was loaded tells as well, and pickle finds it by the same name. What
isn't a Python function is replaced where it is looked up: in its module, and in modules of the user. Only the outermost of
nested calls is told, in each thread by itself; what the user sees of a call (answer, exception, warnings' lines) is the same.
"""

from __future__ import annotations

import functools
import sys
import threading
import types
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from nbops.tracking.reads.places import is_library
from nbops.tracking.reads.read import Read

Listener = Callable[[Read], None]
Guard = Callable[[Callable[[], None]], None]
Teller = Callable[[tuple[Any, ...], dict[str, Any], Any], Read | None]

_originals: dict[str, tuple[Callable[..., Any], Teller]] = {}
_local = threading.local()
_listener: Listener | None = None
_guard: Guard | None = None
_CODE = """
def factory({free}):
    def call(*args, **kwargs):
        __tracebackhide__ = True
        from nbops.tracking.reads.calls import begin, end
        function = begin({key!r})
        try:
            answer = function(*args, **kwargs)
        except BaseException:
            end()
            raise
        end({key!r}, args, kwargs, answer)
        return answer
        {use}
    return call
"""


def listen(listener: Listener | None, guard: Guard | None = None) -> None:
    """Tell `listener`, and no other, from now on; None: nobody."""
    global _listener, _guard
    _listener, _guard = listener, guard


def listening() -> bool:
    """Whether somebody is told."""
    return _listener is not None


def guarded(job: Callable[[], None]) -> None:
    """Do a job whose failure is the listener's matter, and not that of the code that reads."""
    if _guard is not None:
        _guard(job)
    else:
        job()


def tell(read: Callable[[], Read | None]) -> None:
    """Tell the listener what `read` says of a call, unless it is part of another."""
    if _listener is not None and not inside():
        guarded(lambda: _tell(read()))


def in_foreign_thread() -> bool:
    """Whether this thread works for nbops, or was made by a library outside of Python."""
    return threading.current_thread().name.startswith(("nbops", "Dummy-"))


def inside() -> bool:
    """Whether this thread is inside of a reader that will tell by itself."""
    return bool(getattr(_local, "depth", 0))


def begin(key: str) -> Callable[..., Any]:
    """Enter a call; return the function as it was."""
    _local.depth = getattr(_local, "depth", 0) + 1
    return _originals[key][0]


def end(
    key: str | None = None, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None, answer: Any = None
) -> None:
    """Leave a call; tell of it if it was the outermost and gave an answer."""
    if key is not None and _listener is not None and _local.depth == 1 and not _by_library(key, sys._getframe(2)):
        guarded(lambda: _tell(_originals[key][1](args, kwargs or {}, answer)))
    _local.depth -= 1


def _by_library(key: str, caller: FrameType) -> bool:
    """Whether a library calls its own reader, in a thread of its own say, or one that looks after runs calls it."""
    root = str(caller.f_globals.get("__name__", "")).partition(".")[0]
    return root in (key.partition(".")[0], "mlflow", "nbops")


def _tell(read: Read | None) -> None:
    if read is not None and _listener is not None and not in_foreign_thread():
        _listener(read)


def first_argument(reader: str, name: str, position: int = 0) -> Teller:
    """Return what tells of a function that reads from its argument `name`."""

    def told(args: tuple[Any, ...], kwargs: dict[str, Any], answer: Any) -> Read:
        return Read(reader, args[position] if len(args) > position else kwargs.get(name), answer)

    return told


def intercept(holder: Any, name: str, teller: Teller) -> None:
    """Let the function `name` of a module or class tell of its calls; none if there is no such function."""
    function = vars(holder).get(name)
    key = f"{holder.__name__}.{name}"
    if function is None or key in _originals or not callable(function):
        return
    if isinstance(function, types.FunctionType):
        _exchange(function, key, teller)
    elif not isinstance(holder, type):
        _originals[key] = (function, teller)
        replace(holder, name, function, _calling(function, key, holder))


def _exchange(function: types.FunctionType, key: str, teller: Teller) -> None:
    copy = types.FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    copy.__qualname__ = function.__qualname__
    copy.__dict__.update(function.__dict__)
    _originals[key] = (copy, teller)
    function.__wrapped__ = copy  # type: ignore[attr-defined]  # inspect finds the signature there
    function.__code__ = _code(function, key)


def _code(function: types.FunctionType, key: str) -> types.CodeType:
    # the new code must close over as many names: it does nothing with them
    free = [f"free_{number}" for number in range(len(function.__code__.co_freevars))]
    source = _CODE.format(free=", ".join(free), key=key, use="; ".join(free) or "pass")
    namespace: dict[str, Any] = {}
    exec(source, namespace)
    made: types.CodeType = namespace["factory"](*([None] * len(free))).__code__
    folder = _folder(function.__globals__)
    # a library blames its warnings on the first caller outside of its own folder: that must stay the user's line
    return made.replace(
        co_filename=str(folder / "<nbops>"), co_name=function.__name__, co_qualname=function.__qualname__
    )


def _calling(function: Callable[..., Any], key: str, module: Any) -> Callable[..., Any]:
    namespace: dict[str, Any] = {"__name__": module.__name__}
    exec(_CODE.format(free="", key=key, use="pass"), namespace)
    call: Callable[..., Any] = namespace["factory"]()
    functools.update_wrapper(call, function)
    call.__module__ = module.__name__
    call.__code__ = call.__code__.replace(co_filename=str(_folder(vars(module)) / "<nbops>"))
    return call


def _folder(names: dict[str, Any]) -> Path:
    root = sys.modules.get(str(names.get("__name__", "")).partition(".")[0])
    return Path(getattr(root, "__file__", None) or "library").parent


def replace(holder: Any, name: str, old: Any, new: Any) -> None:
    """Put `new` in the place of `old`, in its module and wherever modules of the user hold it."""
    setattr(holder, name, new)
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if module is holder or not (module.__name__ == "__main__" or (file and not is_library(file))):
            continue
        for place, value in list(vars(module).items()):
            if value is old:
                setattr(module, place, new)
