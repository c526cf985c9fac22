"""The proof of parity: the installed service must predict what the notebook predicted.

The bundle's wheel runs in a clean environment, and every recorded example goes through its HTTP interface: all at once,
one by one, in another order, and in both protocols. A prediction counts as equal when it differs by at most 1e-9 of
its size, in single precision 1e-6 (a matrix product may round its last bit differently for one row than for many);
how many are equal to the bit is in the report. When one isn't equal, the row is asked again, alone and among others, to
tell why.
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
from nbops.serving.protocols.openinference import DATATYPES

FORMAT = 1
TOLERANCE = 1e-9
TOLERANCE_SINGLE = 1e-6
_ONE_BY_ONE = 64
_ONE = "one row a request"
_ALONE = (
    "each row must be scored by itself: take means, ranks, categories and dummy columns from training, once, before the "
    "scoring cell (for dummies: .reindex(columns=..., fill_value=0))"
)
_EVERYTHING = (
    "the scoring cell must depend on the values of its input's row alone: not on the index, on files, on other rows, nor "
    "on anything that it changed itself"
)
_UNWANTED = ("nbops", "mlflow", "jupyterlab", "ipykernel", "papermill")


@dataclass(frozen=True, slots=True)
class Check:
    """One way of asking, compared with the notebook."""

    name: str
    rows: int
    equal_bits: int
    worst: float
    passed: bool
    detail: str = ""
    row: int | None = None


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
    where = f"{manifest['name']} {manifest['version']}"
    with running.start(python, manifest["package"]) as service:
        asker = _Asker(service, manifest, examples, where)
        checks: list[Check] = []
        for asked in (asker.together, asker.one_by_one, asker.shuffled, asker.tensors):
            for check in asked():
                if not check.passed:
                    raise ProofFailed(f"{check.name}: {check.detail}", where=where, remedy=asker.why(check))
                checks.append(check)
        tolerance = tolerance_of(manifest["output"])
        return Proof(True, tuple(checks), tolerance, installed, round(service.seconds, 3))


class _Asker:
    def __init__(
        self, service: running.Running, manifest: Mapping[str, Any], examples: Mapping[str, Any], where: str
    ) -> None:
        self.service = service
        self.manifest = manifest
        self.where = where
        self.tolerance = tolerance_of(manifest["output"])
        self.asking = ""
        self.columns: list[str] = examples["columns"]
        self.rows: list[list[Any]] = examples["data"]
        self.expected: list[Any] = examples["predictions"]

    def together(self) -> Iterator[Check]:
        """Ask for all examples in one request."""
        self.asking = "all rows in one request"
        yield self._compare(self._invoke(self.rows), range(len(self.rows)))

    def one_by_one(self) -> Iterator[Check]:
        """Ask for one row a request."""
        self.asking = _ONE
        step = max(1, len(self.rows) // _ONE_BY_ONE)
        chosen = range(0, len(self.rows), step)
        answers = [answer for row in chosen for answer in self._invoke([self.rows[row]])]
        yield self._compare(answers, chosen)

    def shuffled(self) -> Iterator[Check]:
        """Ask with rows and columns the other way round."""
        self.asking = "rows and columns reversed"
        backwards = range(len(self.rows) - 1, -1, -1)
        rows = [self.rows[row][::-1] for row in backwards]
        yield self._compare(self._invoke(rows, self.columns[::-1]), backwards)

    def tensors(self) -> Iterator[Check]:
        """Ask by the Open Inference Protocol, which has no place for missing values."""
        self.asking = "Open Inference Protocol"
        whole = [number for number, row in enumerate(self.rows) if None not in row]
        if not whole or self.manifest["output"].get("columns"):
            return
        inputs = []
        for column in self.manifest["input"]["columns"]:
            values = [self.rows[row][self.columns.index(column["name"])] for row in whole]
            kind = DATATYPES[column["type"]]
            inputs.append({"name": column["name"], "shape": [len(values)], "datatype": kind, "data": values})
        answer = self._post(f"/v2/models/{self.manifest['name']}/infer", {"inputs": inputs})
        yield self._compare(answer["outputs"][0]["data"], whole)

    def _invoke(self, rows: Sequence[Sequence[Any]], columns: Sequence[str] | None = None) -> list[Any]:
        answer = self._post("/invocations", {"dataframe_split": {"columns": columns or self.columns, "data": rows}})
        predictions: list[Any] = answer["predictions"]
        return predictions

    def _post(self, path: str, content: object) -> Any:
        connection = http.client.HTTPConnection(urlsplit(self.service.url).netloc, timeout=60)
        try:
            connection.request("POST", path, json.dumps(content), {"Content-Type": "application/json"})
            response = connection.getresponse()
            body = response.read()
        finally:
            connection.close()
        if response.status != 200:
            raise self._refused(response.status, body.decode(errors="replace")[:500])
        return json.loads(body)

    def _refused(self, status: int, text: str) -> ProofFailed:
        if status != 500:
            return ProofFailed(f"the service answered {status} to recorded examples: {text}", where=self.where)
        failure = self.service.last_failure()
        return ProofFailed(
            f"{self.asking}: the service failed on recorded examples: {failure or text}",
            where=self.where,
            remedy=_ALONE if self.asking == _ONE else _EVERYTHING,
        )

    def why(self, check: Check) -> str:
        """Ask for the row of a failed check again, alone and among all, and return what that tells."""
        if check.row is None:
            return _EVERYTHING
        self.asking = _ONE
        alone, again = self._invoke([self.rows[check.row]]), self._invoke([self.rows[check.row]])
        if distance(alone[0], again[0]) > self.tolerance:
            return (
                f"asked twice for that row alone, the service answered {alone[0]!r} and {again[0]!r}: draw no random "
                "numbers in the scoring cell, and keep no state between calls"
            )
        among = self._invoke(self.rows)[check.row]
        if distance(alone[0], among) > self.tolerance:
            return f"the service answers {alone[0]!r} for that row alone and {among!r} among others. {_ALONE}"
        return f"the service's answer is the same alone and among others. {_EVERYTHING}"

    def _compare(self, answers: Sequence[Any], rows: Sequence[int]) -> Check:
        name = self.asking
        if len(answers) != len(rows):
            return Check(name, len(rows), 0, math.inf, False, f"{len(answers)} predictions for {len(rows)} rows")
        distances = [distance(self.expected[row], answer) for row, answer in zip(rows, answers, strict=True)]
        worst = max(range(len(distances)), key=distances.__getitem__)
        equal = sum(self.expected[row] == answer for row, answer in zip(rows, answers, strict=True))
        passed = distances[worst] <= self.tolerance
        detail = "" if passed else self._explain(rows[worst], answers[worst])
        return Check(name, len(rows), equal, distances[worst], passed, detail, None if passed else rows[worst])

    def _explain(self, row: int, answer: Any) -> str:
        values = dict(zip(self.columns, self.rows[row], strict=True))
        return f"the notebook predicted {self.expected[row]!r}, the service {answer!r}, for {values}"


def distance(expected: Any, answer: Any) -> float:
    """Return how far two predictions are apart, relative to their size; infinity for different kinds."""
    if isinstance(expected, dict) and isinstance(answer, dict) and expected.keys() == answer.keys():
        return max((distance(expected[key], answer[key]) for key in expected), default=0.0)
    if _number(expected) and _number(answer):
        return float(abs(expected - answer) / max(1.0, abs(expected)))
    return 0.0 if expected == answer and type(expected) is type(answer) else math.inf


def tolerance_of(output: Mapping[str, Any]) -> float:
    """Return how far predictions may be apart, relative to their size, by their type."""
    types = [column["type"] for column in output.get("columns") or [output]]
    return TOLERANCE_SINGLE if "float" in types else TOLERANCE


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
