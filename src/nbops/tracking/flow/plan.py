"""What the text of one statement says, before it is executed.

The names that it reads and surely binds, the names of attributes in it, its texts (they may be paths), and how it may act:
whether it can change anything at all (`inert` if not), whether it stores through an attribute or a subscript, throws the
result of a call away, seeds a random state, or reads a whole namespace. What a plain `def` or `lambda` will read when it's
called doesn't count yet: at the call the function's value is looked at.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from nbops.notebook.names import Names, names_of, root_name
from nbops.notebook.normalise import is_python, parse
from nbops.notebook.scopes import evaluated_at_definition
from nbops.tracking.flow.conduct import REFCOUNTS, is_inert, is_quiet, is_seed, walk

_WORD = re.compile(r"[^\W\d]\w*")
_EXPANDED = re.compile(r"\$(\w+)|\{([^{}]*)\}")
_MAGICS = frozenset({"run_line_magic", "run_cell_magic", "system", "getoutput", "getoutput_", "magic"})
_SHELL_BODIES = frozenset(
    {"bash", "sh", "script", "html", "HTML", "javascript", "js", "svg", "latex", "markdown", "writefile"}
)
_EVERYTHING = frozenset({"globals", "locals", "vars", "dir"})
_NAMESPACES = frozenset({"user_ns", "user_global_ns", "user_module", "__globals__", "f_globals", "f_locals", "f_back"})
_OUTPUTS = frozenset({"Out", "_oh"})


@dataclass(slots=True)
class Plan:
    """What one statement says.

    Attributes
    ----------
    reads, binds, perhaps
        Names read; bound for sure when it ends well; bound perhaps.
    attributes
        Names of attributes, and of functions called by their bare name.
    texts
        Its string constants.
    stores
        Chains such as ``("pd", "DataFrame", "area")`` that are assigned through.
    thrown
        Roots of calls whose result is thrown away.
    inert, plain
        Whether it can't change an object that was there before; and, beyond that, only binds names to plain values, to
        lambdas, or to what other names hold.
    shown
        Numbers of outputs that it reads as ``Out[5]``, as the names that they have too: ``_5``.
    """

    reads: set[str] = field(default_factory=set)
    binds: set[str] = field(default_factory=set)
    perhaps: set[str] = field(default_factory=set)
    changed: set[str] = field(default_factory=set)
    attributes: set[str] = field(default_factory=set)
    texts: set[str] = field(default_factory=set)
    stores: list[tuple[str, ...]] = field(default_factory=list)
    thrown: set[str] = field(default_factory=set)
    shown: set[str] = field(default_factory=set)
    words: set[str] = field(default_factory=set)
    values: set[str] = field(default_factory=set)
    magic: str = ""
    shell: bool = False
    inert: bool = False
    plain: bool = False
    quiet: bool = False
    seeds: bool = False
    imports: bool = False
    future: bool = False
    everything: bool = False
    counts_references: bool = False
    ours: bool = False


def plan_of(node: ast.stmt) -> Plan:
    """Return what a top-level statement of a transformed cell says."""
    plan = Plan()
    _survey(plan, [node])
    magic = _magic_call(node) if plan.shell else None
    if magic is not None:
        _plan_magic(plan, magic)
    names = _names_now(node)
    plan.reads |= names.used
    if plan.shown:
        plan.reads -= _OUTPUTS
    plan.changed |= names.changed
    plan.binds |= set(_surely_bound(node))
    plan.perhaps |= names.defined - plan.binds
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        plan.values |= plan.binds
    plan.imports = isinstance(node, ast.Import | ast.ImportFrom)
    plan.future = isinstance(node, ast.ImportFrom) and node.module == "__future__"
    plan.inert = is_inert(node)
    plan.plain = isinstance(node, ast.Assign) and plan.inert and not (plan.everything or plan.shown or plan.words)
    plan.quiet = is_quiet(node)
    plan.seeds = is_seed(node)
    plan.counts_references = bool(plan.attributes & REFCOUNTS)
    plan.ours = plan.ours or _sets_number(node)
    return plan


def _names_now(node: ast.stmt) -> Names:
    """Return the names of a statement, without what a plain definition reads only when it's called."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.decorator_list:
        now = names_of(ast.Module([ast.Expr(each) for each in evaluated_at_definition(node)], []))  # type: ignore[arg-type]
        inside = names_of(node)
        return Names(inside.defined & {node.name} | now.defined, now.used, frozenset())
    if (
        isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Lambda)
        and all(isinstance(target, ast.Name) for target in node.targets)
    ):
        now = names_of(ast.Module([ast.Expr(each) for each in evaluated_at_definition(node.value)], []))  # type: ignore[arg-type]
        return Names(names_of(node).defined, now.used, frozenset())
    return names_of(node)


def _surely_bound(node: ast.stmt) -> Iterator[str]:
    match node:
        case ast.Assign():
            for target in node.targets:
                yield from _stored(target)
        case ast.AnnAssign(value=ast.expr()) | ast.AugAssign():
            yield from _stored(node.target)
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield node.name
        case ast.ImportFrom():
            yield from (alias.asname or alias.name for alias in node.names if alias.name != "*")
        case ast.Import():
            yield from (alias.asname or alias.name for alias in node.names if alias.asname or "." not in alias.name)


def _stored(target: ast.AST) -> Iterator[str]:
    if isinstance(target, ast.Name):
        yield target.id
    elif isinstance(target, ast.Tuple | ast.List):
        for element in target.elts:
            yield from _stored(element)
    elif isinstance(target, ast.Starred):
        yield from _stored(target.value)


