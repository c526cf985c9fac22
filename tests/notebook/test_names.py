"""What `names_of` says, held against what executing the same code really does."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbops.notebook.names import free_names, names_of, root_name

VARIABLES = ("a", "b", "c", "d", "f", "g")
name = st.sampled_from(VARIABLES)


def _expressions(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]}, {pair[1]})"),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]} and {pair[1]})"),
        st.tuples(inner, inner, inner).map(lambda three: f"({three[0]} if {three[1]} else {three[2]})"),
        st.tuples(inner, inner, inner).map(lambda three: f"({three[0]} == {three[1]} == {three[2]})"),
        st.tuples(name, inner).map(lambda pair: f"({pair[0]} := {pair[1]})"),
        st.tuples(inner, name).map(lambda pair: f"[{pair[0]} for {pair[1]} in (1, 2)]"),
        st.tuples(name, inner).map(lambda pair: f"(lambda {pair[0]}=1: {pair[1]})"),
        inner.map(lambda text: f"call({text})"),
        inner.map(
            lambda text: f"f'{{{text}}}'" if "'" not in text and ":=" not in text and "lambda" not in text else text
        ),
    )


expression = st.recursive(name | st.sampled_from(["1", "0", "None"]), _expressions, max_leaves=4)


def _block(lines: list[str]) -> str:
    return "\n".join("    " + line for text in lines for line in text.split("\n"))


def _statements(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    body = st.lists(inner, min_size=1, max_size=2).map(_block)
    return st.one_of(
        st.tuples(expression, body, body).map(lambda t: f"if {t[0]}:\n{t[1]}\nelse:\n{t[2]}"),
        st.tuples(name, body, body).map(lambda t: f"for {t[0]} in (1, 2):\n{t[1]}\n    break\nelse:\n{t[2]}"),
        st.tuples(body, body).map(lambda t: f"while 0:\n{t[0]}\nelse:\n{t[1]}"),
        st.tuples(body, name, body, body).map(
            lambda t: f"try:\n{t[0]}\n    1 / 0\nexcept ZeroDivisionError as {t[1]}:\n{t[2]}\nfinally:\n{t[3]}"
        ),
        st.tuples(name, body).map(lambda t: f"def {t[0]}(*_):\n{t[1]}"),
        st.tuples(name, name, body).map(lambda t: f"def {t[0]}(*_):\n    global {t[1]}\n{t[2]}"),
        st.tuples(name, name, body).map(lambda t: f"def {t[0]}({t[1]}=1, *_):\n{t[2]}"),
        st.tuples(name, body).map(lambda t: f"class {t[0]}:\n{t[1]}"),
        st.tuples(expression, name, body).map(lambda t: f"match {t[0]}:\n    case [{t[1]}, *_]:\n{_block([t[2]])}"),
    )


simple = st.one_of(
    st.tuples(name, expression).map(lambda t: f"{t[0]} = {t[1]}"),
    st.tuples(name, name).map(lambda t: f"{t[0]}, {t[1]} = 1, 2"),
    name.map(lambda text: f"{text} = call({text})"),
    name.map(lambda text: f"del {text}"),
    name.map(lambda text: f"{text}()"),
    name.map(lambda text: f"import os.path as {text}"),
    expression,
)
programs = st.lists(st.recursive(simple, _statements, max_leaves=4), min_size=1, max_size=5).map("\n".join)


def _call(value: object) -> object:
    """Call what can be called, as code may do with any function that it was given."""
    return value() if callable(value) and getattr(value, "__name__", "") != "_call" else value


class _Missing:
    def __call__(self, *_: object) -> None:
        return None


def _executed(program: str, missing: str | None = None) -> tuple[set[str], str | None]:
    """Return the names that executing a program binds, and the global that it didn't find."""
    values = {variable: _Missing() for variable in VARIABLES if variable != missing}
    namespace: dict[str, object] = {"call": _call, **values}
    not_found = None
    try:
        exec(compile(program, "<program>", "exec"), namespace)
    except NameError as error:
        not_found = None if isinstance(error, UnboundLocalError) else error.name
    except (ArithmeticError, AttributeError, RecursionError, TypeError, ValueError):
        not_found = None  # the program's own business
    bound = {key for key, value in namespace.items() if value is not values.get(key) and value is not _call}
    return bound & set(VARIABLES), not_found


