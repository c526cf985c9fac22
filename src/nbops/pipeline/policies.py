"""How a stage is run, as ``pipeline.yaml`` says it: cache, timeout, retries, resources, priority, on_failure.

Times and sizes are written as people write them: ``90``, ``10m``, ``1h30m``; ``4GB``, ``512MiB``. None of this changes
what a stage computes, so none of it is in a stage's key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from nbops.errors import nearest
from nbops.pipeline.model import Policy, Resources, Retries
from nbops.pipeline.yamltree import Place

POLICY_KEYS = {"cache", "timeout", "retries", "resources", "priority", "on_failure"}
RETRIES_KEYS = {"times", "delay", "factor"}
RESOURCES_KEYS = {"cpu", "memory", "gpu", "tags"}
ON_FAILURE: Mapping[str, Literal["stop", "continue"]] = {"stop": "stop", "continue": "continue"}
POLICY_EXAMPLES = {
    "cache": "cache: false",
    "timeout": "timeout: 10m",
    "retries": "retries: 2, or retries: {times: 2, delay: 5s, factor: 2}",
    "resources": "resources: {cpu: 2, memory: 4GB, gpu: 0}",
    "priority": "priority: 10",
    "on_failure": "on_failure: stop, or on_failure: continue",
}
DURATION = r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+"
SIZE = r"\d+(?:\.\d+)?\s*(?:[kKMGT]i?)?B"
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PREFIXES = {"": 0, "k": 1, "K": 1, "M": 2, "G": 3, "T": 4}
_MOST_RETRIES = 100


def read_policy(fields: Mapping[str, Place]) -> Policy:
    """Return how a stage is run.

    Raises
    ------
    SpecError
        If a key's value can't be meant.
    """
    places = {key: place.where for key, place in fields.items()}
    policy = Policy(places=places)
    for key, place in fields.items():
        if key == "cache":
            policy = replace(policy, cache=_boolean(place))
        elif key == "timeout":
            policy = replace(policy, timeout=_duration(place, least=0.001))
        elif key == "retries":
            policy = replace(policy, retries=_retries(place))
        elif key == "resources":
            policy = replace(policy, resources=_resources(place, places))
        elif key == "priority":
            policy = replace(policy, priority=_whole(place, least=None))
        elif key == "on_failure":
            policy = replace(policy, on_failure=_on_failure(place))
    return policy


def duration(text: str) -> float | None:
    """Return the seconds in a text such as ``1h30m``, or None when it isn't one."""
    if not re.fullmatch(DURATION, text.strip()):
        return None
    return sum(float(number) * _SECONDS[unit] for number, unit in re.findall(r"([\d.]+)(ms|s|m|h|d)", text))


def size(text: str) -> int | None:
    """Return the bytes in a text such as ``4GB`` or ``512MiB``, or None when it isn't one."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kKMGT]?)(i?)B", text.strip())
    if not found:
        return None
    number, prefix, binary = found.groups()
    return int(float(number) * (1024 if binary else 1000) ** _PREFIXES[prefix])


def shown_size(number: int) -> str:
    """Return bytes as people write them."""
    for prefix in ("T", "G", "M", "k"):
        if number >= 1000 ** _PREFIXES[prefix]:
            return f"{number / 1000 ** _PREFIXES[prefix]:.3g} {prefix}B"
    return f"{number} B"


def _boolean(place: Place) -> bool:
    value = place.value()
    if not isinstance(value, bool):
        raise place.error(f"{place.what} must be true or false, not {value!r}", place.example)
    return value


def _duration(place: Place, least: float) -> float:
    value = place.value()
    seconds = duration(value) if isinstance(value, str) else value
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not least <= seconds < float("inf"):
        raise place.error(f"{place.what} must be a time, such as 90 (seconds) or 10m, not {value!r}", place.example)
    return float(seconds)


def _whole(place: Place, least: int | None) -> int:
    value = place.value()
    if isinstance(value, bool) or not isinstance(value, int) or (least is not None and value < least):
        wanted = "a whole number" if least is None else f"a whole number from {least} on"
        raise place.error(f"{place.what} must be {wanted}, not {value!r}", place.example)
    return value


def _number(place: Place, least: float) -> float:
    value = place.value()
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value < float("inf"):
        raise place.error(f"{place.what} must be a number from {least:g} on, not {value!r}", place.example)
    return float(value)


def _retries(place: Place) -> Retries:
    value: Any = place.value()
    if isinstance(value, Mapping):
        entries = place.known_entries(RETRIES_KEYS)
        entries = {key: replace(entry, example=place.example) for key, entry in entries.items()}
        if "times" not in entries:
            raise place.error(f"{place.what} doesn't say how many times", place.example)
        found = Retries(times=_whole(entries["times"], 0))
        if "delay" in entries:
            found = replace(found, delay=_duration(entries["delay"], least=0))
        if "factor" in entries:
            found = replace(found, factor=_number(entries["factor"], 1))
    else:
        found = Retries(times=_whole(place, 0))
    if found.times > _MOST_RETRIES:
        raise place.error(f"{place.what} says {found.times} times: at most {_MOST_RETRIES}", place.example)
    return found


def _resources(place: Place, places: dict[str, str]) -> Resources:
    entries = place.known_entries(RESOURCES_KEYS)
    entries = {key: replace(entry, example=place.example) for key, entry in entries.items()}
    places.update({f"resources.{key}": entry.where for key, entry in entries.items()})
    return Resources(
        cpu=_whole(entries["cpu"], 1) if "cpu" in entries else None,
        memory=_memory(entries["memory"]) if "memory" in entries else None,
        gpu=_whole(entries["gpu"], 0) if "gpu" in entries else 0,
        tags=tuple(tag.text() for tag in entries["tags"].texts()) if "tags" in entries else (),
    )


def _memory(place: Place) -> int:
    value = place.value()
    number = size(value) if isinstance(value, str) else None
    if not number:
        raise place.error(f"{place.what} must be a size with its unit, such as 4GB, not {value!r}", place.example)
    return number


def _on_failure(place: Place) -> Literal["stop", "continue"]:
    value = place.text()
    if value not in ON_FAILURE:
        raise place.error(f"{place.what} can't be '{value}'", nearest(value, ON_FAILURE))
    return ON_FAILURE[value]
