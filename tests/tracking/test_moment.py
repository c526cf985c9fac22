"""What is caught while a run is made: kept while it's the same, but never with a secret that has become known."""

from __future__ import annotations

import subprocess

from nbops.project import Project
from nbops.tracking.moment import moment
from nbops.tracking.redaction import masks


def test_a_secret_learned_later_is_masked_in_the_same_difference(project: Project) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for arguments in (["init", "-q"], ["add", "."], [*identity, "commit", "-qm", "first"]):
        subprocess.run(["git", "-C", str(project.root), *arguments], check=True, capture_output=True)
    (project.root / "new.py").write_text("greeting = 'open-sesame-now'\n", encoding="utf-8")
    masks.learn(())
    assert "open-sesame-now" in moment(project)["code"]["diff"]
    try:
        masks.learn(["open-sesame-now"])
        assert "open-sesame-now" not in moment(project)["code"]["diff"]
    finally:
        masks.learn(())
