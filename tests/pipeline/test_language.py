"""References, fan-out and fan-in, and conditions: what pipeline.yaml can say beyond a list of stages."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nbops.errors import SpecError
from nbops.pipeline.conditions import Condition
from nbops.pipeline.expand import label
from nbops.pipeline.graph import select
from nbops.pipeline.model import StageInput
from nbops.pipeline.overrides import override, parse_assignments
from nbops.pipeline.plan import status
from nbops.pipeline.spec import load
from nbops.tracking.store import Store

FANNED = """\
params: {scales: [1.0, 2.0]}
stages:
  make:
    notebook: make.ipynb
    matrix: {n: [2, 3], scale: "${params.scales}"}
    params: {n: "${matrix.n}", scale: "${matrix.scale}"}
    outputs: {numbers: "data/${params.n}-${matrix.scale}.json"}
  join:
    notebook: join.ipynb
    inputs: {parts: "${stages.make.outputs.numbers}"}
    outputs: {out: data/all.json}
    metrics: [parts_count]
  when_many:
    notebook: use.ipynb
    inputs: {source: join.out}
    outputs: {out: data/used.txt}
    when: ${stages.join.metrics.parts_count} > ${params.least}
  after:
    notebook: use.ipynb
    inputs: {source: when_many.out}
    outputs: {out: data/after.txt}
