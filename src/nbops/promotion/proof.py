"""The proof of parity: the installed service must predict what the notebook predicted.

The bundle's wheel runs in a clean environment, and every recorded example goes through its HTTP interface: all at once,
one by one, in another order, and in both protocols. A prediction counts as equal when it differs by at most 1e-9 of
its size (a matrix product may round its last bit differently for one row than for many); how many are equal to the
bit is in the report.
"""

from __future__ import annotations

import http.client
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from nbops.errors import ProofFailed
from nbops.promotion import environments, running

FORMAT = 1
TOLERANCE = 1e-9
_ONE_BY_ONE = 64
_UNWANTED = ("nbops", "mlflow", "jupyterlab", "ipykernel", "papermill")
_TENSOR_TYPES = {
    "boolean": "BOOL",
    "integer": "INT32",
    "long": "INT64",
    "float": "FP32",
    "double": "FP64",
    "string": "BYTES",
    "datetime": "BYTES",
}


@dataclass(frozen=True, slots=True)
class Check:
    """One way of asking, compared with the notebook."""

    name: str
    rows: int
    equal_bits: int
    worst: float
    passed: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Proof:
    """The report."""

    passed: bool
    checks: tuple[Check, ...]
    tolerance: float
    environment: Mapping[str, str]
    start_seconds: float

    def to_json(self) -> str:
        """Return the report as it stands in the bundle."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1)


def prove(python: Path, manifest: Mapping[str, Any], examples: Mapping[str, Any]) -> Proof:
    """Run the service and compare its predictions with the notebook's.

    Parameters
    ----------
    python
        The interpreter of the clean environment (see `environments.make`).
    manifest
        The ``service.json``.
    examples
        The recorded ``examples.json``.

    Raises
    ------
    ProofFailed
        If a prediction differs, or the environment holds what a service must not need.
    """
    installed = environments.installed_in(python)
    if unwanted := [name for name in _UNWANTED if name in installed]:
        raise ProofFailed(f"the service's environment holds {', '.join(unwanted)}", where=str(manifest["name"]))
    with running.start(python, manifest["package"]) as service:
        asker = _Asker(service.url, manifest, examples)
        checks = (*asker.together(), *asker.one_by_one(), *asker.shuffled(), *asker.tensors())
        proof = Proof(all(check.passed for check in checks), checks, TOLERANCE, installed, round(service.seconds, 3))
    for check in proof.checks:
        if not check.passed:
            raise ProofFailed(
                f"{check.name}: {check.detail}",
                where=f"{manifest['name']} {manifest['version']}",
                remedy="the scoring cell must depend on its input's row alone; see what else it reads",
            )
    return proof


class _Asker:
    def __init__(self, url: str, manifest: Mapping[str, Any], examples: Mapping[str, Any]) -> None:
        self.url = url
        self.manifest = manifest
        self.columns: list[str] = examples["columns"]
        self.rows: list[list[Any]] = examples["data"]
        self.expected: list[Any] = examples["predictions"]

    def together(self) -> Iterator[Check]:
        """Ask for all examples in one request."""
        yield self._compare("all rows in one request", self._invoke(self.rows), range(len(self.rows)))

    def one_by_one(self) -> Iterator[Check]:
        """Ask for one row a request."""
        step = max(1, len(self.rows) // _ONE_BY_ONE)
        chosen = range(0, len(self.rows), step)
        answers = [answer for row in chosen for answer in self._invoke([self.rows[row]])]
        yield self._compare("one row a request", answers, chosen)

    def shuffled(self) -> Iterator[Check]:
        """Ask with rows and columns the other way round."""
        backwards = range(len(self.rows) - 1, -1, -1)
        rows = [self.rows[row][::-1] for row in backwards]
        yield self._compare("rows and columns reversed", self._invoke(rows, self.columns[::-1]), backwards)

    def tensors(self) -> Iterator[Check]:
        """Ask by the Open Inference Protocol, which has no place for missing values."""
        whole = [number for number, row in enumerate(self.rows) if None not in row]
        if not whole or self.manifest["output"].get("columns"):
            return
        inputs = []
        for column in self.manifest["input"]["columns"]:
            values = [self.rows[row][self.columns.index(column["name"])] for row in whole]
            kind = _TENSOR_TYPES[column["type"]]
            inputs.append({"name": column["name"], "shape": [len(values)], "datatype": kind, "data": values})
        answer = self._post(f"/v2/models/{self.manifest['name']}/infer", {"inputs": inputs})
        yield self._compare("Open Inference Protocol", answer["outputs"][0]["data"], whole)

    def _invoke(self, rows: Sequence[Sequence[Any]], columns: Sequence[str] | None = None) -> list[Any]:
        answer = self._post("/invocations", {"dataframe_split": {"columns": columns or self.columns, "data": rows}})
        predictions: list[Any] = answer["predictions"]
        return predictions

    def _post(self, path: str, content: object) -> Any:
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=60)
        try:
            connection.request("POST", path, json.dumps(content), {"Content-Type": "application/json"})
            response = connection.getresponse()
            body = response.read()
        finally:
            connection.close()
        if response.status != 200:
            text = body.decode(errors="replace")[:500]
            raise ProofFailed(f"the service answered {response.status} to recorded examples: {text}", where=path)
        return json.loads(body)

    def _compare(self, name: str, answers: Sequence[Any], rows: Sequence[int]) -> Check:
        if len(answers) != len(rows):
            return Check(name, len(rows), 0, math.inf, False, f"{len(answers)} predictions for {len(rows)} rows")
        distances = [_distance(self.expected[row], answer) for row, answer in zip(rows, answers, strict=True)]
        worst = max(range(len(distances)), key=distances.__getitem__)
        equal = sum(self.expected[row] == answer for row, answer in zip(rows, answers, strict=True))
        passed = distances[worst] <= TOLERANCE
        detail = "" if passed else self._explain(rows[worst], answers[worst])
        return Check(name, len(rows), equal, distances[worst], passed, detail)

    def _explain(self, row: int, answer: Any) -> str:
        values = dict(zip(self.columns, self.rows[row], strict=True))
        return f"the notebook predicted {self.expected[row]!r}, the service {answer!r}, for {values}"


def _distance(expected: Any, answer: Any) -> float:
    """Return how far two predictions are apart, relative to their size; infinity for different kinds."""
    if isinstance(expected, dict) and isinstance(answer, dict) and expected.keys() == answer.keys():
        return max((_distance(expected[key], answer[key]) for key in expected), default=0.0)
    if _number(expected) and _number(answer):
        return float(abs(expected - answer) / max(1.0, abs(expected)))
    return 0.0 if expected == answer and type(expected) is type(answer) else math.inf


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
