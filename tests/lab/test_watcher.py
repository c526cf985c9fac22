"""The watcher reports what is written in a project, and where."""

from __future__ import annotations

import asyncio
from pathlib import Path

from nbops.lab.messages import Change
from nbops.lab.watcher import ChangeWatcher
from nbops.project import Project


def test_reports_each_change_with_its_project(tmp_path: Path) -> None:
    project = Project(tmp_path)
    reported: list[Change] = []

    async def scenario() -> None:
        watcher = ChangeWatcher(reported.append)
        watcher.watch(project, "work/crickets")
        await watcher.poll()
        project.sessions.mkdir(parents=True)
        (project.sessions / "a.jsonl").write_text("{}\n")
        await watcher.poll()
        watcher.close()

    asyncio.run(scenario())
    assert reported == [Change(root="work/crickets", changed=["cells"])]
