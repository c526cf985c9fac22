"""``pipeline.yaml``: read, checked against the notebooks, and turned into a `Pipeline`.

Everything that can be known before a kernel starts is checked here, because the cheapest failed run is the one that
didn't begin: keys, names, notebooks, the parameters that they declare, value types, where inputs come from and where
outputs go. An error names file and line, and the nearest name that would have been right.
"""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from nbops.errors import NotebookError, nearest
from nbops.notebook.document import Document, read
from nbops.notebook.parameters import HOW_TO_TAG, Parameter, parameters
from nbops.pipeline.conditions import EXAMPLE as CONDITION_EXAMPLE
from nbops.pipeline.conditions import read_condition
from nbops.pipeline.environments import EXAMPLE as ENVIRONMENT_EXAMPLE
from nbops.pipeline.environments import in_environment
from nbops.pipeline.expand import FANOUT_EXAMPLES, FANOUT_KEYS, instances
from nbops.pipeline.functions import EXAMPLE as FUNCTION_EXAMPLE
from nbops.pipeline.functions import function_document
from nbops.pipeline.graph import order
from nbops.pipeline.interpolate import Scope, interpolated
from nbops.pipeline.model import FileInput, Pipeline, Stage, StageInput
from nbops.pipeline.policies import POLICY_EXAMPLES, POLICY_KEYS, read_policy
from nbops.pipeline.values import typed
from nbops.pipeline.yamltree import Place, compose
from nbops.project import Project

_EXAMPLE = "stages: {name: {notebook: …}}"
PIPELINE_KEYS = {"name", "params", "stages"}
STAGE_KEYS = (
    {"notebook", "python", "params", "inputs", "outputs", "metrics", "when", "environment"} | FANOUT_KEYS | POLICY_KEYS
)
RESERVED_STAGES = {"all", "none", "pipeline"}
RESERVED_NAMES = {"pm", "In", "Out", "exit", "quit", "get_ipython"}
EXAMPLES = {
    "notebook": "notebook: name.ipynb",
    "python": FUNCTION_EXAMPLE,
    "params": "params: {name: value}",
    "inputs": "inputs: {name: stage.output}, or the path of a file",
    "outputs": "outputs: {name: path/of/a/file}",
    "metrics": "metrics: [auc, rows]",
    "when": CONDITION_EXAMPLE,
    "environment": ENVIRONMENT_EXAMPLE,
    **FANOUT_EXAMPLES,
    **POLICY_EXAMPLES,
}
_STAGE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*\Z")
_UNNAMEABLE = re.compile(r"^[^A-Za-z]+|[^A-Za-z0-9_-]")


def load(project: Project, file: Path | None = None) -> Pipeline:
    """Read a project's pipeline.

    Parameters
    ----------
    project
        The project that it belongs to.
    file
        The pipeline's file, when it isn't the project's own.

    Raises
    ------
    SpecError
        If the file says something that can't be meant.
    """
    file = (file or project.pipeline_file).absolute()
    shown = project.relative(file)
    top = compose(file, shown, _how_to_begin(file))
    entries = top.known_entries(PIPELINE_KEYS)
    if "stages" not in entries:
        raise top.error("the pipeline has no 'stages'", _EXAMPLE)
    declared = replace(entries["stages"], example=_EXAMPLE).entries()
    if not declared:
        raise entries["stages"].error("the pipeline has no stages")
    documents: dict[Path, Document] = {}

    def build(given: Mapping[str, Mapping[str, object]]) -> Pipeline:
        name = entries["name"].text() if "name" in entries else project.name
        params = (
            {key: place.value() for key, place in entries["params"].entries().items()} if "params" in entries else {}
        )
        shared = {**params, **given.get("", {})}
        reader = _Reader(project, file, declared, shared, given, documents)
        return Pipeline(name, file, shown, {key: reader.stage(key) for key in reader.instances}, shared, build)

    pipeline = build({})
    order(pipeline)
    return pipeline


