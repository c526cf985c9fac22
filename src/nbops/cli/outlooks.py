"""How the faces print what a run would do: a line a stage, and below it what changed, with the code's diff."""

from __future__ import annotations

from collections.abc import Iterable

import click

from nbops.pipeline.outlook import WORDS, StageOutlook, State

_MARKS: dict[State, str] = {"current": "·", "restore": "↺", "execute": "▸", "depends": "?", "skip": "–"}
_COLOURS: dict[State, str | None] = {
    "current": None,
    "restore": "cyan",
    "execute": "yellow",
    "depends": "yellow",
    "skip": "yellow",
}
_LINE_COLOURS = {"+": "green", "-": "red", "@": "cyan"}
_LONGEST_DIFF = 40


def print_outlook(stages: Iterable[StageOutlook], *, whole: bool = False) -> None:
    """Print what a run would do, and why.

    Parameters
    ----------
    stages
        What it would do, in order.
    whole
        Print diffs of any length.
    """
    stages = list(stages)
    width = max((len(stage.name) for stage in stages), default=0)
    for stage in stages:
        _print_stage(stage, width, whole)


def summary(stages: Iterable[StageOutlook]) -> str:
    """Return in a line how many stages would be what."""
    states = [stage.state for stage in stages]
    return ", ".join(f"{states.count(state)} {word}" for state, word in WORDS.items() if state in states)


def _print_stage(stage: StageOutlook, width: int, whole: bool) -> None:
    reason = stage.reason
    if stage.differences:
        # what changed is told in the lines below
        told_below = {difference.text for difference in stage.differences}
        reason = "; ".join(part for part in stage.reason.split("; ") if part not in told_below)
    failed = f"; its last execution {_ended(stage.last)}" if stage.last not in ("", "ok") else ""
    told = f" ({(reason + failed).removeprefix('; ')})" if reason or failed else ""
    head = f"{_MARKS[stage.state]} {stage.name:<{width}}  {WORDS[stage.state]}"
    click.echo(click.style(head, fg=_COLOURS[stage.state], dim=stage.state == "current") + told)
    for difference in stage.differences:
        click.echo(f"    {difference.text}")
        lines = difference.diff if whole else difference.diff[:_LONGEST_DIFF]
        for line in lines:
            click.echo("      " + click.style(line, fg=_LINE_COLOURS.get(line[:1])))
        if len(lines) < len(difference.diff):
            click.echo(f"      … {len(difference.diff) - len(lines)} more lines: `nbops status --whole` shows them")


def _ended(status: str) -> str:
    return {"failed": "failed", "killed": "was killed", "timeout": "took too long"}.get(status, f"was {status}")
