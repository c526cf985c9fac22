"""What counts as the same, as close and as different."""

from __future__ import annotations

import math

import pytest

from nbops.tracking.reproduction.judge import under_names_of
from nbops.tracking.reproduction.tolerance import Tolerance, measures_machine, normalised, without_markup

TOLERANCE = Tolerance()


@pytest.mark.parametrize(
    ("before", "after", "level"),
    [
        (0.5, 0.5, "same"),
        (1.0, 1.0 + 1e-11, "same"),
        (0.0, 1e-14, "same"),
        (0.915, 0.912, "close"),
        (0.9, 0.8, "differs"),
        (math.nan, math.nan, "same"),
        (math.nan, 1.0, "differs"),
        (math.inf, math.inf, "same"),
        (math.inf, -math.inf, "differs"),
        (-0.5, 0.5, "differs"),
    ],
)
def test_numbers(before: float, after: float, level: str) -> None:
    assert TOLERANCE.numbers(before, after) == level


@pytest.mark.parametrize(
    ("before", "after", "level"),
    [
        ("accuracy 0.913", "accuracy 0.913", "same"),
        ("accuracy 0.913", "accuracy 0.911", "close"),
        ("accuracy 0.913", "accuracy 0.613", "differs"),
        ("accuracy 0.913", "precision 0.913", "differs"),
        ("<Thing at 0x7f1c2b3d4e50>", "<Thing at 0x7f999b3d4e50>", "same"),
        ("[&lt;sk.cali...x7f4b5026ffd0&gt;]", "[&lt;sk.cali...x7f4b48b0ba50&gt;]", "same"),
        ("[<sk.One at 0x7f4...>]", "[<sk.One at 0x7fe...>]", "same"),
        ("0.5...0.75 of it", "0.5...0.95 of it", "differs"),
        ("took 1.2 s", "took 35.1 ms", "same"),
        ("CPU times: user 3 s\nWall time: 4 s\n5", "CPU times: user 9 s\nWall time: 1 min 4 s\n5", "same"),
        ("at 2026-11-22 17:00:01", "at 2026-11-23 09:30:59.123", "same"),
        ("wrote /tmp/abc123/x.csv", "wrote /tmp/zzz/x.csv", "same"),
        ("10%|#   | 1/10\r100%|####| 10/10", "100%|####| 10/10", "same"),
        ("   a\n1  1.0", " a\n1 1.0", "same"),
        ("[1, 2]", "[1, 2, 3]", "differs"),
        ("1,234 rows", "1,235 rows", "close"),
        ("model_1", "model_2", "differs"),
        ("nan", "0.5", "differs"),
    ],
)
def test_texts(before: str, after: str, level: str) -> None:
    assert TOLERANCE.texts(normalised(before), normalised(after)) == level


def test_places_stand_for_paths() -> None:
    places = {"/home/me/p": "<project>", "/home/me/p/.nbops/replay/1/home/me/p": "<project>"}
    assert normalised("/home/me/p/.nbops/replay/1/home/me/p/x", places) == normalised("/home/me/p/x", places)


def test_markup_has_words_only() -> None:
    page = "<style>.a{color: red}</style><table id='T_12abc'><tr><td>1.5</td></tr></table>"
    assert without_markup(page).split() == ["1.5"]


@pytest.mark.parametrize("name", ["mean_fit_time", "duration", "train.seconds", "system/cpu", "took_ms", "peak_memory"])
def test_metrics_of_the_machine(name: str) -> None:
    assert measures_machine(name)


@pytest.mark.parametrize("name", ["accuracy", "time_to_event_auc", "seconds_saved_r2", "rmse", "loss", "timeliness"])
def test_metrics_of_the_model(name: str) -> None:
    assert not measures_machine(name)


def test_scores_are_known_whatever_number_their_data_got() -> None:
    old = {"Forest_score-2_X": 0.5, "Forest_score-3_X-2": 0.6, "auc": 0.7, "gone": 1.0}
    new = {"Forest_score-2_X-2": 0.5, "Forest_score-3_X-3": 0.6, "auc": 0.7, "other-1": 2.0}
    assert under_names_of(old, new) == {"Forest_score-2_X": 0.5, "Forest_score-3_X-2": 0.6, "auc": 0.7, "other-1": 2.0}
    assert under_names_of(old, old) == old
