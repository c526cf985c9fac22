"""Differences between two sets of facts: each is told, and nothing else is."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from nbops.pipeline.explain import explain
from nbops.pipeline.facts import CellFact, Facts, InputFact, ModuleFact, ParamFact


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def cells(*sources: str, ids: str = "abcdefghijklmnop") -> tuple[CellFact, ...]:
    return tuple(CellFact(ids[i], i + 1, sha(source), source) for i, source in enumerate(sources))


def facts(**changes: Any) -> Facts:
    plain = Facts(
        schema=1,
        cells=cells("a = 1", "b = a + 1", "print(b)"),
        modules={"helper": ModuleFact("helper.py", sha("x = 1"), "x = 1")},
        params={"n": ParamFact(sha("3"), "3")},
        inputs={"words": InputFact("words.txt", "", sha("w"), 7, 1.7e9)},
        versions={"pandas": "2.3.0"},
        python="3.11.7",
        kernel="python3",
        outputs={"total": "total.txt"},
        metrics=("score",),
    )
    return replace(plain, **changes)


def told(**changes: Any) -> list[str]:
    return [one.text for one in explain(facts(), facts(**changes))]


def test_a_changed_cell_is_named_with_its_diff() -> None:
    [one] = explain(facts(), facts(cells=cells("a = 1", "b = a + 2", "print(b)")))

    assert one.text == "cell 2 changed"
    assert one.diff == ("@@ -1 +1 @@", "-b = a + 1", "+b = a + 2")


def test_cells_come_go_and_move() -> None:
    assert told(cells=cells("a = 1", "new()", "b = a + 1", "print(b)", ids="axbc")) == ["cell 2 is new"]
    assert told(cells=cells("a = 1", "print(b)", ids="ac")) == ["cell 2 is gone"]
    assert told(cells=cells("b = a + 1", "a = 1", "print(b)", ids="bac")) in (
        ["cell 1 was moved"],
        ["cell 2 was moved"],
    )
    ids_are_new = cells("a = 1", "b = a + 9", "print(b)", ids="xyz")
    assert told(cells=ids_are_new) == ["cell 2 changed"]


def test_values_say_how_they_were_and_are() -> None:
    assert told(params={"n": ParamFact(sha("3.0"), "3.0")}) == ["parameter n: 3 → 3.0"]
    assert told(params={}) == ["parameter n: 3 → the notebook's default"]
    assert told(versions={"pandas": "3.0.0"}) == ["package pandas: 2.3.0 → 3.0.0"]
    assert told(versions={"pandas": "2.3.0", "numpy": "2"}) == ["package numpy is new: 2"]
    assert told(versions={}) == ["package pandas: 2.3.0 → gone"]
    assert told(python="3.12.1") == ["python: 3.11.7 → 3.12.1"]
    assert told(kernel="conda") == ["kernel: python3 → conda"]
    assert told(outputs={"total": "total.csv"}) == ["output total: total.txt → total.csv"]
    assert told(metrics=("score", "loss")) == ["metric loss is new: wanted"]
    assert told(schema=2) == ["format of keys: 1 → 2"]


def test_inputs_say_which_file_and_from_what_to_what() -> None:
    [one] = explain(facts(), facts(inputs={"words": InputFact("words.txt", "", sha("v"), 9, 1.7e9 + 60)}))
    assert one.text.startswith(f"input words (words.txt): {sha('w')[:8]} (7 B, 20")
    assert f"→ {sha('v')[:8]} (9 B, 20" in one.text

    def folder(digest: str, *files: str) -> Facts:
        members = tuple((name, sha(name + digest * (name == "a")), 1) for name in files)
        return facts(inputs={"tree": InputFact("tree", "make.tree", digest, 2, 0.0, members)})

    [one] = explain(folder("1", "a", "b", "c"), folder("2", "a", "b", "d"))
    assert one.text == "input tree (make.tree): 1 (2 B) → 2 (2 B)"
    assert one.diff == ("~ a", "- c", "+ d")
    assert explain(folder("1", "a"), folder("2", "a"), unknown=["tree"]) == ()


def test_modules_have_diffs_too() -> None:
    [one] = explain(facts(), facts(modules={"helper": ModuleFact("helper.py", sha("x = 2"), "x = 2")}))
    assert one.text == "module helper (helper.py) changed"
    assert one.diff[1:] == ("-x = 1", "+x = 2")


SOURCES = st.lists(st.sampled_from(["a = 1", "b = 2", "c = 3", "d = 4", "e = 5"]), max_size=7)
NAMES = st.dictionaries(st.sampled_from("pqrs"), st.sampled_from(["1", "2"]), max_size=4)


@given(SOURCES, SOURCES, NAMES, NAMES, st.randoms())
def test_nothing_that_differs_is_left_out_and_nothing_else_is_told(
    before: list[str], after: list[str], old: dict[str, str], new: dict[str, str], random: Any
) -> None:
    ids = random.sample("abcdefghijkl", 7)
    one = facts(cells=cells(*before), versions=old)
    other = facts(cells=cells(*after, ids="".join(ids)), versions=new)

    found = explain(one, other)

    packages = {name for name in {*old, *new} if old.get(name) != new.get(name)}
    assert {each.name for each in found if each.kind == "package"} == packages
    told = [each.text for each in found if each.kind == "cell"]
    assert bool(told) == (before != after)
    fresh, gone = (sum(text.endswith(end) for text in told) for end in ("is new", "is gone"))
    assert fresh - gone == len(after) - len(before)
    assert explain(one, one) == explain(other, other) == ()


@given(SOURCES, NAMES)
def test_facts_come_back_from_json(sources: list[str], versions: dict[str, str]) -> None:
    made = facts(cells=cells(*sources), versions=versions)

    assert Facts.from_dict(made.as_dict()) == made
    assert Facts.from_dict({**made.as_dict(), "format": 99}) is None
    assert Facts.from_dict({"format": 1, "cells": 3}) is None
