"""Asking MLflow for runs: pages beyond its limits, references to a run, and filters that explain themselves.

A reference is a run's id, the beginning of one, its name, or ``latest``; for the last two a run that was made again by
``nbops reproduce`` doesn't count. An MLflow server chooses ids of its own, so a run
that was journaled in a kernel is also found by the id that the kernel gave it, its tag ``nbops.id``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from nbops.errors import TrackingError, nearest

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Run

ID_TAG = "nbops.id"
REPRODUCES_TAG = "nbops.reproduces"
_MADE_AGAIN = "/executed/reproduced-"
_PAGE, _SOME = 1000, 50
_PREFIX = re.compile("[0-9a-f]{4,32}")
_KINDS = ("metric", "param", "tag", "attribute", "attr", "run", "dataset")
_ATTRIBUTES = ("artifact_uri", "end_time", "run_id", "run_name", "start_time", "status", "user_id")
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`")
_COMPARED = re.compile(r"([^=<>!]+?)\s*(?:!=|<=|>=|=|<|>|\b(?:i?like|in|not\s+in|is)\b)", re.IGNORECASE)
_EXAMPLES = """for example:
      nbops runs -w "metrics.auc > 0.7 and params.model = 'svm'"
      nbops runs -w "tags.team = 'a' and attributes.status = 'FINISHED'"
      nbops runs -w "metrics.`valid auc` > 0.7"   (backticks around a name with spaces; no `or`, no brackets)"""


def experiments(client: MlflowClient) -> dict[str, Experiment]:
    """Return all experiments by their ids."""
    found: dict[str, Experiment] = {}
    token: str | None = None
    while True:
        page = client.search_experiments(max_results=_PAGE, page_token=token)
        found |= {experiment.experiment_id: experiment for experiment in page}
        token = page.token
        if not token:
            return found


def is_made_again(run: Run) -> bool:
    """Whether ``nbops reproduce`` made a run, any that its notebook makes."""
    return REPRODUCES_TAG in run.data.tags or _MADE_AGAIN in run.data.tags.get("nbops.notebook", "")


def runs(
    client: MlflowClient, among: Collection[str], where: str, limit: int, *, made_again: bool = True
) -> Iterator[Run]:
    """Yield runs of the experiments `among`, newest first, as many as `limit`, a page at a time.

    Those that ``nbops reproduce`` made are left out unless `made_again`.

    Raises
    ------
    TrackingError
        If the filter can't be read.
    """
    from mlflow.exceptions import MlflowException

    token: str | None = None
    left = limit
    while left > 0:
        try:
            page = client.search_runs(
                list(among),
                where,
                max_results=min(left if made_again else max(left, _SOME), _PAGE),
                order_by=["attributes.start_time DESC", "attributes.run_id DESC"],
                page_token=token,
            )
        except MlflowException as error:
            if where and error.error_code in ("INVALID_PARAMETER_VALUE", "BAD_REQUEST"):
                raise _bad_filter(where, str(error.message), client, among) from error
            raise TrackingError(f"can't search runs: {error.message}") from error
        found = [run for run in page if made_again or not is_made_again(run)][:left]
        yield from found
        left -= len(found)
        token = page.token
        if not token:
            return


def resolve(client: MlflowClient, among: Collection[str], ref: str) -> str:
    """Return the whole id of the run that `ref` stands for.

    A name that several runs have, as those of a stage do, stands for the newest of them, and for a run that was made
    again only where no other has it.

    Raises
    ------
    TrackingError
        If there is no such run, or more than one whose id begins so.
    """
    if ref == "latest":
        found = list(runs(client, among, "", 1, made_again=False))
    else:
        found = [*(_by_prefix(client, among, ref.lower()) or _by_name(client, among, ref))]
    if not found:
        raise TrackingError(f"no run '{ref}'", remedy="`nbops runs` lists them")
    return str(found[0].info.run_id)


def _by_prefix(client: MlflowClient, among: Collection[str], prefix: str) -> Sequence[Run]:
    if not _PREFIX.fullmatch(prefix):
        return []
    found = list(runs(client, among, f"attributes.run_id LIKE '{prefix}%'", 6))
    if not found:
        found = list(runs(client, among, f"tags.`{ID_TAG}` LIKE '{prefix}%'", 6))
    if len(found) > 1:
        ids = ", ".join(run.info.run_id[:12] for run in found[:5])
        count = "more than five" if len(found) > 5 else len(found)
        raise TrackingError(f"'{prefix}' fits {count} runs: {ids}", remedy="give more of the id")
    return found


def _by_name(client: MlflowClient, among: Collection[str], name: str) -> Sequence[Run]:
    quote = "'" if "'" not in name else '"'
    if quote in name:  # MLflow's filters have no way to write both
        named = [run for run in runs(client, among, "", 10 * _PAGE) if run.info.run_name == name]
        return [*(run for run in named if not is_made_again(run)), *named][:1]
    where = f"attributes.run_name = {quote}{name}{quote}"
    return list(runs(client, among, where, 1, made_again=False)) or list(runs(client, among, where, 1))


def _bad_filter(where: str, message: str, client: MlflowClient, among: Collection[str]) -> TrackingError:
    """Return an error that names what is wrong with a filter, and the name that was meant if one can be guessed."""
    place = f"filter {where}"
    bare = _QUOTED.sub(lambda match: match[0] if match[0][0] == "`" else "''", where)
    if re.search(r"(?i)\sor\s|[()]", re.sub(r"(?i)\bin\s*\([^)]*\)|`[^`]*`", "", bare)):
        return TrackingError("a filter knows `and` only, without brackets", where=place, remedy=_EXAMPLES)
    for clause in re.split(r"(?i)\sand\s", bare):
        compared = _COMPARED.match(clause.strip())
        name = compared[1].strip("`\"' ") if compared else ""
        kind, dot, _rest = name.partition(".")
        if not name or name in _ATTRIBUTES or (dot and kind.rstrip("s") in _KINDS):
            continue
        guess = _guess(name, list(runs(client, among, "", 50)))
        hint = f"{guess or 'write metrics.NAME, params.NAME or tags.NAME'}; {_EXAMPLES}"
        return TrackingError(f"'{name}' is neither a metric, a param nor a tag", where=place, remedy=hint)
    if re.search(r"(?i)(params?|tags?)\.\S+\s*(=|!=|<|>|<=|>=)\s*[\d.]+\s*($|and)", bare):
        message = "params and tags are texts: put the value in quotes, and compare with =, != or LIKE"
    return TrackingError(f"can't read it: {message.rstrip('.')}", where=place, remedy=_EXAMPLES)


def _guess(name: str, some: Sequence[Run]) -> str:
    known: dict[str, str] = {}
    for run in some:
        data: Any = run.data
        for kind in ("tags", "params", "metrics"):
            known |= {key: kind for key in getattr(data, kind) if not key.startswith("mlflow.")}
    if name not in known:
        close = nearest(name, [*known, *_ATTRIBUTES])
        found = re.fullmatch(r"did you mean '(.*)'\?", close)
        if not found:
            return ""
        name = found[1]
    kind = known.get(name, "attributes")
    plain = re.fullmatch(r"[\w.-]+", name)
    return f"did you mean {kind}.{name}?" if plain else f"did you mean {kind}.`{name}`?"
