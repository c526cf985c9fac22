"""What is secret: names that sound so, the values that such names hold, and what the project says.

A name is secret by its words, or by a pattern of ``[tracking] redact``. The values that secret names hold now, in the
notebook's namespace and in the environment, are looked for in everything that is recorded, together with their escaped
and quoted forms: short ones as whole words only. There is one set of rules a process, told by the recorder.
"""

from __future__ import annotations

import os
import re
import urllib.parse
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fnmatch import translate
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

MASK = "***"
_WORD = (
    r"(?:\w*passwords?|passwd|passphrase|passcode|pwd|pass|secrets?|token|api_?keys?|access_?keys?|account_?key|private_?key|"
    r"secret_?key|credentials?|auth|authorization|signature|connection_?string|dsn)"
)
_SECRET_NAME = re.compile(rf"(?i)(?:^|[_\-.]){_WORD}(?:$|[_\-.\d])")
_NO_SECRET = re.compile(
    r"(?i)(?:^|_)(?:pad|eos|bos|unk|sep|cls|mask|stop|start|end|special|image|video)_token|"
    r"_(?:resource|type|method|ur[il]|endpoint|field|path|file|column|scheme|provider|class|length|count|size|env)s?$"
)
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WEAK = re.compile(r"(?i)^(?:token|auth|signature|pass)$")  # what loops over words and settings are called, too
_PASSWORD = re.compile(r"://[^\s:/@'\"]{0,200}:([^\s/@'\"]{1,200})@")
_COMMON = frozenset(
    {"true", "false", "none", "null", "auto", "basic", "bearer", "default", "required", "optional", MASK}
)
_FOLDERS = frozenset({"PWD", "OLDPWD"})
_SHORTEST, _LONGEST, _ANYWHERE, _DEPTH, _MOST, _MOST_TOLD = 4, 10_000, 8, 3, 200, 2000

_patterns: re.Pattern[str] | None = None
_regexes: tuple[re.Pattern[str], ...] = ()
_values: frozenset[str] = frozenset()
_finder: re.Pattern[str] | None = None
_noted: list[tuple[str, str]] | None = None


def configure(rules: Iterable[str]) -> None:
    """Take the project's rules (see `Project.redact`) instead of those before."""
    global _patterns, _regexes
    names = [rule for rule in rules if not rule.startswith("re:")]
    _patterns = re.compile("(?i:" + "|".join(translate(name) for name in names) + ")") if names else None
    _regexes = tuple(re.compile(rule[3:]) for rule in rules if rule.startswith("re:"))
    sounds_secret.cache_clear()
    learn(())


@lru_cache(maxsize=100_000)
def sounds_secret(name: str) -> bool:
    """Whether a variable or parameter of this name is likely to hold a secret."""
    if _patterns and _patterns.match(name):
        return True
    spread = _HUMP.sub("_", name).replace("-", "_")
    return bool(_SECRET_NAME.search(spread)) and not _NO_SECRET.search(spread)


def is_listed(name: str) -> bool:
    """Whether the project itself says that a name is secret."""
    return bool(_patterns and _patterns.match(name))


def is_weak(name: str) -> bool:
    """Whether a name is secret by a word that other things are called, too."""
    return bool(_WEAK.search(name))


def learn(values: Iterable[str]) -> None:
    """Look for these values, and no other, from now on."""
    global _values, _finder
    found = frozenset(values)
    if found == _values:
        return
    _values = found
    _finder = _finder_of(found)


def note(name: str, value: str) -> None:
    """Tell whoever is `noting` of a value that was masked."""
    if _noted is not None:
        _noted.append((name, value))


@contextmanager
def noting() -> Iterator[list[tuple[str, str]]]:
    """Collect the names and values that are masked meanwhile."""
    global _noted
    before, _noted = _noted, []
    try:
        yield _noted
    finally:
        _noted = before


def mask(text: str) -> str:
    """Return a text with all known values, and all that the project's expressions find, masked."""
    if _finder:
        text = _finder.sub(MASK, text)
    for regex in _regexes:
        text = regex.sub(MASK, text)
    return text


def mask_these(text: str, told: Iterable[tuple[str, str]]) -> str:
    """Return a text with the values of these secrets, and no other, masked."""
    finder = _finder_of(value for name, given in told for value in _texts(name, given, 1))
    return finder.sub(MASK, text) if finder else text


def rules() -> tuple[object, ...]:
    """Return what is masked now, to tell whether a text was masked by the same rules."""
    return _values, _patterns, _regexes


def masks_anything() -> bool:
    """Whether there is any value or expression to look for."""
    return bool(_finder or _regexes)


def lists_names() -> bool:
    """Whether the project says of names that they are secret: then no text is above suspicion."""
    return _patterns is not None


