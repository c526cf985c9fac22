"""Requirements of a logged model, without the subprocess by which MLflow infers them in ten seconds.

MLflow loads the model in a new process and watches what it imports. A model's pickle names the modules that it needs:
their distributions, with the versions of this environment, beside those that MLflow's scikit-learn flavor always gives.
"""

from __future__ import annotations

import functools
import pickletools
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_KNOWN = frozenset(
    {"__main__", "cloudpickle", "joblib", "numpy", "pandas", "scipy", "sklearn"}
)  # what these bring is always there
_EMPTY = b"N."
_ALWAYS = ("mlflow", "cloudpickle", "numpy", "pandas", "scikit-learn", "scipy")


def replace_inference() -> None:
    """Have MLflow ask here for a model's requirements."""
    import mlflow.models

    mlflow.models.infer_pip_requirements = _infer


def replace_inference_of(applies: Callable[[], bool]) -> None:
    """Have MLflow ask here for a model's requirements, and compare them with nothing, while something applies."""
    from mlflow.utils import environment

    infer, compare = environment._infer_requirements, environment.warn_dependency_requirement_mismatches

    def ask(model_uri: Any, flavor: str, *args: Any, **kwargs: Any) -> list[str]:
        if not applies():
            inferred: list[str] = infer(model_uri, flavor, *args, **kwargs)
            return inferred
        pickles = [file.read_bytes() for file in Path(model_uri).rglob("*.pkl")]
        return sorted({needed for model in pickles or [_EMPTY] for needed in requirements_of(model)})

    def warn(model_requirements: list[str]) -> None:
        if not applies():
            compare(model_requirements)

    environment._infer_requirements, environment.warn_dependency_requirement_mismatches = ask, warn


def requirements_of(model: bytes) -> list[str]:
    """Return the pinned requirements of a pickled model."""
    needed = set(_ALWAYS)
    if others := modules_of(model) - _KNOWN - sys.stdlib_module_names:
        from nbops.snapshot.environment import module_distributions

        by_module = module_distributions()
        needed.update(name for module in others for name in by_module.get(module, ()))
    pinned = []
    for name in sorted(needed, key=str.lower):
        try:
            pinned.append(f"{name}=={_version(name)}")
        except PackageNotFoundError:
            continue
    return pinned


@functools.cache
def _version(name: str) -> str:
    return version(name)


def modules_of(model: bytes) -> set[str]:
    """Return the top-level modules that a pickle refers to."""
    found: set[str] = set()
    texts: list[str] = []
    for operation, argument, _ in pickletools.genops(model):
        if operation.name == "GLOBAL":
            found.add(str(argument).split(" ")[0].partition(".")[0])
        elif operation.name == "STACK_GLOBAL" and len(texts) >= 2:
            found.add(texts[-2].partition(".")[0])
        elif isinstance(argument, str):
            texts = [*texts[-7:], argument]
    return {name for name in found if name.isidentifier()}


def _infer(model_uri: Any, flavor: str, *args: Any, **kwargs: Any) -> list[str]:
    path = Path(str(model_uri))
    path = path if path.is_file() else path / "model.pkl"
    return requirements_of(path.read_bytes() if path.is_file() else _EMPTY)
