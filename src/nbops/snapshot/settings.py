"""What is set in this process and changes figures: seeds and threads.

Environment variables are read as they are now. A generator's state is told by a digest, which is equal where the same
numbers come next; threads by what the libraries that are loaded say of their pools. Nothing is imported for it.
"""

from __future__ import annotations

import hashlib
import os
import random
import sys
from typing import Any

THREADS = (
    "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS", "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS", "RAYON_NUM_THREADS", "LOKY_MAX_CPU_COUNT",
    "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS",
)  # fmt: skip
_SEEDS = ("PYTHONHASHSEED", "CUBLAS_WORKSPACE_CONFIG", "TF_DETERMINISTIC_OPS", "TF_CUDNN_DETERMINISTIC")
_controller: tuple[int, Any] | None = None


def threads() -> dict[str, str]:
    """Return the thread settings in force: environment variables, and the size of each pool that is loaded."""
    found = {name: os.environ[name] for name in THREADS if name in os.environ}
    for pool in _pools():
        kind = str(pool.get("internal_api") or pool.get("user_api"))
        found[f"pool.{kind}"] = str(pool.get("num_threads"))
    if torch := sys.modules.get("torch"):
        found["pool.torch"] = str(torch.get_num_threads())
    return found


def seeds() -> dict[str, str]:
    """Return the seeds in force: of Python's hashes, and the state of each global generator."""
    found = {name: os.environ[name] for name in _SEEDS if name in os.environ}
    found["random"] = _digest(repr(random.getstate()).encode())
    if numpy := sys.modules.get("numpy.random"):
        state = numpy.get_state(legacy=False)
        inner = state["state"]
        key = inner["key"].tobytes() if "key" in inner else repr(sorted(inner.items())).encode()
        rest = (state["bit_generator"], inner.get("pos"), state.get("has_gauss"), state.get("gauss"))
        found["numpy"] = _digest(key + repr(rest).encode())
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "initial_seed"):
        found["torch"] = str(torch.initial_seed())
    return found


def _pools() -> list[dict[str, Any]]:
    """Return what threadpoolctl knows, if somebody has loaded it; it looks for libraries anew when modules were."""
    global _controller
    module = sys.modules.get("threadpoolctl")
    if module is None or not hasattr(module, "ThreadpoolController"):
        return []
    if _controller is None or _controller[0] != len(sys.modules):
        _controller = len(sys.modules), module.ThreadpoolController()
    return list(_controller[1].info())


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:8]
