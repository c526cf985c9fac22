"""What this machine has, what is taken of it, and how many threads a stage's libraries may start.

Stages run at the same time only as far as cores, memory and devices reach. A stage that says how many cores it takes
gets as many threads. One that doesn't gets its share of what could run beside it: all cores when nothing can, so that
a pipeline that is a chain is no slower for it; and never more in sum than there are.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from nbops.errors import SpecError
from nbops.pipeline.graph import downstream
from nbops.pipeline.model import Pipeline, Resources, Stage
from nbops.pipeline.policies import shown_size

TAGS_VARIABLE = "NBOPS_MACHINE_TAGS"
THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_MAX_THREADS",
    "POLARS_MAX_THREADS",
    "LOKY_MAX_CPU_COUNT",
)
_GROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


@dataclass(frozen=True, slots=True)
class Machine:
    """What a machine has: cores that we may use, bytes of memory, the names of its GPUs, and its tags."""

    cpu: int
    memory: int
    gpus: tuple[str, ...] = ()
    tags: frozenset[str] = frozenset()


def this_machine() -> Machine:
    """Return what the machine has that this process may use."""
    cpu = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    tags = os.environ.get(TAGS_VARIABLE, "").split(",")
    return Machine(cpu, _memory(), _gpus(), frozenset(tag.strip() for tag in tags if tag.strip()))


class Capacity:
    """Hands a machine's resources out to stages; used by one thread.

    Parameters
    ----------
    machine
        What there is.
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._taken: dict[str, Resources] = {}
        self._gpus: dict[str, tuple[str, ...]] = {}

    def check(self, stage: Stage) -> None:
        """Refuse a stage that could never run here.

        Raises
        ------
        SpecError
            If it wants more than there is; says where that is written.
        """
        wants, has, places = stage.policy.resources, self.machine, stage.policy.places
        for key, asked, there, shown in (
            ("cpu", wants.cpu or 1, has.cpu, f"{wants.cpu} cores, and this machine gives {has.cpu}"),
            ("memory", wants.memory or 0, has.memory, f"{shown_size(wants.memory or 0)} of memory, and this machine "
             f"has {shown_size(has.memory)}"),
            ("gpu", wants.gpu, len(has.gpus), f"{wants.gpu} GPUs, and this machine has {len(has.gpus)}"),
        ):  # fmt: skip
            if asked > there:
                remedy = f"ask for at most {shown_size(there) if key == 'memory' else there}, or run it where there is"
                raise SpecError(
                    f"stage '{stage.name}' wants {shown}", where=places[f"resources.{key}"], remedy=f"{remedy} more"
                )
        lacking = sorted(set(wants.tags) - has.tags)
        if lacking:
            raise SpecError(
                f"stage '{stage.name}' wants a machine that is {', '.join(lacking)}",
                where=places["resources.tags"],
                remedy=f"run it on such a machine, or say that this one is: {TAGS_VARIABLE}={','.join(wants.tags)}",
            )

    def fits(self, stage: Stage) -> bool:
        """Whether a stage can start beside those that run."""
        wants = stage.policy.resources
        taken = self._taken.values()
        return (
            sum(one.cpu or 1 for one in taken) + (wants.cpu or 1) <= self.machine.cpu
            and sum(one.memory or 0 for one in taken) + (wants.memory or 0) <= self.machine.memory
            and wants.gpu <= len(self._free_gpus())
        )

    def take(self, stage: Stage) -> None:
        """Note that a stage runs."""
        self._gpus[stage.name] = self._free_gpus()[: stage.policy.resources.gpu]
        self._taken[stage.name] = stage.policy.resources

    def give_back(self, name: str) -> None:
        """Note that a stage has ended."""
        del self._taken[name], self._gpus[name]

    def environment(self, stage: Stage, threads: int) -> dict[str, str]:
        """Return the environment variables that keep a stage within what it has; those that the user set stay."""
        free = stage.policy.resources.cpu is None and threads >= self.machine.cpu  # as it is without us: nothing to say
        found = {} if free else {name: os.environ.get(name, str(threads)) for name in THREADS}
        if stage.policy.resources.gpu:
            found["CUDA_VISIBLE_DEVICES"] = ",".join(self._gpus[stage.name])
        return found

    def _free_gpus(self) -> tuple[str, ...]:
        taken = {gpu for gpus in self._gpus.values() for gpu in gpus}
        return tuple(gpu for gpu in self.machine.gpus if gpu not in taken)


def threads(pipeline: Pipeline, stage: Stage, unsettled: Iterable[str], cores: int) -> int:
    """Return how many threads a stage's libraries may start.

    Parameters
    ----------
    pipeline, stage
        The stage, and where it stands.
    unsettled
        Stages that run or may still run.
    cores
        How many there are.
    """
    if stage.policy.resources.cpu is not None:
        return stage.policy.resources.cpu
    needs_it = downstream(pipeline, stage.name)
    others = [
        name for name in unsettled if name not in needs_it and stage.name not in downstream(pipeline, name) | {name}
    ]
    chains = _chains(pipeline, others)
    asked = [[pipeline.stages[name].policy.resources.cpu for name in chain] for chain in chains]
    reserved = sum(max(one or 0 for one in chain) for chain in asked)
    sharing = sum(any(one is None for one in chain) for chain in asked)
    return max(1, (cores - reserved) // (1 + sharing))


def _chains(pipeline: Pipeline, names: list[str]) -> list[list[str]]:
    """Return stages in chains, in each of which one waits for another: no more of them run at once than there are."""
    after: Mapping[str, frozenset[str]] = {name: downstream(pipeline, name) for name in names}
    chains: list[list[str]] = []
    for name in sorted(names, key=lambda one: sum(one in found for found in after.values())):
        chain = next((chain for chain in chains if name in after[chain[-1]]), None)
        if chain is None:
            chains.append([name])
        else:
            chain.append(name)
    return chains


def _memory() -> int:
    """Return how much memory there is: the machine's, or our group's where that is less."""
    import psutil

    found = int(psutil.virtual_memory().total)
    for limit in _GROUP_LIMITS:
        try:
            text = Path(limit).read_text(encoding="ascii").strip()
        except OSError:
            continue
        if text.isdigit():
            found = min(found, int(text))
    return found


def _gpus() -> tuple[str, ...]:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return tuple(one.strip() for one in visible.split(",") if one.strip() not in ("", "-1"))
    devices = Path("/dev").glob("nvidia[0-9]*")
    return tuple(sorted((path.name.removeprefix("nvidia") for path in devices), key=lambda text: (len(text), text)))
