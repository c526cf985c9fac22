"""Whether a remote tracking store answers, asked in seconds.

MLflow retries a connection for minutes before it gives up, which is right for a training run and wrong for a command that
somebody waits for. So the address is tried once before the first use: a store that can't be reached is one error that
names it, with its password left out.
"""

from __future__ import annotations

import socket
import urllib.request
from urllib.parse import urlsplit, urlunsplit

from nbops.errors import TrackingError

_PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}
_PATIENCE = 10.0


def ensure_reachable(uri: str) -> None:
    """Check that something listens where a tracking URI points; local stores and those behind a proxy aren't asked.

    Raises
    ------
    TrackingError
        If nothing listens there.
    """
    parts = urlsplit(uri)
    scheme = parts.scheme.partition("+")[0]
    if scheme not in _PORTS or not parts.hostname or "," in parts.netloc:
        return
    if scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(parts.hostname):
        return
    try:
        address = parts.hostname, parts.port or _PORTS[scheme]
        socket.create_connection(address, timeout=_PATIENCE).close()
    except (OSError, ValueError) as error:
        raise TrackingError(
            f"the tracking store doesn't answer ({error})",
            where=without_password(uri),
            remedy="is it up, and is `[tracking] uri` in nbops.toml (or MLFLOW_TRACKING_URI) right?",
        ) from error


def without_password(uri: str) -> str:
    """Return a URI as it may be shown."""
    parts = urlsplit(uri)
    if parts.password is None:
        return uri
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{parts.username}:***@{host}"))
