"""The scoring function's body: the statements of the scoring cell that its output depends on.

The backward slice knows names. What names don't tell is added before: two names for one object change together, and
methods that only show or save a frame (``head``, ``plot``, ``to_csv``) change nothing. Imports leave the body for the
module's head.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace

from nbops.errors import SliceError
from nbops.notebook.dataflow import Statement, backward_slice, statements
from nbops.notebook.names import names_of, root_name
from nbops.promotion.history import executed_code

_LOOKS_ONLY = frozenset(
    "boxplot describe head hist info memory_usage plot sample show tail to_clipboard to_csv to_excel to_feather "  # noqa: SIM905
    "to_json to_parquet to_pickle to_sql value_counts".split()
)

_FITS = frozenset({"fit", "fit_predict", "fit_transform", "partial_fit"})


def scoring_statements(cell: str, output: str, *, where: str) -> list[Statement]:
    """Return the statements of the scoring cell that its output depends on, without imports.

    Raises
    ------
    SliceError
        If the cell isn't Python, doesn't define the output, needs a magic for it, or fits something for it.
    """
    code = statements(executed_code(cell), where=where)
    if not any(output in statement.names.defined | statement.names.changed for statement in code):
        raise SliceError(
            f"the cell doesn't define '{output}'",
            where=where,
            remedy=f"assign the predictions to '{output}', or name another --output",
        )
    doing = [statement for statement in code if not _looks_only(statement.node)]
    body = backward_slice(_with_aliases(doing), [output])
    for statement in body:
        for node in ast.walk(statement.node):
            if isinstance(node, ast.Name) and node.id == "get_ipython":
                what, remedy = (
                    "depends on a magic or shell command",
                    "only Python can be served: do it in a cell before",
                )
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _FITS:
                what, remedy = (
                    "fits something anew each time",
                    "fit in a cell before, and only transform or predict here",
                )
            else:
                continue
            line = cell.split("\n")[statement.node.lineno - 1].strip()
            raise SliceError(f"the prediction {what}: {line}", where=where, remedy=remedy)
    return [statement for statement in body if not isinstance(statement.node, ast.Import | ast.ImportFrom)]


def names_taken(body: Sequence[Statement]) -> frozenset[str]:
    """Return the names that the body takes from the notebook."""
    return names_of(statement.node for statement in body).used


def names_bound(body: Sequence[Statement]) -> frozenset[str]:
    """Return the names that the body binds: in a function they are its own."""
    return frozenset[str]().union(*(statement.names.defined for statement in body))


def _looks_only(node: ast.stmt) -> bool:
    if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Call):
        return False
    called: ast.AST = node.value
    while isinstance(called, ast.Call | ast.Attribute | ast.Subscript):
        if isinstance(called, ast.Attribute) and called.attr in _LOOKS_ONLY:
            return not any(keyword.arg == "inplace" for keyword in node.value.keywords)
        called = called.func if isinstance(called, ast.Call) else called.value
    return False


def _with_aliases(code: Sequence[Statement]) -> list[Statement]:
    """Let a statement that changes an object change it under all its names: ``a = b``, ``a = b.part``, ``a = b[...]``."""
    groups: dict[str, set[str]] = {}
    for statement in code:
        node = statement.node
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name | ast.Attribute | ast.Subscript):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
            if root := root_name(node.value):
                together = set(names).union({root}, *(groups.get(name, ()) for name in [*names, root]))
                groups.update(dict.fromkeys(together, together))
    widened = []
    for statement in code:
        changed = statement.names.changed.union(*(groups.get(name, ()) for name in statement.names.changed))
        widened.append(replace(statement, names=replace(statement.names, changed=changed)))
    return widened