def _compiles(program: str) -> bool:
    try:
        compile(program, "<program>", "exec")
    except SyntaxError:
        return False
    return True


@settings(max_examples=250, deadline=None)
@given(programs.filter(_compiles))
def test_what_execution_binds_is_defined(program: str) -> None:
    bound, _ = _executed(program)
    assert bound <= names_of(program).defined, program


@settings(max_examples=250, deadline=None)
@given(programs.filter(_compiles), name)
def test_what_execution_misses_is_used(program: str, missing: str) -> None:
    _, not_found = _executed(program, missing)
    if not_found == missing and _executed(program)[1] != missing:
        assert missing in names_of(program).used, program


@pytest.mark.parametrize(
    ("code", "defined", "used"),
    [
        ("x = 1\ny = x", "x y", ""),
        ("x = x + 1", "x", "x"),
        ("x += 1", "x", "x"),
        ("import a.b, c as d\nfrom e import f as g", "a d g", ""),
        ("def f(n):\n    return f(n - 1) + k", "f", "k"),
        ("def f():\n    return g()\ndef g(): pass", "f g", ""),
        ("def f():\n    return g()\nf()\ndef g(): pass", "f g", "g"),
        ("def f():\n    global n\n    n = 1", "f n", ""),
        ("class A(B):\n    x = 1\n    def m(self):\n        return x", "A", "B x"),
        ("[i * k for i in xs]", "", "k xs"),
        ("if c:\n    x = 1\nx", "x", "c x"),
        ("if c:\n    x = 1\nelse:\n    x = 2\nx", "x", "c"),
        ("for i in xs:\n    y = i\ny", "i y", "xs y"),
        ("with open(p) as f:\n    t = f.read()\nt", "f t", "open p"),
        ("match v:\n    case {'k': w, **rest}:\n        w", "w rest", "v"),
        ("x: int = n", "x", "int n"),
        ("%%time\nx = y", "x", "y"),
        ("%%bash\nx=1", "", ""),
        ("%matplotlib inline\nz = 1", "z", ""),
        ("files = !ls {folder}", "files", ""),
        ("a =", "", ""),
        ("", "", ""),
    ],
)
def test_names_of_ordinary_cells(code: str, defined: str, used: str) -> None:
    names = names_of(code)
    assert (names.defined, names.used) == (set(defined.split()), set(used.split()))


@pytest.mark.parametrize(
    ("code", "changed"),
    [
        ("x[0] = 1", "x"),
        ("x.a.b = 1", "x"),
        ("x.sort()", "x"),
        ("x.a[0].append(y)", "x y"),
        ("fill(x, k=y)", "x y"),
        ("z = fill(x)", ""),
        ("x += 1", "x"),
        ("del x['a']", "x"),
    ],
)
def test_changes_in_place(code: str, changed: str) -> None:
    assert names_of(code).changed == set(changed.split())


def test_star_imports_are_told() -> None:
    assert names_of("from numpy import *").star_imports == {"numpy"}


def test_parts_of_trees() -> None:
    tree = ast.parse("def f(x, k=K):\n    return x + Y")
    assert names_of(tree.body).used == {"K", "Y"}
    assert names_of(tree.body[0]) == names_of(tree)
    assert free_names(tree.body[0]) == {"Y"}
    call = ast.parse("x.a(1)[0].b", mode="eval").body
    assert root_name(call) == "x"
    assert root_name(ast.parse("(1).real", mode="eval").body) is None


def test_code_nested_too_deeply_has_no_names() -> None:
    assert names_of("-" * 100_000 + "1").defined == frozenset()
