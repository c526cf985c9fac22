"""Dataflow at run time: which executed statement saw the effects of which.

`Flow` wraps the shell's `run_code`. For every top-level statement it joins what the text says (`plan`), what the values
of its names lead to (`reach`, by `types_of`, `arrays` and `tables`), what Python reports (`audit`, `files`) and what no
name leads to (`settings`, `patches`), and keeps in the `ledger` who wrote what last. Where it can't be sure, a statement
needs more, never less.
"""

from __future__ import annotations

from nbops.tracking.flow.tracer import Flow

__all__ = ["Flow"]
