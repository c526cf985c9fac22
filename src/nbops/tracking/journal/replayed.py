"""What the worker is replaying: the tags that held in the kernel then, for whoever asks in which context a run starts."""

from __future__ import annotations

tags: dict[str, str] | None = None
