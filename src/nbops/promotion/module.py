"""The generated scoring module: one function with exactly what it needs, as a careful engineer would write it."""

from __future__ import annotations

import ast
from collections.abc import Collection, Sequence

from nbops.errors import SliceError
from nbops.notebook.dataflow import Statement, backward_slice, statements
from nbops.promotion.needs import Needs

ENTRY = "score"


def scoring_statements(cell: str, output: str, *, where: str) -> list[Statement]:
    """Return the statements of the scoring cell that its output depends on.

    Raises
    ------
    SliceError
        If the cell isn't Python, or doesn't define the output.
    """
    code = statements(cell, where=where)
    if not any(output in statement.names.defined for statement in code):
        raise SliceError(
            f"the cell doesn't define '{output}'",
            where=where,
            remedy=f"assign the predictions to '{output}', or name another --output",
        )
    return backward_slice(code, [output])


def write_module(
    body: Sequence[Statement], needs: Needs, *, input_name: str, output_name: str, origin: str, local: Collection[str]
) -> str:
    """Return the source of ``scoring.py``.

    Parameters
    ----------
    body
        The statements of the scoring function.
    needs
        What they need.
    input_name, output_name
        Names of the frame that comes in and of the predictions.
    origin
        The notebook and cell, for the docstring.
    local
        Dotted names of the project's own modules, which the package carries.
    """
    imports = sorted({relative_imports(line, local, "") for line in needs.imports})
    absolute = [line for line in imports if not line.startswith("from .")]
    relative = [line for line in imports if line.startswith("from .")]
    if needs.objects:
        relative.insert(0, "from ._objects import load_object")
    parts = [f'"""Predict `{output_name}` from `{input_name}`.\n\nWritten by nbops from {origin}.\n"""']
    parts += ["\n".join(group) for group in (absolute, relative) if group]
    for name, source in needs.definitions:
        code = source or f'{name} = load_object("{name}")'
        parts.append(relative_imports(code, local, ""))
    lines = "\n".join(statement.source for statement in body).split("\n")
    parts.append(
        f"def {ENTRY}({input_name}):\n"
        f'    """Return `{output_name}`, one prediction for each row of `{input_name}`."""\n'
        + "\n".join(_indented(lines, body))
        + f"\n    return {output_name}"
    )
    return "\n\n".join(parts) + "\n"


def relative_imports(source: str, local: Collection[str], package: str) -> str:
    """Return `source` with imports of the project's own modules made relative to the bundle's package.

    Parameters
    ----------
    source
        Code of a module or cell.
    local
        Dotted names of the local modules.
    package
        The dotted package, below the bundle's, that `source` lies in.
    """
    lines = source.split("\n")
    depth = "." * (1 + (package.count(".") + 1 if package else 0))
    imports = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import | ast.ImportFrom)]
    for node in sorted(imports, key=lambda found: found.lineno, reverse=True):
        rewritten = _rewritten(node, local, depth)
        if rewritten is not None:
            indent = lines[node.lineno - 1][: node.col_offset]
            tail = lines[(node.end_lineno or node.lineno) - 1][node.end_col_offset :]
            lines[node.lineno - 1 : node.end_lineno] = [indent + rewritten + tail]
    return "\n".join(lines)


def _rewritten(node: ast.Import | ast.ImportFrom, local: Collection[str], depth: str) -> str | None:
    if isinstance(node, ast.ImportFrom):
        if node.level or not node.module or node.module.partition(".")[0] not in _tops(local):
            return None
        names = ", ".join(ast.unparse(alias) for alias in node.names)
        return f"from {depth}{node.module} import {names}"
    parts = []
    for alias in node.names:
        if alias.name.partition(".")[0] not in _tops(local):
            parts.append(f"import {ast.unparse(alias)}")
        elif "." in alias.name and alias.asname:
            above, _, last = alias.name.rpartition(".")
            parts.append(f"from {depth}{above} import {last} as {alias.asname}")
        elif "." in alias.name:
            top = alias.name.partition(".")[0]
            parts.append(f"from {depth}{alias.name} import __name__ as _; from {depth} import {top}")
        else:
            parts.append(f"from {depth} import {ast.unparse(alias)}")
    return "; ".join(parts) if any(part.startswith("from") for part in parts) else None


def _tops(local: Collection[str]) -> set[str]:
    return {name.partition(".")[0] for name in local}


def _indented(lines: Sequence[str], body: Sequence[Statement]) -> list[str]:
    """Indent code by one level, leaving the inside of multi-line strings as it is."""
    inside: set[int] = set()
    offset = 0
    for statement in body:
        for node in ast.walk(ast.parse(statement.source)):
            if isinstance(node, ast.Constant | ast.JoinedStr) and (node.end_lineno or node.lineno) > node.lineno:
                inside.update(range(offset + node.lineno + 1, offset + (node.end_lineno or node.lineno) + 1))
        offset += statement.source.count("\n") + 1
    return [line if number in inside or not line else f"    {line}" for number, line in enumerate(lines, 1)]