class Secrets:
    """Finds the values that secret names hold, anew whenever it's asked, without going through all names each time.

    Parameters
    ----------
    namespace
        The notebook's; new names are added at its end.
    """

    def __init__(self, namespace: dict[str, Any]) -> None:
        self._namespace = namespace
        self._names: set[str] = set()
        self._known = 0
        self._variables: dict[Any, Any] = {}
        self._of_variables: frozenset[str] = frozenset()
        self._told: frozenset[str] = frozenset()

    def take(self, told: Iterable[tuple[str, str]]) -> None:
        """Look from now on also for values that code gave to secret names, whatever becomes of those names."""
        found = self._told.union(*(_texts(name, value, 1) for name, value in told))
        if len(found) <= _MOST_TOLD and found != self._told:
            self._told = found
            self._learn()

    def look(self, *, everywhere: bool = False) -> None:
        """Learn the values that are there now; `everywhere` goes through all names again."""
        self._look_for_names(everywhere)
        self._look_at_environment()
        self._learn()

    def _learn(self) -> None:
        known = self._of_variables | self._told
        learn(known.union(self._of_namespace()) if self._names else known)

    def _look_at_environment(self) -> None:
        variables = getattr(os.environ, "_data", None)  # to see in a microsecond that nothing has changed
        if variables is None or variables != self._variables:
            self._variables = dict(variables or ())
            self._of_variables = frozenset(_of_environment())

    def _look_for_names(self, everywhere: bool) -> None:
        count = len(self._namespace)
        new = count if everywhere or count < self._known else count - self._known + 8
        self._known = count
        for name in islice(reversed(list(self._namespace) if new == count else self._namespace), new):
            if isinstance(name, str) and sounds_secret(name):
                self._names.add(name)

    def _of_namespace(self) -> Iterator[str]:
        for name in self._names:
            if name in self._namespace:
                yield from _texts(name, self._namespace[name], _DEPTH)


def of_environment() -> Iterator[tuple[str, str]]:
    """Yield the environment's secrets: names and values."""
    for name, value in os.environ.items():
        if name not in _FOLDERS and sounds_secret(name):
            yield name, value
        elif "://" in value:
            yield from ((name, found[1]) for found in _PASSWORD.finditer(value))


def _of_environment() -> Iterator[str]:
    for name, value in of_environment():
        yield from _texts(name, value, 1)


def _texts(name: str, value: object, depth: int) -> Iterator[str]:
    """Find the texts in a secret's value; of a mapping those under secret names count, or all if none is."""
    if type(value) is bytes:
        value = value.decode("utf-8", "replace")
    if isinstance(value, str):
        if _is_worth(name, value):
            yield str(value)
    elif depth and type(value) is dict:
        items = [(key, item) for key, item in islice(value.items(), _MOST) if isinstance(key, str)]
        secret = [(key, item) for key, item in items if sounds_secret(key)]
        for key, item in secret or items:
            yield from _texts(key if secret else name, item, depth - 1)
    elif depth and type(value) in (list, tuple, set, frozenset):
        for item in islice(value, _MOST):  # type: ignore[call-overload]
            yield from _texts(name, item, depth - 1)


def _is_worth(name: str, value: str) -> bool:
    """Whether to look for a value: not if it's too common to be told apart from anything else."""
    if not _SHORTEST <= len(value) <= _LONGEST or value.lower() in _COMMON or value.isspace():
        return False
    if value.startswith(("/", "~", ".")) and _exists(value):  # the place of a secret isn't one
        return False
    return not (_WEAK.search(name) and value.isalpha() and len(value) < 16)


@lru_cache(maxsize=1000)
def _exists(value: str) -> bool:
    try:
        return Path(value).exists()
    except (OSError, ValueError):
        return False


def _finder_of(values: Iterable[str]) -> re.Pattern[str] | None:
    forms = sorted({form for value in values for form in _forms(value)}, key=lambda form: (-len(form), form))
    return re.compile("|".join(_bounded(form) for form in forms)) if forms else None


def _forms(value: str) -> set[str]:
    """Return how a value may be written; of one with several lines each, as a key's, says enough."""
    lines = [line.strip() for line in value.split("\n")] if "\n" in value else []
    return {
        value,
        repr(value)[1:-1],
        urllib.parse.quote(value),
        urllib.parse.quote_plus(value),
        *(line for line in lines if len(line) >= _ANYWHERE),
    }


def _bounded(form: str) -> str:
    if len(form) >= _ANYWHERE:
        return re.escape(form)
    left = r"(?<![^\W_])" if form[0].isalnum() else ""
    right = r"(?![^\W_])" if form[-1].isalnum() else ""
    return f"{left}{re.escape(form)}{right}"
