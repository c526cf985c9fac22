"""The generated scoring module: one function with exactly what it needs, as a careful engineer would write it.

The project's own modules lie beside it in a package of their own, `PROJECT`, so that none can have the name of a file
of the bundle; imports of them are made relative.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping, Sequence

from nbops.errors import SliceError
from nbops.notebook.dataflow import Statement
from nbops.promotion.body import names_bound, names_taken
from nbops.promotion.needs import Needs

PROJECT = "project"


def entry_name(body: Sequence[Statement], needs: Needs, input_name: str) -> str:
    """Return the scoring function's name: ``score``, unless the notebook has a use for that name."""
    return _free("score", body, needs, input_name)


def write_module(
    body: Sequence[Statement],
    needs: Needs,
    *,
    input_name: str,
    output_name: str,
    origin: str,
    local: Collection[str] = (),
    dtypes: Mapping[str, str] | None = None,
    where: str = "",
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
    dtypes
        Code of the dtypes that columns of the input must be given first, because requests can't carry them.
    where
        The scoring cell, for errors.

    Raises
    ------
    SliceError
        If the cell's code can't stand in a function.
    """
    entry, loader = entry_name(body, needs, input_name), _free("load_object", body, needs, input_name)
    imports = [relative_imports(line, local, f".{PROJECT}") for line in needs.imports]
    if dtypes and any("CategoricalDtype" in code for code in dtypes.values()):
        imports.append("from pandas import CategoricalDtype")
    if needs.objects:
        imports.append("from ._objects import load_object" + (f" as {loader}" if loader != "load_object" else ""))
    parts = [f'"""Predict `{output_name}` from `{input_name}`.\n\nWritten by nbops from {origin}.\n"""']
    parts += ["\n".join(group) for group in _grouped(imports) if group]
    for name, source in needs.definitions:
        parts.append(relative_imports(source or f'{name} = {loader}("{name}")', local, f".{PROJECT}"))
    lines = []
    if dtypes:
        constant = _free("INPUT_DTYPES", body, needs, input_name)
        parts.append(f"{constant} = {{\n" + "".join(f"    {name!r}: {code},\n" for name, code in dtypes.items()) + "}")
        lines.append(f"    {input_name} = {input_name}.astype({constant})")
    for statement in body:
        lines += _indented(relative_imports(statement.source, local, f".{PROJECT}"))
    # A name that the cell reads and then binds anew would be an unbound local of the function.
    known = {name for name, _ in needs.definitions} | _imported(needs)
    rebound = sorted(names_taken(body) & names_bound(body) & known - {input_name})
    arguments = ", ".join([input_name, *(["*"] if rebound else []), *(f"{name}={name}" for name in rebound)])
    parts.append(
        f"def {entry}({arguments}):\n"
        f'    """Return `{output_name}`, one prediction for each row of `{input_name}`."""\n'
        + "\n".join(lines)
        + f"\n    return {output_name}"
    )
    source = _joined(parts)
    try:
        compile(source, "scoring.py", "exec")
    except SyntaxError as error:
        raise SliceError(
            f"the cell's code can't stand in a function: {error.msg}: {(error.text or '').strip()}",
            where=where,
            remedy="move that line to a cell before",
        ) from error
    return source


def relative_imports(source: str, local: Collection[str], base: str) -> str:
    """Return `source` with imports of the project's own modules made relative.

    Parameters
    ----------
    source
        Code of a module or cell.
    local
        Dotted names of the local modules.
    base
        The package that holds them as seen from `source`: ``.project``, or only dots.
    """
    tops = {name.partition(".")[0] for name in local}
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import | ast.ImportFrom)]
    lines = [line.encode() for line in source.split("\n")]  # the tree counts columns in bytes
    for node in sorted(nodes, key=lambda found: (found.lineno, found.col_offset), reverse=True):
        rewritten = _rewritten(node, tops, base)
        if rewritten is not None:
            end = node.end_lineno or node.lineno
            head, tail = lines[node.lineno - 1][: node.col_offset], lines[end - 1][node.end_col_offset :]
            lines[node.lineno - 1 : end] = [head + rewritten.encode() + tail]
    return b"\n".join(lines).decode()


def _rewritten(node: ast.Import | ast.ImportFrom, tops: Collection[str], base: str) -> str | None:
    below = base if base.endswith(".") else f"{base}."
    if isinstance(node, ast.ImportFrom):
        if node.level or not node.module or node.module.partition(".")[0] not in tops:
            return None
        return f"from {below}{node.module} import {', '.join(map(ast.unparse, node.names))}"
    if not any(alias.name.partition(".")[0] in tops for alias in node.names):
        return None
    return "; ".join(part for alias in node.names for part in _import_parts(alias, tops, base, below))


def _import_parts(alias: ast.alias, tops: Collection[str], base: str, below: str) -> Iterator[str]:
    above, _, last = alias.name.rpartition(".")
    if alias.name.partition(".")[0] not in tops:
        yield f"import {ast.unparse(alias)}"
    elif not above:
        yield f"from {base} import {ast.unparse(alias)}"
    elif alias.asname:
        yield f"from {below}{above} import {last} as {alias.asname}"
    else:  # `import a.b` binds `a`, and loads `a.b` into it
        yield f"from {below}{above} import {last} as _{last}"
        yield f"from {base} import {alias.name.partition('.')[0]}"


def _grouped(imports: Sequence[str]) -> tuple[list[str], list[str], list[str]]:
    lines = sorted(set(imports), key=lambda line: (line.startswith("from "), line))
    future = [line for line in lines if line.startswith("from __future__ ")]
    relative = [line for line in lines if line.startswith("from .")]
    return future, [line for line in lines if line not in (*future, *relative)], relative


def _imported(needs: Needs) -> set[str]:
    aliases = [alias for line in needs.imports for node in ast.parse(line).body for alias in getattr(node, "names", [])]
    return {alias.asname or alias.name.partition(".")[0] for alias in aliases}


def _joined(parts: Sequence[str]) -> str:
    """Join a module's parts with the usual blank lines: two around functions and classes."""
    text, after = parts[0], False
    for part in parts[1:]:
        is_definition = part.startswith(("@", "async def ", "class ", "def "))
        text += ("\n\n\n" if is_definition or after else "\n\n") + part
        after = is_definition
    return text + "\n"


def _free(name: str, body: Sequence[Statement], needs: Needs, input_name: str) -> str:
    """Return `name`, with underscores in front until the module has no other use for it."""
    taken = {input_name, *(name for name, _ in needs.definitions)} | _imported(needs)
    taken |= names_taken(body) | names_bound(body)
    for _, source in needs.definitions:
        taken |= {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
    while name in taken:
        name = f"_{name}"
    return name


def _indented(source: str) -> list[str]:
    """Indent a statement by one level, leaving the inside of multi-line strings as it is."""
    inside: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant | ast.JoinedStr) and (node.end_lineno or node.lineno) > node.lineno:
            inside.update(range(node.lineno + 1, (node.end_lineno or node.lineno) + 1))
    lines = enumerate(source.split("\n"), 1)
    return [line if number in inside or not line else f"    {line}" for number, line in lines]
