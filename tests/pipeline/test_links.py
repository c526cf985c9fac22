"""How outputs are shared with the cache: by which link, verified, and never so that an edit corrupts both."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from nbops.errors import ProjectError
from nbops.pipeline.hashing import Hasher
from nbops.pipeline.links import DEFAULT, configured, transfer
from nbops.pipeline.objects import ObjectMissing, Objects
from nbops.project import Project


def project(root: Path, links: str) -> Project:
    (root / "nbops.toml").write_text(f"[pipeline]\nlinks = {links}\n")
    return Project.find(root)


def test_settings_name_links_in_order(tmp_path: Path) -> None:
    assert configured(Project(tmp_path)) == DEFAULT == ("reflink", "copy")
    assert configured(project(tmp_path, '"hardlink, copy"')) == ("hardlink", "copy")
    with pytest.raises(ProjectError, match="did you mean 'hardlink'"):
        configured(project(tmp_path, '"hardlnk"'))
    with pytest.raises(ProjectError, match="'3' is no kind of link"):
        configured(project(tmp_path, "3"))


@pytest.mark.parametrize("size", [0, 1, 5 << 20])
@pytest.mark.parametrize("links", [("reflink", "copy"), ("copy",), ("hardlink",), ()])
def test_every_link_gives_the_same_bytes(size: int, links: Any, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(os.urandom(size))

    link = transfer(source, target, links)

    assert target.read_bytes() == source.read_bytes()
    assert link in {*links, "copy"}
    assert target.samefile(source) == (link == "hardlink")
    with pytest.raises(FileExistsError):
        transfer(source, target, ("copy",))


def test_where_nothing_can_be_shared_it_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cannot(*_: Any) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(Path, "hardlink_to", cannot)
    monkeypatch.setattr(os, "copy_file_range", cannot, raising=False)
    (tmp_path / "source").write_text("x")

    assert transfer(tmp_path / "source", tmp_path / "target", ("hardlink",)) == "copy"
    assert (tmp_path / "target").read_text() == "x"


def kept(tmp_path: Path, *links: Any) -> tuple[Objects, Any, Path]:
    objects, path = Objects(tmp_path / "objects", links), tmp_path / "out"
    path.write_text("content")
    content = Hasher().content(path)
    assert content is not None
    objects.keep(path, content)
    return objects, content, path


def test_what_was_copied_can_be_edited_at_will(tmp_path: Path) -> None:
    objects, content, path = kept(tmp_path, *DEFAULT)
    path.unlink()
    objects.restore(content, path)
    path.write_text("mine")

    objects.restore(content, path)

    assert path.read_text() == "content"
    [(digest, kept_at)] = objects.paths()
    assert digest == content.sha256
    assert stat.S_IMODE(kept_at.stat().st_mode) == 0o444
    assert path.stat().st_mode & stat.S_IWUSR


def test_hard_links_are_read_only_and_an_edit_is_found_out(tmp_path: Path) -> None:
    objects, content, path = kept(tmp_path, "hardlink")
    [(_, kept_at)] = objects.paths()
    assert path.samefile(kept_at)
    assert stat.S_IMODE(path.stat().st_mode) == 0o444
    path.chmod(0o644)  # somebody insists
    path.write_text("CONTENT")

    with pytest.raises(ObjectMissing, match="corrupt"):
        objects.restore(content, path)

    assert path.read_text() == "CONTENT"
    assert not objects.has(content)


@pytest.mark.slow
def test_a_pipeline_with_hard_links_replaces_and_never_writes_into_them(executed: Any) -> None:
    (executed.root / "nbops.toml").write_text('[pipeline]\nlinks = "hardlink"\n')
    (executed.root / "data/total.txt").unlink()
    assert executed.outcomes()["add"] == "cached"
    total = executed.root / "data/total.txt"
    assert total.stat().st_nlink == 2
    assert executed.outcomes(params={"n": 6})["add"] == "executed"
    assert total.read_text() == "15.0"

    assert set(executed.outcomes().values()) == {"cached"}
    assert total.read_text() == "3.0"
