"""A stage that is a Python function instead of a notebook: ``python: module:function``.

The function is read, not imported, and a notebook of two cells is made in memory: its parameters with their defaults,
and the call. So it runs in a fresh process like any other stage, and is keyed, cached and recorded by the same rules;
the module is one of the project's own, whose code is in the key.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from pathlib import Path

from nbops.errors import nearest
from nbops.notebook.document import Document, new
from nbops.notebook.parameters import PARAMETERS_TAG
from nbops.pipeline.yamltree import Place

EXAMPLE = "python: module:function"


def function_document(
    place: Place, folder: Path, given: Collection[str], metrics: Collection[str]
) -> tuple[Path, Document]:
    """Return a name in the form of a path, and the notebook that calls a function.

    Parameters
    ----------
    place
        Where the function is named.
    folder
        The pipeline's folder, from which modules are imported.
    given
        The arguments that the stage gives.
    metrics
        Keys of the mapping that the function returns, which become metrics.

    Raises
    ------
    SpecError
        If there is no such module or function, or it can't be called with what is given.
    """
    module, colon, name = place.text().partition(":")
    if not colon or not name.isidentifier() or not all(part.isidentifier() for part in module.split(".")):
        raise place.error(f"'{place.text()}' isn't a function of a module", EXAMPLE)
    function = _function(place, folder, module, name)
    parameters = "\n".join(["from __future__ import annotations", *_parameters(place, function, given)])
    names = ", ".join(f"{one}={one}" for one in _names(function) if f"\n{one}:" in parameters)
    call = [f"from {module} import {name} as _function", f"_metrics = _function({names}) or {{}}"]
    call += [f"{metric} = _metrics[{metric!r}]" for metric in metrics]
    cells = [
        {"cell_type": "code", "id": "parameters", "source": parameters, "metadata": {"tags": [PARAMETERS_TAG]}},
        {"cell_type": "code", "id": "call", "source": "\n".join(call), "metadata": {}},
    ]
    return folder / f"{module}:{name}", new(cells)


def _function(place: Place, folder: Path, module: str, name: str) -> ast.FunctionDef:
    stem = folder.joinpath(*module.split("."))
    path = next((one for one in (stem.with_suffix(".py"), stem / "__init__.py") if one.is_file()), None)
    if path is None:
        there = [one.stem for one in folder.glob("*.py")]
        remedy = nearest(module, there) if there else f"it would be {stem.name}.py beside the pipeline"
        raise place.error(f"no module '{module}'", remedy)
    try:
        body = ast.parse(path.read_text(encoding="utf-8")).body
    except (SyntaxError, ValueError) as error:
        raise place.error(f"module '{module}' isn't Python: {error}") from error
    functions = {one.name: one for one in body if isinstance(one, ast.FunctionDef)}
    if name not in functions:
        remedy = nearest(name, functions) if functions else f"define it in {path.name}, at the top level"
        raise place.error(f"module '{module}' has no function '{name}'", remedy)
    found = functions[name]
    if found.args.posonlyargs or found.args.vararg or found.args.kwarg:
        raise place.error(
            f"'{name}' can't be called by the names of its arguments", "leave out '/', '*args' and '**kwargs'"
        )
    return found


def _names(function: ast.FunctionDef) -> list[str]:
    return [one.arg for one in (*function.args.args, *function.args.kwonlyargs)]


def _parameters(place: Place, function: ast.FunctionDef, given: Collection[str]) -> Iterator[str]:
    """Yield an assignment a parameter; one with a computed default that isn't given is left to the function."""
    args = function.args
    defaults: list[ast.expr | None] = [None] * (len(args.args) - len(args.defaults))
    for one, default in zip(
        [*args.args, *args.kwonlyargs], [*defaults, *args.defaults, *args.kw_defaults], strict=True
    ):
        if default is None and one.arg not in given:
            raise place.error(f"'{function.name}' wants '{one.arg}'", "give it in params, inputs or outputs")
        annotation = ast.unparse(one.annotation) if one.annotation else "object"
        if default is None:
            yield f"{one.arg}: {annotation} = None"
        elif _is_plain(default):
            annotation = annotation if one.annotation else type(ast.literal_eval(default)).__name__
            yield f"{one.arg}: {annotation} = {ast.unparse(default)}"
        elif one.arg in given:
            yield f"{one.arg}: {annotation} = None"


def _is_plain(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except ValueError:
        return False
    return True
