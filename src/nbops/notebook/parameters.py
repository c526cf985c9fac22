"""The parameters of a notebook: the assignments in its cell tagged ``parameters``.

They are read from the syntax tree, never by executing: each simple assignment ``name = default`` or
``name: annotation = default`` is a parameter, its type the annotation's where there is one, else the default's.
A type that can't be told (a call, a name) accepts every value. `literal` is the way back: a value as Python source.
"""

from __future__ import annotations

import ast
import datetime
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePath

from nbops.notebook.document import CodeCell, Document, new
from nbops.notebook.normalise import parse

PARAMETERS_TAG = "parameters"
INJECTED_TAG = "injected-parameters"
INJECTED_ID = "injected-parameters"
HOW_TO_TAG = "tag the cell that holds its defaults with 'parameters' (JupyterLab: property inspector → Cell Tags → +)"
_TYPES = {
    "int": "int",
    "float": "float",
    "str": "str",
    "bool": "bool",
    "None": "None",
    "NoneType": "None",
    "list": "list",
    "List": "list",
    "Sequence": "list",
    "tuple": "list",
    "dict": "dict",
    "Dict": "dict",
    "Mapping": "dict",
    "date": "date",
    "datetime": "datetime",
    "Path": "Path",
}
_LITERAL_NODES: tuple[tuple[type[ast.expr], str], ...] = (
    (ast.List, "list"),
    (ast.Tuple, "list"),
    (ast.ListComp, "list"),
    (ast.Dict, "dict"),
    (ast.DictComp, "dict"),
    (ast.JoinedStr, "str"),
)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter.

    Attributes
    ----------
    name
        The variable's name.
    default
        The source of its default.
    types
        Names of the types it takes (``int``, ``float``, ``str``, ``bool``, ``None``, ``list``, ``dict``, ``date``,
        ``datetime``, ``Path``); empty when that can't be told, and everything is taken.
    line
        The line in its cell, from 1.
    """

    name: str
    default: str
    types: frozenset[str]
    line: int

    def accepts(self, value: object) -> bool:
        """Whether a value is of the parameter's type; an int is fine for a float, None for a None default."""
        if not self.types or self.types == {"None"}:
            return True
        kind = type_name(value)
        return (
            kind in self.types or (kind == "int" and "float" in self.types) or (kind == "str" and "Path" in self.types)
        )

    def coerced(self, value: object) -> object:
        """Return the value as the parameter's type: an int given for a float becomes one."""
        if type_name(value) == "int" and "float" in self.types and "int" not in self.types:
            return float(value)  # type: ignore[arg-type]
        return value


def parameters_cell(document: Document) -> CodeCell | None:
    """Return the first code cell tagged ``parameters``, or None."""
    return next((cell for cell in document.code_cells if PARAMETERS_TAG in cell.tags), None)


def parameters(document: Document) -> dict[str, Parameter] | None:
    """Return the notebook's parameters by name, in order, or None when no cell is tagged ``parameters``."""
    cell = parameters_cell(document)
    return None if cell is None else read_parameters(cell.source)


def read_parameters(source: str) -> dict[str, Parameter]:
    """Return the parameters that the code of a parameters cell declares; none when it isn't Python."""
    tree = parse(source)
    found: dict[str, Parameter] = {}
    for statement in tree.body if tree else []:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            if statement.value is None:
                continue
            kinds = _annotated(statement.annotation)
            types = kinds if kinds is not None else _types_of(statement.value)
            targets: Iterable[ast.expr] = [statement.target]
            value = statement.value
        elif isinstance(statement, ast.Assign):
            types, targets, value = _types_of(statement.value), statement.targets, statement.value
        else:
            continue
        for target in targets:
            if isinstance(target, ast.Name):
                found[target.id] = Parameter(target.id, ast.unparse(value), types, statement.lineno)
    return found