def _survey(plan: Plan, body: Iterable[ast.AST]) -> None:
    namespaces: list[ast.AST] = []
    single: set[int] = set()
    outputs = 0
    for node in walk(body):
        kind = type(node)
        if kind is ast.Name:
            plan.shell = plan.shell or node.id == "get_ipython"
            outputs += node.id in _OUTPUTS
        elif kind is ast.Attribute:
            plan.attributes.add(node.attr)
            if type(node.ctx) is not ast.Load and (chain := _chain(node)):
                plan.stores.append(chain)
            if node.attr in _NAMESPACES:
                plan.everything = True
        elif kind is ast.Subscript:
            if type(node.ctx) is not ast.Load and (chain := _chain(node.value)):
                plan.stores.append((*chain, ""))
            if _reads_one_global(node):
                single.add(id(node.value))
                plan.reads.add(node.slice.value)
            elif (number := _output_number(node)) is not None:
                outputs -= 1
                plan.shown.add(f"_{number}")
        elif kind is ast.Constant:
            if type(node.value) is str:
                plan.texts.add(node.value)
        elif kind is ast.Call:
            _survey_call(plan, node)
            if _reads_namespace(node):
                namespaces.append(node)
        elif kind is ast.Expr and isinstance(node.value, ast.Call | ast.Await):
            plan.thrown.add(root_name(node.value.value if isinstance(node.value, ast.Await) else node.value) or "")
    if outputs:
        plan.shown.clear()  # other uses of `Out` may read any of them
    if "__main__" in plan.texts or any(id(node) not in single for node in namespaces):
        plan.everything = True


def _survey_call(plan: Plan, node: ast.Call) -> None:
    if isinstance(node.func, ast.Name):
        plan.attributes.add(node.func.id)
        if node.func.id in ("setattr", "delattr") and node.args and (chain := _chain(node.args[0])):
            said = node.args[1] if len(node.args) > 1 else None
            plan.stores.append((*chain, str(said.value) if isinstance(said, ast.Constant) else ""))


def _reads_namespace(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _EVERYTHING and not node.args
    )


def _reads_one_global(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Subscript)
        and _reads_namespace(node.value)
        and isinstance(node.slice, ast.Constant)
        and isinstance(node.slice.value, str)
    )


def _output_number(node: ast.Subscript) -> int | None:
    """Return 5 for a reading of ``Out[5]``."""
    number = node.slice.value if isinstance(node.slice, ast.Constant) else None
    named = isinstance(node.value, ast.Name) and node.value.id in _OUTPUTS and isinstance(node.ctx, ast.Load)
    return number if named and type(number) is int else None


def _sets_number(node: ast.stmt) -> bool:
    """Whether the statement does nothing but number the next cell, as a restored notebook does."""
    match node:
        case ast.Assign(
            targets=[ast.Attribute(value=ast.Call(func=ast.Name(id="get_ipython")), attr="execution_count")],
            value=ast.Constant(),
        ):
            return True
    return False


def _chain(node: ast.AST) -> tuple[str, ...] | None:
    """Return ``("a", "b", "c")`` for ``a.b.c``; what comes after a call or a subscript is left out."""
    parts: list[str] = []
    while not isinstance(node, ast.Name):
        if isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        elif isinstance(node, ast.Subscript | ast.Starred):
            parts.clear()
            node = node.value
        elif isinstance(node, ast.Call):
            parts.clear()
            node = node.func
        else:
            return None
    return (node.id, *reversed(parts))


def _magic_call(node: ast.stmt) -> ast.Call | None:
    value = getattr(node, "value", None)
    if (
        isinstance(value, ast.Call)
        and isinstance(value.func, ast.Attribute)
        and value.func.attr in _MAGICS
        and isinstance(value.func.value, ast.Call)
        and root_name(value.func.value) == "get_ipython"
    ):
        return value
    return None


def _plan_magic(plan: Plan, call: ast.Call) -> None:
    """Take the words of a magic's line for names: it may read any of them."""
    assert isinstance(call.func, ast.Attribute)
    said = [argument.value for argument in call.args if isinstance(argument, ast.Constant)]
    texts = [text for text in said if isinstance(text, str)]
    plan.texts.difference_update(texts)
    if call.func.attr in ("system", "getoutput"):
        plan.magic = "!"
        _take_words(plan, texts, expanded_only=True)
        plan.texts |= {word for text in texts for word in text.split()}
        return
    plan.magic = texts[0] if texts else "?"
    line, *body = texts[1:] or [""]
    first, _, _ = line.strip().partition(" ")
    plan.ours = (plan.magic == "nbops" and not body) or (
        plan.magic in ("load_ext", "reload_ext", "unload_ext") and first == "nbops"
    )
    plan.texts |= set(line.split())
    _take_words(plan, [line], expanded_only=plan.magic in ("cd", "matplotlib", "load_ext", "env", "pip", "conda"))
    if not body:
        return
    if is_python(f"%%{plan.magic}"):
        if (tree := parse(body[0])) is not None:
            _survey(plan, tree.body)
            names = names_of(tree)
            plan.reads |= names.used
            plan.changed |= names.changed
            plan.perhaps |= names.defined
            plan.values |= names.defined
    else:
        _take_words(plan, body, expanded_only=plan.magic in _SHELL_BODIES)
        if plan.magic in ("bash", "sh", "script"):
            plan.texts |= set(body[0].split())


def _take_words(plan: Plan, texts: list[str], *, expanded_only: bool) -> None:
    for text in texts:
        parts = ["".join(match) for match in _EXPANDED.findall(text)] if expanded_only else [text]
        plan.words.update(word for part in parts for word in _WORD.findall(part))
