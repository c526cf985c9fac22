"""Why a store didn't take something: for good, because it never will, or for now, because it's away, locked or full."""

from __future__ import annotations

_FOR_GOOD = frozenset(
    {
        "BAD_REQUEST",
        "FEATURE_DISABLED",
        "INVALID_PARAMETER_VALUE",
        "INVALID_STATE",
        "PERMISSION_DENIED",
        "RESOURCE_ALREADY_EXISTS",
        "RESOURCE_DOES_NOT_EXIST",
    }
)


def is_for_good(error: Exception) -> bool:
    """Whether a store will never take what it refused."""
    return getattr(error, "error_code", None) in _FOR_GOOD and not is_a_race(error)


def is_the_runs(error: Exception) -> bool:
    """Whether it's the run that a store refuses, which it hasn't or which was deleted, whatever is logged to it."""
    return getattr(error, "error_code", None) == "RESOURCE_DOES_NOT_EXIST" or "must be in the 'active'" in str(error)


def is_a_race(error: Exception) -> bool:
    """Whether another process wrote the same row first, which MLflow calls a bad request: a second try finds it."""
    return type(error.__cause__).__name__ == "IntegrityError"


def is_for_now(error: Exception) -> bool:
    """Whether a failure is the store's (it's away, locked or full), and trying again later is all there is to do."""
    seen: BaseException | None = error
    while seen is not None:
        name = type(seen).__name__
        if isinstance(seen, OSError) and not isinstance(seen, FileNotFoundError):
            return True
        if name in ("OperationalError", "ConnectionError", "MaxRetryError", "NewConnectionError", "Timeout"):
            return True
        if getattr(seen, "error_code", None) in ("TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED"):
            return True
        seen = seen.__cause__ or seen.__context__
    text = str(error)
    return "API request to" in text or "Max retries exceeded" in text or "database is locked" in text
