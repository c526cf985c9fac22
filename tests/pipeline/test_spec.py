"""Mistakes in pipeline.yaml: each names its line, and the name that was meant."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nbops.errors import NbopsError, SpecError
from nbops.notebook.document import new, write
from nbops.pipeline.graph import downstream, order, select
from nbops.pipeline.model import FileInput, StageInput
from nbops.pipeline.overrides import override, parse_assignments
from nbops.pipeline.spec import load
from nbops.project import Project

HEAD = "name: p\nstages:\n"
GOOD = HEAD + (
    "  make:\n"
    "    notebook: make.ipynb\n"
    "    params: {n: 3}\n"
    "    outputs: {out: data/out.txt}\n"
    "  use:\n"
    "    notebook: use.ipynb\n"
    "    inputs: {source: make.out}\n"
    "    outputs: {out: data/used.txt}\n"
    "    metrics: [auc]\n"
)


def cell(source: str, *tags: str) -> dict[str, Any]:
    return {"cell_type": "code", "source": source, "metadata": {"tags": list(tags)}}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("spec")
    (root / "nbops.toml").write_text("")
    (root / "here.csv").write_text("a")
    write(
        root / "make.ipynb",
        new([cell('n = 2\nrate: float = 0.5\nwhen = None\nword = "a"\nout = "out.txt"', "parameters")]),
    )
    write(root / "use.ipynb", new([cell('source = "x"\nout = "out.txt"\nextra = [1]', "parameters")]))
    write(root / "bare.ipynb", new([cell("x = 1")]))
    write(root / "slip.ipynb", new([cell("source ==", "parameters")]))
    (root / "helper.py").write_text("")
    (root / "merged.ipynb").write_text("<<<<<<< HEAD\n{}\n=======\n{}\n>>>>>>> theirs\n")
    (root / "broken.ipynb").write_text('{"cells": [')
    return root


def read(root: Path, text: str) -> Any:
    (root / "pipeline.yaml").write_text(text)
    return load(Project.find(root))


def error(root: Path, text: str) -> SpecError:
    with pytest.raises(SpecError) as caught:
        read(root, text)
    assert caught.value.exit_code == 2
    return caught.value


def test_a_pipeline_as_it_is_meant(root: Path) -> None:
    pipeline = read(root, GOOD)

    assert pipeline.name == "p"
    assert order(pipeline) == ["make", "use"]
    make, use = pipeline.stages.values()
    assert make.params == {"n": 3}
    assert make.outputs == {"out": root.resolve() / "data/out.txt"}
    assert use.inputs == {"source": StageInput("make", "out", 9)}
    assert use.metrics == ("auc",)
    assert select(pipeline, ["make"]) == ["make"]
    assert downstream(pipeline, "make") == {"use"}


def test_inputs_are_files_or_what_stages_make(root: Path) -> None:
    pipeline = read(root, GOOD.replace("make.out}", "here.csv}"))
    assert pipeline.stages["use"].inputs == {"source": FileInput(root.resolve() / "here.csv", 9)}

    pipeline = read(root, GOOD.replace("make.out}", "data/out.txt}"))
    assert pipeline.stages["use"].inputs == {"source": StageInput("make", "out", 9)}, "by its path"


@pytest.mark.parametrize(
    ("text", "where", "message", "remedy"),
    [
        ("", "pipeline.yaml:1", "the file is empty", "it needs 'stages:'"),
        ("# only a comment\n", "pipeline.yaml:1", "the file is empty", "it needs 'stages:'"),
        ("name: p\n", "pipeline.yaml:1", "the pipeline has no 'stages'", "stages: {name: {notebook: …}}"),
        ("name: p\nstages: {}\n", "pipeline.yaml:2", "the pipeline has no stages", ""),
        ("name: p\nstage: {}\n", "pipeline.yaml:2", "unknown key 'stage' in the pipeline", "did you mean 'stages'?"),
        ("- a\n", "pipeline.yaml:1", "the pipeline must be a mapping, not a list", ""),
        ("name: [1\n", "pipeline.yaml:2", "not valid YAML", ""),
        ("name: 3\nstages: {a: {notebook: make.ipynb}}\n", "pipeline.yaml:1", "must be a text, not 3", ""),
        (HEAD + "  make: make.ipynb\n", "pipeline.yaml:3", "stage 'make' must be a mapping, not a single value", ""),
        (HEAD + "  make: {}\n", "pipeline.yaml:3", "stage 'make' has no 'notebook'", "notebook: name.ipynb"),
        (HEAD + "  all: {notebook: make.ipynb}\n", "pipeline.yaml:3", "'all' is a reserved name", ""),
        (HEAD + "  a.b: {notebook: make.ipynb}\n", "pipeline.yaml:3", "'a.b' can't be a stage's name", ""),
        (GOOD.replace("    outputs: {out: data/u", "    output: {out: data/u"), "pipeline.yaml:10",
         "unknown key 'output' in stage 'use'", "did you mean 'outputs'?"),
        (GOOD + "  make: {notebook: use.ipynb}\n", "pipeline.yaml:12", "'make' stands twice", "first on line 3"),
        (GOOD.replace("make.ipynb", "mak.ipynb"), "pipeline.yaml:4", "no notebook 'mak.ipynb'",
         "did you mean 'make.ipynb'?"),
        (GOOD.replace("make.ipynb", "broken.ipynb"), "pipeline.yaml:4", "'broken.ipynb': not a notebook", "restore"),
        (GOOD.replace("{n: 3}", "{m: 3}"), "pipeline.yaml:5", "'m' in params isn't a parameter of 'make.ipynb'",
         "known: n, out, rate, when, word"),
        (GOOD.replace("{n: 3}", "{rat: 3}"), "pipeline.yaml:5", "'rat' in params", "did you mean 'rate'?"),
        (GOOD.replace("{n: 3}", "{out: x}"), "pipeline.yaml:6", "'out' stands in params and in outputs", ""),
        (GOOD.replace("{n: 3}", "{n: three}"), "pipeline.yaml:5", "'n' must be int, not str ('three')",
         "write a number without quotes, an int without an exponent; the default is 2"),
        (GOOD.replace("{n: 3}", "{rate: '0.1'}"), "pipeline.yaml:5", "'rate' must be float, not str", "write a number"),
        (GOOD.replace("{n: 3}", "{word: no}"), "pipeline.yaml:5", "'word' must be str, not bool", "quote a text"),
        (GOOD.replace("    notebook: use", "\tnotebook: use"), "pipeline.yaml:8", "not valid YAML", "indent with spaces"),
        (GOOD.replace("  use:", "  use"), "pipeline.yaml:8", "not valid YAML", "a ':' is missing"),
        (GOOD.replace("{n: 3}", "{n: 3"), "pipeline.yaml:6", "not valid YAML", "a '}' or ',' is missing"),
        (GOOD.replace("{n: 3}", "[n]"), "pipeline.yaml:5", "must be a mapping, not a list", "params: {name: value}"),
        (GOOD.replace("{source: make.out}", "[make.out]"), "pipeline.yaml:9", "not a list", "inputs: {name: stage.out"),
        (GOOD.replace("use.ipynb", "helper.py"), "pipeline.yaml:8", "'helper.py' isn't a notebook", "stages are noteb"),
        (GOOD.replace("use.ipynb", "merged.ipynb"), "pipeline.yaml:8", "its JSON is broken", "it holds a merge's"),
        (GOOD.replace("use.ipynb", "slip.ipynb"), "pipeline.yaml:9", "isn't a parameter of 'slip.ipynb'",
         "its parameters cell assigns none, or isn't Python"),
        (GOOD.replace("{n: 3}", "{n: 1.5}"), "pipeline.yaml:5", "'n' must be int, not float", ""),
        (GOOD.replace("{n: 3}", "{n: yes}"), "pipeline.yaml:5", "'n' must be int, not bool", ""),
        (GOOD.replace("{n: 3}", "{when: !!binary aGk=}"), "pipeline.yaml:5", "'when' holds a bytes", ""),
        (GOOD.replace("{n: 3}", "{when: 2013-13-45}"), "pipeline.yaml:5", "can't be read: month must be in 1..12", ""),
        (GOOD.replace("{n: 3}", "{when: !!python/object:os.system x}"), "pipeline.yaml:5", "can't be read", ""),
        (GOOD.replace("{n: 3}", "{when: &a [*a]}"), "pipeline.yaml:5", "contains itself", ""),
        (GOOD.replace("make.ipynb", "bare.ipynb"), "pipeline.yaml:5",
         "'n' is given to 'bare.ipynb', which has no parameters cell", "tag the cell that holds its defaults"),
        (GOOD.replace("make.out", "make.ou"), "pipeline.yaml:9", "stage 'make' has no output 'ou'",
         "did you mean 'out'?"),
        (GOOD.replace("make.out", "mak.out"), "pipeline.yaml:9", "input 'mak.out' isn't there, and no stage makes it",
         "did you mean 'make.out'?"),
        (GOOD.replace("data/used.txt", "data/out.txt"), "pipeline.yaml:10", "is also made by make.out", ""),
        (GOOD.replace("data/used.txt", "data"), "pipeline.yaml:10", "overlaps make.out", ""),
        (GOOD.replace("data/used.txt", "../x.txt"), "pipeline.yaml:10", "lies outside the project", ""),
        (GOOD.replace("data/used.txt", ".nbops/x"), "pipeline.yaml:10", "isn't the pipeline's to write", ""),
        (GOOD.replace("data/used.txt", "use.ipynb"), "pipeline.yaml:10", "would overwrite the pipeline's own", ""),
        (GOOD.replace("[auc]", "auc"), "pipeline.yaml:11", "must be a list, not a single value", ""),
        (GOOD.replace("[auc]", "[auc, 'a b']"), "pipeline.yaml:11", "metric 'a b' isn't the name of a variable", ""),
        (GOOD.replace("{out: data/used.txt}", "{out: }"), "pipeline.yaml:10", "must be a text, not empty", ""),
    ],
)  # fmt: skip
def test_mistakes_say_where_what_and_the_nearest_name(
    root: Path, text: str, where: str, message: str, remedy: str
) -> None:
    found = error(root, text)

    assert re.sub(r"(\.yaml:\d+):\d+$", r"\1", found.where) == where
    assert message in found.message
    assert found.remedy.startswith(remedy)


def test_cycles_are_drawn(root: Path) -> None:
    stage = "  {0}:\n    notebook: use.ipynb\n    inputs: {{source: {1}.out}}\n    outputs: {{out: {0}.txt}}\n"

    found = error(root, HEAD + stage.format("a", "c") + stage.format("b", "a") + stage.format("c", "b"))

    assert "a → b → c → a" in found.message
    assert found.where == "pipeline.yaml:9"
    assert error(root, HEAD + stage.format("a", "a")).message == "stage 'a' takes what it makes itself"


def test_missing_file_and_bytes_that_are_no_text(root: Path) -> None:
    (root / "pipeline.yaml").unlink(missing_ok=True)
    with pytest.raises(SpecError, match="no such file"):
        load(Project.find(root))
    (root / "pipeline.yaml").write_bytes(b"name: p\nstages: \xff\xfe\x00")
    with pytest.raises(SpecError, match=r"pipeline.yaml:2: not UTF-8"):
        load(Project.find(root))


def test_where_there_is_no_pipeline_the_first_is_drafted(tmp_path: Path) -> None:
    (tmp_path / "nbops.toml").write_text("")
    with pytest.raises(SpecError, match="nbops init"):
        load(Project.find(tmp_path))
    write(tmp_path / "01_get it.ipynb", new([]))
    with pytest.raises(SpecError, match="no such file") as caught:
        load(Project.find(tmp_path))
    assert caught.value.remedy == "to begin with: stages: {getit: {notebook: 01_get it.ipynb}}"
    read(tmp_path, caught.value.remedy.partition(": ")[2])


def test_a_float_is_a_float_however_it_is_written(root: Path) -> None:
    pipeline = read(root, GOOD.replace("{n: 3}", "{rate: 1e-3}"))
    assert pipeline.stages["make"].params == {"rate": 0.001}


def test_values_for_one_run(root: Path) -> None:
    pipeline = read(root, GOOD)

    found = override(pipeline, parse_assignments(["rate=1e-3", "make.n=7", "n=5", "extra=[1, 2]"]))

    assert found.stages["make"].params == {"n": 7, "rate": 0.001}
    assert found.stages["use"].params == {"extra": [1, 2]}
    assert override(pipeline, {"rate": 2}).stages["make"].params["rate"] == 2.0
    assert isinstance(override(pipeline, {"rate": 2}).stages["make"].params["rate"], float)


@pytest.mark.parametrize(
    ("params", "message", "remedy"),
    [
        (["m=1"], "no stage has a parameter 'm'", "known: extra, n, rate, when, word"),
        (["raet=1"], "no stage has a parameter 'raet'", "did you mean 'rate'?"),
        (["mak.n=1"], "no stage 'mak'", "did you mean 'make'?"),
        (["make.m=1"], "stage 'make' has no parameter 'm'", "known: n, rate, when, word"),
        (["out=x"], "no stage has a parameter 'out'", "known"),
        (["n=abc"], "'n' must be int, not str ('abc')", "the default is 2"),
        (["n"], "'n' isn't name=value", "-p cut_month=8"),
        (["n=1", "n=2"], "'n' is given twice", ""),
        (["n=[1"], "'[1' can't be read as a value", ""),
    ],
)
def test_values_that_fit_nothing(root: Path, params: list[str], message: str, remedy: str) -> None:
    pipeline = read(root, GOOD)

    with pytest.raises(SpecError) as caught:
        override(pipeline, parse_assignments(params))

    assert message in caught.value.message
    assert caught.value.remedy.startswith(remedy)


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.sampled_from(["make.ipynb", "n"])
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["name", "stages", "notebook", "params", "inputs", "a"]), inner, max_size=4),
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=TREES)
def test_no_tree_ends_in_a_traceback(root: Path, tree: Any) -> None:
    import yaml

    survives(root, yaml.safe_dump(tree, allow_unicode=True))
    survives(root, yaml.safe_dump({"stages": {"a": tree}}))
    survives(root, yaml.safe_dump({"stages": {"a": {"notebook": "make.ipynb", "params": tree}}}))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cut=st.integers(0, len(GOOD)), junk=st.text(alphabet=st.sampled_from("{}[]&*!|>-:,'\"#%@ \n\tab0é\x00"), max_size=6)
)
def test_no_damage_ends_in_a_traceback(root: Path, cut: int, junk: str) -> None:
    survives(root, GOOD[:cut] + junk + GOOD[cut:])
    survives(root, GOOD[:cut] + junk)


def test_deep_nesting_is_refused(root: Path) -> None:
    survives(root, "a: " + "[" * 50_000)
    survives(root, "a: " + "{b: " * 50_000)
    laughs = "".join(f"- &{b} [{', '.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    bomb = "".join(f"        {line}\n" for line in ("- &a [1]\n" + laughs).splitlines())
    assert (
        "larger" in error(root, HEAD + f"  make:\n    notebook: make.ipynb\n    params:\n      when:\n{bomb}").message
    )


def survives(root: Path, text: str) -> None:
    with suppress(NbopsError):
        read(root, text)