class _Reader:
    """Reads the stages of one file; outputs of all of them first, since inputs refer to them."""

    def __init__(
        self,
        project: Project,
        file: Path,
        declared: Mapping[str, Place],
        shared: Mapping[str, Any],
        given: Mapping[str, Mapping[str, object]],
        documents: dict[Path, Document],
    ) -> None:
        self.project = project
        self.file = file
        self.folder = file.parent.resolve()
        self.declared = declared
        self.documents = documents
        written = {name: self._fields(name, place) for name, place in declared.items()}
        every = [one for name in declared for one in instances(name, written[name], Scope({"params": shared}))]
        self.instances = {one.name: one for one in every}
        self.fields = {one.name: written[one.base] for one in every}
        # what a notebook's name and values are made of: the pipeline's own, and what makes the instance
        self.scopes = {one.name: Scope({"params": shared, **one.bindings}) for one in every}
        self.notebooks = {name: self._in_environment(name, *self._notebook(name)) for name in self.instances}
        self.params: dict[str, dict[str, Any]] = {}
        for name in self.instances:
            self.params[name] = self._params(name, given.get(name, {}))
            # what everything else is made of: the stage's own values as well
            own = {**self._defaults(name), **self.params[name]}
            values = self.scopes[name].values
            self.scopes[name] = Scope({**values, "params": {**values["params"], **own}})
        self.metrics = {name: self._metrics(fields.get("metrics")) for name, fields in self.fields.items()}
        self.outputs: dict[str, dict[str, Path]] = {}
        self.makers: dict[Path, tuple[str, str]] = {}
        for name in self.instances:
            self.outputs[name] = self._outputs(name)

    def stage(self, name: str) -> Stage:
        fields, scope = self.fields[name], self.scopes[name]
        path, document, known = self.notebooks[name]
        inputs, fans = self._inputs(name)
        when = fields.get("when")
        base = self.instances[name].base
        return Stage(
            name=name,
            notebook=path,
            line=self.declared[base].line,
            document=document,
            parameters=known or {},
            params=self.params[name],
            inputs=inputs,
            outputs=self.outputs[name],
            metrics=self.metrics[name],
            policy=read_policy({key: interpolated(fields[key], scope) for key in POLICY_KEYS & fields.keys()}),
            condition=read_condition(when, scope, self.metrics) if when else None,
            base=base if base != name else "",
            fans=fans,
        )

    def _params(self, name: str, given: Mapping[str, object]) -> dict[str, Any]:
        fields, known = self.fields[name], self.notebooks[name][2] or {}
        groups = {key: fields[key].entries() if key in fields else {} for key in ("params", "inputs", "outputs")}
        self._check_names(name, groups)
        scope = self.scopes[name]
        found = {key: typed(interpolated(place, scope), key, known[key]) for key, place in groups["params"].items()}
        return {**found, **given}

    def _defaults(self, name: str) -> dict[str, Any]:
        """Return the defaults that are plain values, of parameters that are neither inputs nor outputs."""
        taken = {key for group in ("inputs", "outputs") for key in self._keys(name, group)}
        found = {}
        for key, parameter in (self.notebooks[name][2] or {}).items():
            if key not in taken:
                with suppress(ValueError):  # what is computed isn't known before the notebook runs
                    found[key] = ast.literal_eval(parameter.default)
        return found

    def _keys(self, name: str, group: str) -> list[str]:
        place = self.fields[name].get(group)
        return list(place.entries()) if place else []

    def _inputs(self, name: str) -> tuple[dict[str, FileInput | StageInput], dict[str, tuple[str, ...]]]:
        """Return where inputs come from, and which of them go into one parameter together."""
        place = self.fields[name].get("inputs")
        scope = replace(self.scopes[name], outputs=True)
        found: dict[str, FileInput | StageInput] = {}
        fans: dict[str, tuple[str, ...]] = {}
        for key, written in (place.entries() if place else {}).items():
            entry = interpolated(written, scope)
            members = self._members(name, key, entry)
            if members:
                numbered = {f"{key}[{position}]": source for position, source in enumerate(members)}
                found |= numbered
                fans[key] = tuple(numbered)
            else:
                found[key] = self._source(name, entry)
        return found, fans

    def _members(self, name: str, key: str, place: Place) -> list[StageInput]:
        """Return what every instance of a fanned-out stage makes; nothing when the input isn't such."""
        stage, _, output = place.text().rpartition(".")
        names = [one.name for one in self.instances.values() if one.base == stage and one.name != stage]
        if not names:
            return []
        if output not in self.outputs[names[0]]:
            raise place.error(f"stage '{stage}' has no output '{output}'", nearest(output, self.outputs[names[0]]))
        parameter = (self.notebooks[name][2] or {})[key]
        if not parameter.accepts([]):
            raise place.error(
                f"'{key}' gets a list of paths, since stage '{stage}' is fanned out to {len(names)}",
                f"make its default a list, or take one: {names[0]}.{output}",
            )
        return [StageInput(one, output, place.line) for one in names]

    def _fields(self, name: str, place: Place) -> dict[str, Place]:
        if not _STAGE_NAME.match(name):
            raise place.error(f"'{name}' can't be a stage's name", "use letters, digits, '_' and '-', a letter first")
        if name in RESERVED_STAGES:
            raise place.error(f"'{name}' is a reserved name", "call the stage something else")
        fields = replace(place, what=f"stage '{name}'", example=_EXAMPLE).known_entries(STAGE_KEYS)
        if "notebook" in fields and "python" in fields:
            raise fields["python"].error(f"stage '{name}' has both 'notebook' and 'python'", "keep one of them")
        if "notebook" not in fields and "python" not in fields:
            raise place.error(f"stage '{name}' has no 'notebook'", EXAMPLES["notebook"])
        return {key: replace(field, example=EXAMPLES[key]) for key, field in fields.items()}

    def _notebook(self, name: str) -> tuple[Path, Document, dict[str, Parameter] | None]:
        fields = self.fields[name]
        if "python" in fields:
            keys = [key for group in ("params", "inputs", "outputs") for key in self._keys(name, group)]
            function = interpolated(fields["python"], self.scopes[name])
            path, document = function_document(function, self.folder, keys, self._metrics(fields.get("metrics")))
            return path, document, parameters(document)
        place = interpolated(fields["notebook"], self.scopes[name])
        given = place.text()
        path = self._path(place, given)
        if not path.is_file():
            there = [one.relative_to(self.folder).as_posix() for one in sorted(self.folder.glob("**/*.ipynb"))]
            there = [one for one in there if not one.startswith(".") and "/." not in one]
            raise place.error(f"no notebook '{given}'", nearest(given, there) if there else "")
        if path.suffix != ".ipynb":
            raise place.error(f"'{given}' isn't a notebook", "stages are notebooks (.ipynb), which may import modules")
        try:
            document = self.documents[path] = self.documents.get(path) or read(path)
        except NotebookError as error:
            raise place.error(f"'{given}': {error.message}", error.remedy) from error
        return path, document, parameters(document)

    def _in_environment(
        self, name: str, path: Path, document: Document, known: dict[str, Parameter] | None
    ) -> tuple[Path, Document, dict[str, Parameter] | None]:
        place = self.fields[name].get("environment")
        return path, in_environment(interpolated(place, self.scopes[name]), document) if place else document, known

    def _outputs(self, name: str) -> dict[str, Path]:
        place = self.fields[name].get("outputs")
        found = {}
        for key, written in (place.entries() if place else {}).items():
            entry = interpolated(written, self.scopes[name])
            given = entry.text()
            path = self._path(entry, given)
            self._check_output(entry, given, path)
            for other, (stage, output) in self.makers.items():
                if path == other or path in other.parents or other in path.parents:
                    raise entry.error(
                        f"output '{given}' is also made by {stage}.{output}"
                        if path == other
                        else f"output '{given}' overlaps {stage}.{output} ('{self._shown(other)}')",
                        self._apart(name, stage),
                    )
            self.makers[path] = (name, key)
            found[key] = path
        return found

    def _apart(self, name: str, other: str) -> str:
        """Return how to keep the outputs of two stages apart."""
        one = self.instances[name]
        if one.base != self.instances[other].base:
            return "give each output a path of its own"
        reference = f"matrix.{next(iter(one.bindings['matrix']))}" if "matrix" in one.bindings else "item"
        return f"'{one.base}' is fanned out: put what differs into the path, such as ${{{reference}}}"

    def _check_output(self, entry: Place, given: str, path: Path) -> None:
        root = self.project.root.resolve()
        if not path.is_relative_to(root) or path == root:
            raise entry.error(f"output '{given}' lies outside the project", f"choose a path below {root}")
        if path.is_relative_to(root / ".nbops") or path.is_relative_to(root / ".git"):
            raise entry.error(
                f"output '{given}' lies in a folder that isn't the pipeline's to write", "choose another, such as data/"
            )
        kept = {self.file, self.file.resolve(), *(notebook for notebook, _, _ in self.notebooks.values())}
        if any(path == one or path in one.parents for one in kept):
            raise entry.error(
                f"output '{given}' would overwrite the pipeline's own files", "choose another, such as data/"
            )

    def _check_names(self, name: str, groups: Mapping[str, Mapping[str, Place]]) -> None:
        path, _, known = self.notebooks[name]
        seen: dict[str, str] = {}
        for group, entries in groups.items():
            for key, place in entries.items():
                if known is None:
                    raise place.error(f"'{key}' is given to '{path.name}', which has no parameters cell", HOW_TO_TAG)
                if key not in known:
                    remedy = nearest(key, known) if known else "its parameters cell assigns none, or isn't Python"
                    raise place.error(f"'{key}' in {group} isn't a parameter of '{path.name}'", remedy)
                if key in RESERVED_NAMES or keyword.iskeyword(key):
                    raise place.error(f"'{key}' is a reserved name")
                if key in seen:
                    raise place.error(f"'{key}' stands in {seen[key]} and in {group}", "keep one of them")
                seen[key] = group

    def _source(self, name: str, place: Place) -> FileInput | StageInput:
        given = place.text()
        stage, dot, output = given.rpartition(".")
        if dot and stage in self.outputs and "/" not in given:
            if output not in self.outputs[stage]:
                raise place.error(f"stage '{stage}' has no output '{output}'", nearest(output, self.outputs[stage]))
            return StageInput(stage, output, place.line)
        path = self._path(place, given)
        if path in self.makers:
            return StageInput(*self.makers[path], place.line)
        within = next((maker for other, maker in self.makers.items() if other in path.parents), None)
        if within:
            raise place.error(
                f"input '{given}' lies inside the output {within[0]}.{within[1]}",
                f"take the whole folder: {within[0]}.{within[1]}",
            )
        if not path.exists():
            made = [f"{one}.{key}" for one, outputs in self.outputs.items() if one != name for key in outputs]
            raise place.error(
                f"input '{given}' isn't there, and no stage makes it",
                nearest(given, made) if made else "give a file's path or <stage>.<output>",
            )
        return FileInput(path, place.line)

    def _metrics(self, place: Place | None) -> tuple[str, ...]:
        names: list[str] = []
        for member in place.texts() if place else ():
            name = member.text()
            if not name.isidentifier() or keyword.iskeyword(name):
                raise member.error(
                    f"metric '{name}' isn't the name of a variable", "assign the number to a variable in the notebook"
                )
            if name in names:
                raise member.error(f"metric '{name}' stands twice")
            names.append(name)
        return tuple(names)

    def _path(self, place: Place, given: str) -> Path:
        if "\0" in given:
            raise place.error(f"{place.what} isn't a path")
        return (self.folder / Path(given).expanduser()).resolve() if given[:1] != "~" else _home(place, given)

    def _shown(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix() if path.is_relative_to(self.folder) else str(path)


def _home(place: Place, given: str) -> Path:
    try:
        return Path(given).expanduser().resolve()
    except RuntimeError as error:
        raise place.error(f"'{given}' isn't a path: {error}") from error


def _how_to_begin(file: Path) -> str:
    """Return what to write where there is no pipeline yet, with the notebooks that are there."""
    found = [path.name for path in sorted(file.parent.glob("*.ipynb")) if path.name[:1].isalnum()][:3]
    stages = ", ".join(f"{_UNNAMEABLE.sub('', name[:-6]) or 'name'}: {{notebook: {name}}}" for name in found)
    return f"to begin with: stages: {{{stages}}}" if found else "`nbops init` lays out a project with a pipeline"
