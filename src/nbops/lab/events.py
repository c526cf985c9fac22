"""Events to open browsers, over the event bus that Jupyter Server already has.

Jupyter validates each event against a registered schema and sends it over one websocket to all who listen. Ours says
only *that* something changed in a project: the browser then asks again, so a lost event costs nothing.
"""

from __future__ import annotations

from typing import Any

import msgspec

from nbops.lab.messages import Change

CHANGE_SCHEMA_ID = "urn:nbops:change:v1"

_CHANGE_SCHEMA: dict[str, Any] = {
    "$id": CHANGE_SCHEMA_ID,
    "version": "1",
    "title": "Something new in an nbops project",
    "personal-data": False,
    "type": "object",
    "required": ["root", "changed"],
    "properties": {
        "root": {"type": "string", "title": "The project's root, relative to the server's"},
        "changed": {
            "type": "array",
            "title": "What was written",
            "items": {"type": "string", "enum": ["cells", "runs"]},
        },
    },
}


def register(event_logger: Any) -> None:
    """Make the schema of our events known to Jupyter's event bus, once."""
    if CHANGE_SCHEMA_ID not in event_logger.schemas:
        event_logger.register_event_schema(_CHANGE_SCHEMA)


def emit(event_logger: Any, change: Change) -> None:
    """Tell all listeners of a change."""
    event_logger.emit(schema_id=CHANGE_SCHEMA_ID, data=msgspec.to_builtins(change))
