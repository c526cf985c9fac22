"""The JSON schema of pipeline.yaml says what its reader says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from nbops.pipeline import policies, spec
from nbops.pipeline.schema import publish, schema_text

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads(schema_text())
STAGE = SCHEMA["$defs"]["stage"]
OURS = [ROOT / "notebooks/flights/pipeline.yaml", ROOT / "src/nbops/scaffold/template/pipeline.yaml"]


def wrong(text: str) -> bool:
    validator = jsonschema.Draft7Validator(SCHEMA)
    return not validator.is_valid(yaml.safe_load(text))


def stage(text: str) -> str:
    return f"stages:\n  a: {{notebook: a.ipynb, {text}}}\n"


def test_schema_and_reader_know_the_same_keys() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    assert SCHEMA["properties"].keys() == spec.PIPELINE_KEYS
    assert STAGE["properties"].keys() == spec.STAGE_KEYS == spec.EXAMPLES.keys()
    assert STAGE["properties"]["resources"]["properties"].keys() == policies.RESOURCES_KEYS
    [retries] = [one for one in STAGE["properties"]["retries"]["anyOf"] if "properties" in one]
    assert retries["properties"].keys() == policies.RETRIES_KEYS
    assert set(STAGE["properties"]["on_failure"]["anyOf"][0]["enum"]) == policies.ON_FAILURE.keys()
    assert set(SCHEMA["properties"]["stages"]["propertyNames"]["not"]["enum"]) == spec.RESERVED_STAGES
    assert all("description" in one for one in STAGE["properties"].values()), "editors show it"


@pytest.mark.parametrize("example", sorted(spec.EXAMPLES.items()))
def test_the_examples_in_errors_are_valid(example: tuple[str, str]) -> None:
    key, text = example
    first = text.split(", or")[0]
    text = (
        f"stages:\n  a:\n    notebook: a.ipynb\n    {first}\n"
        if key not in ("notebook", "python")
        else f"stages: {{a: {{{text}}}}}"
    )
    assert not wrong(text)


@pytest.mark.parametrize("file", OURS, ids=lambda path: path.parent.name)
def test_our_own_pipelines_are_valid_and_name_their_schema(file: Path) -> None:
    text = file.read_text()

    assert text.startswith("# yaml-language-server: $schema=.nbops/pipeline.schema.json\n")
    assert not wrong(text.replace("{{name}}", "churn"))


def test_pipelines_of_the_tests_are_valid() -> None:
    from tests.pipeline import conftest, test_failures, test_language, test_spec

    for text in (conftest.PIPELINE, test_failures.FAILING, test_failures.SLEEPER, test_language.FANNED, test_spec.GOOD):
        assert not wrong(text)


@pytest.mark.parametrize(
    "text",
    [
        "name: p\n",
        "stages: {}\n",
        "stage: {}\n",
        "- a\n",
        "name: 3\nstages: {a: {notebook: a.ipynb}}\n",
        "stages: {a: a.ipynb}\n",
        "stages: {a: {}}\n",
        "stages: {all: {notebook: a.ipynb}}\n",
        "stages: {a.b: {notebook: a.ipynb}}\n",
        *map(
            stage,
            [
                "output: {a: b}", "params: [n]", "inputs: [a]", "outputs: {a: }", "metrics: auc", "metrics: ['a b']",
                "cache: 1", "timeout: soon", "retries: -1", "retries: {time: 1}", "retries: {delay: 1s}",
                "resources: {memory: 4}", "resources: {cpu: 0}", "priority: high", "on_failure: stopp", "when: [a]",
                "foreach: []", "matrix: {a: 3}", "foreach: [1], matrix: {a: [1]}",
            ],
        ),
    ],
)  # fmt: skip
def test_what_a_schema_can_tell_it_tells(text: str) -> None:
    assert wrong(text)


def test_a_project_gets_a_copy(tiny: Any) -> None:
    copy = tiny.project.state / "pipeline.schema.json"
    publish(tiny.project)
    before = copy.stat().st_mtime_ns
    publish(tiny.project)

    assert json.loads(copy.read_text()) == SCHEMA
    assert copy.stat().st_mtime_ns == before