"""
INSTANCES = ["make@n=2,scale=1.0", "make@n=2,scale=2.0", "make@n=3,scale=1.0", "make@n=3,scale=2.0"]


@pytest.fixture
def lab(tiny: Any) -> Any:
    join = "import json\nfrom pathlib import Path\nfound = [json.loads(Path(part).read_text()) for part in parts]\n"
    tiny.notebook(
        "join.ipynb",
        join + "parts_count = len(found)\nPath(out).write_text(json.dumps(found))",
        parameters='parts = []\nout = "all.json"',
    )
    use = "from pathlib import Path\nPath(out).write_text(Path(source).read_text())"
    tiny.notebook("use.ipynb", use, parameters='source = ""\nout = ""\nleast = 3')
    return tiny


def read(lab: Any, text: str) -> Any:
    lab.yaml(text)
    return load(lab.project)


def test_a_matrix_makes_stages_and_fan_in_lists_what_they_make(lab: Any) -> None:
    pipeline = read(lab, FANNED)

    assert list(pipeline.stages) == [*INSTANCES, "join", "when_many", "after"]
    made = pipeline.stages["make@n=3,scale=2.0"]
    assert made.params == {"n": 3, "scale": 2.0}
    assert made.outputs["numbers"].name == "3-2.0.json"
    join = pipeline.stages["join"]
    assert join.fans == {"parts": tuple(f"parts[{i}]" for i in range(4))}
    assert list(join.inputs.values()) == [StageInput(name, "numbers", 10) for name in INSTANCES]
    assert set(select(pipeline, ["make"])) == set(INSTANCES)
    assert select(pipeline, [INSTANCES[1]]) == [INSTANCES[1]]


def test_values_for_one_run_reach_what_is_made_of_them(lab: Any) -> None:
    pipeline = override(read(lab, FANNED), parse_assignments(["scales=[5.0]", "when_many.least=9"]))

    assert list(pipeline.stages)[:2] == ["make@n=2,scale=5.0", "make@n=3,scale=5.0"]
    condition = pipeline.stages["when_many"].condition
    assert condition.unmet({"join": {"parts_count": 4.0}}) == (
        "not when ${stages.join.metrics.parts_count} > ${params.least}: "
        "params.least is 9, stages.join.metrics.parts_count is 4.0"
    )
    with pytest.raises(SpecError, match="'scales' must be list"):
        override(read(lab, FANNED), parse_assignments(["scales=abc"]))


def test_foreach_over_a_list_and_a_mapping(lab: Any) -> None:
    head = "stages:\n  use:\n    notebook: use.ipynb\n    inputs: {{source: words.txt}}\n"
    text = head + '    foreach: {0}\n    outputs: {{out: "{1}"}}\n'

    assert list(read(lab, text.format("[a, b c]", "${item}.txt")).stages) == ["use@a", f"use@{label('b c')}"]
    mapped = read(lab, text.format("{march: {days: 31}, april: {days: 30}}", "${key}-${item.days}.txt"))
    assert [stage.outputs["out"].name for stage in mapped.stages.values()] == ["march-31.txt", "april-30.txt"]


@pytest.mark.parametrize(
    ("old", "new", "where", "message", "remedy"),
    [
        ("${params.n}-", "${params.m}-", "7:30", "${params.m} refers to nothing", "did you mean 'params.n'?"),
        ("${params.n}-", "${param.n}-", "7:30", "${param.n} refers to nothing", "did you mean 'params'?"),
        ("${params.n}-${matrix.scale}", "x${params.n}", "7:15", "is also made by make@n=2,scale=1.0", "'make' is fann"),
        ("${matrix.n}", "${matrix.k}", "6:18", "${matrix.k} refers to nothing", "did you mean"),
        ("${matrix.n}", "${stages.join.outputs.out}", "6:18", "can't stand here", "what a stage makes is given"),
        ("[2, 3]", "[]", "5:14", "must be a list of values", "matrix: {"),
        ("[2, 3]", "[2, 2]", "5:5", "has 'n=2,scale=1.0' twice", "make its values different"),
        ("make.outputs.numbers", "make.outputs.number", "10:14", "stage 'make' has no output 'number'", "did you mean"),
        ("join.ipynb", "use.ipynb", "10:14", "'parts' in inputs isn't a parameter", ""),
        ("{parts: ", "{out: ", "11:15", "'out' stands in inputs and in outputs", ""),
        ("join.metrics.parts_count", "join.metrics.part_count", "17:11", "no metric 'part_count'", "did you mean"),
        ("join.metrics.parts_count", "jon.metrics.parts_count", "17:11", "no stage 'jon'", "did you mean 'join'?"),
        ("> ${params", "> open(${params", "17:5", "isn't a condition", "compare with"),
        ("> ${params.least}", "> least", "17:5", "'least' can't stand in a condition", "quote a text"),
        ("> ${params.least}", "> len('a')", "17:5", "can't stand in a condition", ""),
        ("${stages.join.metrics.parts_count} > ${params.least}", "${params.least} > 'a'", "17:5", "can't be told", ""),
    ],
)  # fmt: skip
def test_mistakes_name_line_and_column(lab: Any, old: str, new: str, where: str, message: str, remedy: str) -> None:
    assert old in FANNED
    with pytest.raises(SpecError) as caught:
        read(lab, FANNED.replace(old, new, 1))

    assert message in caught.value.message
    assert caught.value.where == f"pipeline.yaml:{where}"
    assert caught.value.remedy.startswith(remedy)


def test_a_list_is_wanted_where_many_come_in(lab: Any) -> None:
    text = FANNED.replace("{source: join.out}", "{source: make.numbers}")

    with pytest.raises(SpecError, match="'source' gets a list of paths") as caught:
        read(lab, text)
    assert "make its default a list, or take one: make@n=2,scale=1.0.numbers" in caught.value.remedy


@given(st.one_of(st.text(max_size=60), st.integers(), st.floats(), st.booleans(), st.none(), st.lists(st.integers())))
def test_a_label_is_a_file_name_and_stable(value: Any) -> None:
    found = label(value)

    assert re.fullmatch(r"[A-Za-z0-9_.+-]+", found)
    assert found == label(value)
    assert len(found) < 60


@given(st.text(max_size=20), st.text(max_size=20))
def test_different_texts_have_different_labels(one: str, other: str) -> None:
    assert (label(one) == label(other)) == (one == other)


EXPRESSIONS = st.recursive(
    st.one_of(st.integers(-9, 9), st.booleans(), st.sampled_from(["'a'", "None", "1.5"])).map(str),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["==", "!=", "<", ">=", "and", "or", "+", "*", "%", "/"]), inner).map(
            lambda parts: f"({' '.join(parts)})"
        ),
        inner.map(lambda one: f"(not {one})"),
        st.lists(inner, max_size=3).map(lambda many: f"[{', '.join(many)}]"),
    ),
    max_leaves=8,
)


@settings(max_examples=300)
@given(EXPRESSIONS)
def test_a_condition_means_what_python_means(text: str) -> None:
    with suppress(SpecError):  # sums of texts, and what Python can't compare either
        unmet = Condition(text, "here").unmet({})
        assert bool(unmet) is not bool(eval(text, {"__builtins__": {}}))


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(alphabet=st.sampled_from("ab1.()[]{}<>=!+*' \"_,:$\n"), max_size=30))
def test_no_condition_ends_in_a_traceback(text: str) -> None:
    with suppress(SpecError):
        Condition(text, "here").unmet({})


@pytest.mark.parametrize(
    "text", ["__import__('os')", "().__class__", "[x for x in (1,)]", "lambda: 1", "2 ** 99", "f'{1}'", "(x := 1)"]
)
def test_what_could_do_harm_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match=r"can't stand in a condition"):
        Condition(text, "here").unmet({})


@pytest.mark.slow
def test_fan_out_fan_in_and_conditions_run(lab: Any) -> None:
    lab.yaml(FANNED)

    result = lab.run(params={"when_many.least": 4})

    assert result.ok
    outcomes = {stage.name: stage.outcome for stage in result.stages}
    assert outcomes == dict.fromkeys([*INSTANCES, "join"], "executed") | {"when_many": "skipped", "after": "skipped"}
    reasons = {stage.name: stage.error for stage in result.stages}
    assert reasons["when_many"].endswith("params.least is 4, stages.join.metrics.parts_count is 4.0")
    assert reasons["after"] == "needs when_many"
    assert json.loads((lab.root / "data/all.json").read_text()) == [
        [0.0, 1.0],
        [0.0, 2.0],
        [0.0, 1.0, 2.0],
        [0.0, 2.0, 4.0],
    ]
    parent = Store(lab.project).run(result.run_id)
    assert parent.summary.status == "FINISHED"
    states = {one.name: one.state for one in status(lab.project, {"when_many.least": 4})}
    assert (states["join"], states["when_many"], states["after"]) == ("cached", "skipped", "skipped")

    again = {stage.name: stage.outcome for stage in lab.run(targets=["after"]).stages}
    assert again == dict.fromkeys([*INSTANCES, "join"], "cached") | {"when_many": "executed", "after": "executed"}
    assert Path(lab.root / "data/after.txt").exists()