def type_name(value: object) -> str:
    """Return the name by which `Parameter.types` knows a value's type."""
    if value is None:
        return "None"
    if isinstance(value, datetime.datetime):
        return "datetime"
    if isinstance(value, list | tuple):
        return "list"
    if isinstance(value, Mapping):
        return "dict"
    return type(value).__name__


def literal(value: object) -> str:
    """Return Python source that makes an equal value of the same type.

    Raises
    ------
    TypeError
        If the value isn't made of plain types.
    """
    if isinstance(value, float) and not math.isfinite(value):
        return f"float('{value}')"
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)
    if isinstance(value, datetime.date):
        text = repr(value)
        return text.replace("datetime.", "__import__('datetime').", 1)
    if isinstance(value, PurePath):
        return f"__import__('pathlib').Path({str(value)!r})"
    if isinstance(value, list | tuple):
        return f"[{', '.join(literal(item) for item in value)}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{literal(key)}: {literal(item)}" for key, item in value.items()) + "}"
    raise TypeError(f"a parameter can't be a {type(value).__name__}")


def inject(document: Document, values: Mapping[str, object]) -> Document:
    """Return the notebook with a cell that sets parameters, after its parameters cell, as papermill places it.

    An injected cell of an earlier execution is replaced.
    """
    cells = [cell for cell in document.cells if INJECTED_TAG not in (cell["metadata"].get("tags") or [])]
    if values:
        source = "# Parameters\n" + "\n".join(f"{name} = {literal(value)}" for name, value in values.items())
        position = next(
            (i + 1 for i, cell in enumerate(cells) if PARAMETERS_TAG in (cell["metadata"].get("tags") or [])), 0
        )
        # an id of its own, by which records tell what was injected from the notebook's code
        cell = {"cell_type": "code", "id": INJECTED_ID, "source": source, "metadata": {"tags": [INJECTED_TAG]}}
        cells = [*cells[:position], cell, *cells[position:]]
    return replace(document, content=new(cells).content | {"metadata": document.content["metadata"]})


def _types_of(value: ast.expr) -> frozenset[str]:
    if isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.USub | ast.UAdd):
        return _types_of(value.operand)
    if isinstance(value, ast.Constant):
        kind = type_name(value.value)
        return frozenset({kind}) if kind in _TYPES.values() else frozenset()
    for node, kind in _LITERAL_NODES:
        if isinstance(value, node):
            return frozenset({kind})
    if isinstance(value, ast.Call):
        name = _last_name(value.func)
        return frozenset({_TYPES[name]}) if name in _TYPES else frozenset()
    return frozenset()


def _annotated(annotation: ast.expr) -> frozenset[str] | None:
    """Return the types that an annotation names; None when it names one that isn't known."""
    if isinstance(annotation, ast.Constant):
        if annotation.value is None:
            return frozenset({"None"})
        try:
            return _annotated(ast.parse(str(annotation.value), mode="eval").body)
        except SyntaxError:
            return None
    if isinstance(annotation, ast.BinOp) and isinstance(annotation.op, ast.BitOr):
        return _union([annotation.left, annotation.right])
    if isinstance(annotation, ast.Subscript):
        outer = _last_name(annotation.value)
        inner = annotation.slice
        members = inner.elts if isinstance(inner, ast.Tuple) else [inner]
        if outer == "Literal":
            return frozenset().union(*(_types_of(member) for member in members))
        if outer in ("Optional", "Union"):
            union = _union(members)
            return union | {"None"} if union is not None and outer == "Optional" else union
        if outer in ("Annotated", "Final"):
            return _annotated(members[0])
        return frozenset({_TYPES[outer]}) if outer in _TYPES else None
    name = _last_name(annotation)
    return frozenset({_TYPES[name]}) if name in _TYPES else None


def _union(members: Iterable[ast.expr]) -> frozenset[str] | None:
    kinds = [_annotated(member) for member in members]
    known = [kind for kind in kinds if kind is not None]
    return frozenset().union(*known) if len(known) == len(kinds) else None


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
