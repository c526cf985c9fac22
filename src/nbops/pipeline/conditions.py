"""``when: ${stages.evaluate.metrics.auc} > 0.8``: a small language of comparisons, and nothing that could do harm.

A condition is parsed as a Python expression and walked by hand: numbers, texts, truth values, None, lists,
comparisons, ``in``, ``and``, ``or``, ``not``, and sums and products of numbers. There are no names but references, no
calls and no attributes. Parameters are known when the pipeline is read, metrics of other stages when those have run.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nbops.errors import SpecError, nearest
from nbops.pipeline.interpolate import REFERENCE, Scope, references
from nbops.pipeline.yamltree import Place

EXAMPLE = "when: ${stages.evaluate.metrics.auc} > 0.8"
_HOW = "compare with == != < <= > >= in, and join with and, or, not"
_MOST_CHARACTERS = 1000
_COMPARISONS: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda one, many: one in many,
    ast.NotIn: lambda one, many: one not in many,
}
_ARITHMETIC: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
}


@dataclass(frozen=True, slots=True)
class Condition:
    """When a stage is run.

    Attributes
    ----------
    text, where
        As it was written, and where.
    values
        What is known already, by reference.
    metrics
        Which stage's which metric it waits for, by reference.
    """

    text: str
    where: str
    values: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def stages(self) -> frozenset[str]:
        """The stages whose metrics it waits for."""
        return frozenset(stage for stage, _ in self.metrics.values())

    def unmet(self, metrics: Mapping[str, Mapping[str, float]]) -> str:
        """Return why the stage isn't run, given the metrics by stage; empty when it is.

        Raises
        ------
        SpecError
            If it compares what can't be compared.
        """
        known = dict(self.values)
        for reference, (stage, metric) in self.metrics.items():
            known[reference] = metrics[stage][metric]
        tree, names = _parse(self.text, self.where)
        try:
            if _value(tree, {name: known[reference] for name, reference in names.items()}):
                return ""
        except (TypeError, ArithmeticError) as error:
            raise SpecError(f"the condition '{self.text}' can't be told: {error}", where=self.where) from error
        shown = ", ".join(f"{reference} is {value!r}" for reference, value in known.items())
        return f"not when {self.text}" + (f": {shown}" if shown else "")


def read_condition(place: Place, scope: Scope, metrics: Mapping[str, tuple[str, ...]]) -> Condition:
    """Return a condition, checked; `metrics` names those of each stage.

    Raises
    ------
    SpecError
        If it isn't one, or refers to what isn't there.
    """
    value = place.value()
    if not isinstance(value, str | bool):
        raise place.error(f"{place.what} must be a condition, not {value!r}", EXAMPLE)
    text = value if isinstance(value, str) else str(value)
    known: dict[str, Any] = {}
    wanted: dict[str, tuple[str, str]] = {}
    for reference, where in references(place):
        if reference.startswith("stages."):
            wanted[reference] = _metric(reference, where, metrics)
        else:
            known[reference] = scope.value(reference, where)
    condition = Condition(text, place.where, known, wanted)
    # what can't be compared is better told now; what a metric will be, isn't known
    if wanted:
        _parse(text, place.where)
    else:
        condition.unmet({})
    return condition


def _metric(reference: str, where: str, metrics: Mapping[str, tuple[str, ...]]) -> tuple[str, str]:
    stage, found, metric = reference.removeprefix("stages.").rpartition(".metrics.")
    if not found:
        raise SpecError(f"${{{reference}}} can't stand in a condition", where=where, remedy=EXAMPLE)
    if stage not in metrics:
        raise SpecError(f"no stage '{stage}'", where=where, remedy=nearest(stage, metrics))
    if metric not in metrics[stage]:
        remedy = nearest(metric, metrics[stage]) if metrics[stage] else "its 'metrics' names none"
        raise SpecError(f"stage '{stage}' has no metric '{metric}'", where=where, remedy=remedy)
    return stage, metric


def _parse(text: str, where: str) -> tuple[ast.expr, dict[str, str]]:
    """Return a condition's tree, and which reference each name in it stands for."""
    names: dict[str, str] = {}
    if len(text) > _MOST_CHARACTERS:
        raise SpecError("the condition is too long", where=where, remedy=_HOW)

    def name_of(found: Any) -> str:
        name = f"_reference{len(names)}"
        names[name] = found[2].strip()
        return f" {name} "

    plain = REFERENCE.sub(name_of, text)
    try:
        tree = ast.parse(plain.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise SpecError(f"'{text}' isn't a condition", where=where, remedy=_HOW) from error
    for node in ast.walk(tree):
        if not _is_allowed(node, names):
            what = ast.unparse(node) if isinstance(node, ast.expr) else type(node).__name__
            raise SpecError(f"'{what}' can't stand in a condition", where=where, remedy=_remedy(node))
    return tree, names


def _is_allowed(node: ast.AST, names: Mapping[str, str]) -> bool:
    if isinstance(node, ast.Name):
        return node.id in names
    if isinstance(node, ast.Constant):
        return node.value is None or isinstance(node.value, bool | int | float | str)
    return (
        isinstance(
            node,
            ast.BoolOp | ast.boolop | ast.UnaryOp | ast.Not | ast.USub | ast.Compare | ast.List | ast.Tuple
            | ast.BinOp | ast.expr_context,
        )
        or type(node) in _COMPARISONS
        or type(node) in _ARITHMETIC
    )  # fmt: skip


def _remedy(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return f"quote a text: '{node.id}'; a parameter is ${{params.{node.id}}}"
    return _HOW


def _value(node: ast.expr, names: Mapping[str, Any]) -> Any:
    match node:
        case ast.Constant():
            return node.value
        case ast.Name():
            return names[node.id]
        case ast.List() | ast.Tuple():
            return [_value(one, names) for one in node.elts]
        case ast.BoolOp():
            value = None
            for one in node.values:
                value = _value(one, names)
                if bool(value) is isinstance(node.op, ast.Or):
                    break
            return value
        case ast.UnaryOp():
            value = _value(node.operand, names)
            return not value if isinstance(node.op, ast.Not) else -_as_number(value)
        case ast.BinOp():
            left, right = (_as_number(_value(side, names)) for side in (node.left, node.right))
            return _ARITHMETIC[type(node.op)](left, right)
        case ast.Compare():
            left = _value(node.left, names)
            for kind, side in zip(node.ops, node.comparators, strict=True):
                right = _value(side, names)
                if not _COMPARISONS[type(kind)](left, right):
                    return False
                left = right
            return True
    raise TypeError(f"{type(node).__name__} has no value")


def _as_number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} isn't a number")
    return value
