"""Cache keys: what is in them, what isn't, and that types count."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbops.notebook.parameters import literal
from nbops.pipeline.hashing import Hasher
from nbops.pipeline.keys import canonical, chain, digest_of
from nbops.pipeline.objects import ObjectMissing, Objects

PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(),
    st.dates(),
    st.datetimes(),
)
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.integers(), inner, max_size=4),
    max_leaves=10,
)


def test_types_count() -> None:
    values = [1, 1.0, True, "1", None, "None", [1], {"1": 1}, {1: 1}, datetime.date(2013, 7, 1), "2013-07-01"]

    assert len({digest_of(value) for value in values}) == len(values)
    assert digest_of(datetime.datetime(2013, 7, 1)) != digest_of(datetime.date(2013, 7, 1))


@given(VALUES)
def test_equal_values_have_equal_digests_through_their_source(value: Any) -> None:
    again = eval(literal(value))

    assert canonical(again) == canonical(value)
    assert digest_of(again) == digest_of(value)


@given(st.dictionaries(st.text() | st.integers(), VALUES, max_size=6), st.randoms())
def test_the_order_of_a_mapping_does_not_count(mapping: dict[Any, Any], random: Any) -> None:
    items = list(mapping.items())
    random.shuffle(items)

    assert digest_of(dict(items)) == digest_of(mapping)


@given(VALUES, VALUES)
def test_different_values_have_different_digests(one: Any, other: Any) -> None:
    same = canonical(one) == canonical(other)

    assert (digest_of(one) == digest_of(other)) == same
    if type(one) is not type(other):
        assert not same


def test_what_has_no_plain_value_is_refused() -> None:
    with pytest.raises(TypeError, match="a set has no canonical form"):
        canonical({1, 2})


def test_the_chain_of_cells_shares_prefixes() -> None:
    one = chain(["a = 1", "b = 2", "c = 3"])
    other = chain(["a = 1  # cosmetic", "", "b=2", "# nothing", "c = 4"])

    assert len(one) == len(other) == 3
    assert one[:2] == other[:2]
    assert one[2] != other[2]
    assert chain(["b = 2", "a = 1"])[1] != one[1]


def test_hashes_follow_content_not_time(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("one")
    memo = tmp_path / "memo.json"
    first = Hasher(memo).file(file)
    file.write_text("two")
    hasher = Hasher(memo)
    assert hasher.file(file) != first
    file.write_text("one")
    assert hasher.file(file) == first


def test_folders_are_their_trees(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name / "deep").mkdir(parents=True)
        (tmp_path / name / "deep" / "x").write_text("x")
        (tmp_path / name / "y").write_text("y")
    hasher = Hasher()

    assert hasher.content(tmp_path / "a") == hasher.content(tmp_path / "b")
    (tmp_path / "b" / "y").rename(tmp_path / "b" / "z")
    assert hasher.content(tmp_path / "a") != hasher.content(tmp_path / "b")
    assert hasher.content(tmp_path / "none") is None


def test_objects_give_back_what_was_kept_or_nothing(tmp_path: Path) -> None:
    objects, hasher = Objects(tmp_path / "objects"), Hasher()
    source, target = tmp_path / "source", tmp_path / "deep" / "target"
    source.write_bytes(b"content")
    content = hasher.content(source)
    assert content is not None
    assert not objects.has(content)
    objects.keep(source, content)
    assert objects.has(content)

    objects.restore(content, target)
    assert target.read_bytes() == b"content"

    target.write_bytes(b"mine")
    [kept] = [path for path in (tmp_path / "objects").rglob("*") if path.is_file()]
    kept.chmod(0o644)
    kept.write_bytes(b"CONTENT")
    with pytest.raises(ObjectMissing, match="corrupt"):
        objects.restore(content, target)
    assert target.read_bytes() == b"mine", "what is there stays when there is nothing better"
    assert [path.name for path in target.parent.iterdir()] == ["target"]
    assert not objects.has(content)
