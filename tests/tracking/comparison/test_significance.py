"""What may be chance: the tests themselves, and where a run's paired figures are found."""

from __future__ import annotations

import math
import random

import pytest
from scipy import stats

from nbops.errors import ProjectError
from nbops.project import Project
from nbops.tracking.comparison.directions import configured_directions, direction, verdict
from nbops.tracking.comparison.metrics import tests_between as between
from nbops.tracking.comparison.significance import PairedTest, holm, paired, sentence
from nbops.tracking.store import Store

CHANCE = random.Random(7)
BEFORE = [0.8 + CHANCE.gauss(0, 0.02) for _ in range(10)]
AFTER = [value + CHANCE.gauss(0.01, 0.008) for value in BEFORE]


def test_folds_get_the_corrected_variance() -> None:
    """By the formula of Nadeau and Bengio (2003), worked out apart from the code."""
    found = paired("auc", "folds", BEFORE, AFTER)
    differences = [after - before for before, after in zip(BEFORE, AFTER, strict=True)]
    mean = sum(differences) / 10
    variance = sum((value - mean) ** 2 for value in differences) / 9
    t = mean / math.sqrt((1 / 10 + 1 / 9) * variance)
    assert found.p == pytest.approx(2 * stats.t.sf(abs(t), 9))
    assert found.p is not None
    naive = stats.ttest_rel(AFTER, BEFORE).pvalue
    assert found.p > naive, "folds share rows: the plain t-test is too sure"
    assert found.low is not None
    assert found.high is not None
    assert found.low < mean < found.high
    assert (found.low > 0) == (found.p < 0.05)
    repeated = paired("auc", "folds", BEFORE, AFTER, folds=5)
    assert repeated.p is not None
    assert repeated.p > found.p, "two repeats of five folds test a larger share of the rows each"


def test_seeds_by_ranks_few_by_t_without_spread_by_signs() -> None:
    many = paired("auc", "seeds", BEFORE, AFTER)
    assert many.method == "Wilcoxon's signed-rank test"
    assert many.p == pytest.approx(stats.wilcoxon(AFTER, BEFORE, method="exact").pvalue)
    few = paired("auc", "seeds", BEFORE[:4], AFTER[:4])
    assert few.p == pytest.approx(stats.ttest_rel(AFTER[:4], BEFORE[:4]).pvalue)
    flat = paired("auc", "seeds", [1.0] * 8, [2.0] * 8)
    assert (flat.method, flat.p) == ("sign test", pytest.approx(2 / 2**8))
    assert paired("auc", "seeds", BEFORE, BEFORE).p == 1.0
    assert "one pair" in paired("auc", "seeds", [1.0, math.nan], [2.0, 1.0]).reason


def test_the_interval_of_the_ranks_holds_what_it_says() -> None:
    inside = 0
    for _ in range(400):
        shifted = [CHANCE.gauss(1, 1) for _ in range(9)]
        found = paired("m", "seeds", [0.0] * 9, shifted)
        assert found.low is not None
        assert found.high is not None
        inside += found.low <= 1 <= found.high
    assert 0.92 <= inside / 400 <= 0.995


def test_several_metrics_are_adjusted() -> None:
    tests = [PairedTest(name, "seeds", pairs=9, p=p) for name, p in (("a", 0.04), ("b", 0.01), ("c", 0.03))]
    found = holm([*tests, PairedTest("d", reason="no pairs")])
    assert [test.adjusted for test in found] == [pytest.approx(0.06), pytest.approx(0.03), pytest.approx(0.06), None]
    assert [test.significant for test in found] == [False, True, False, False]


def test_a_result_in_words() -> None:
    told = sentence(paired("auc", "folds", BEFORE, [value + 0.1 for value in AFTER]))
    assert told.startswith("differs by more than chance (10 folds, +0.1")
    assert "95 % interval" in told
    assert "corrected resampled t-test" in told
    assert sentence(PairedTest("a", reason="why")) == "not tested: why"


@pytest.mark.parametrize(
    ("name", "way"),
    [
        *(
            (name, "max")
            for name in ("auc", "valid_auc", "testAUC", "f1 _macro_", "r2", "accuracy", "neg_log_loss", "val_top5_acc")
        ),
        *(
            (name, "min")
            for name in ("log_loss", "rmse", "err", "brier_score_loss", "max_error", "trainLoss", "mean_fit_time")
        ),
        *((name, None) for name in ("profit", "epoch", "std_test_score", "x", "lossless")),
    ],
)
def test_which_way_a_metric_is_better(name: str, way: str | None) -> None:
    assert direction(name) == way
    assert direction(name, {name: "min"}) == "min"


def test_verdicts() -> None:
    assert verdict(0.7, 0.8, "max") == "better"
    assert verdict(0.7, 0.8, "min") == "worse"
    assert verdict(0.7, 0.8, None) == "different"
    assert verdict(0.1 + 0.2, 0.3, "max") == "same"
    assert verdict(math.nan, 0.3, "max") == "different"
    assert verdict(math.nan, math.nan, "max") == "same"


def test_wrong_settings_of_metrics_say_how_to_write_them(project: Project) -> None:
    (project.root / "nbops.toml").write_text('[tracking]\nmetrics = {auc = "up"}\n', encoding="utf-8")
    with pytest.raises(ProjectError, match="where more is better"):
        configured_directions(Project.find(project.root))


@pytest.fixture
def store(project: Project) -> Store:
    return Store(project)


def make(store: Store, name: str, *, parent: str | None = None, data: str = "d", **content: dict[str, object]) -> str:
    run_id = store.start_run(name, parent=parent, tags={"nbops.data": data})
    metrics = {key: float(str(value)) for key, value in content.get("metrics", {}).items()}
    store.log(run_id, params=content.get("params", {}), metrics=metrics)
    store.end_run(run_id)
    return run_id


def results(store: Store, one: str, other: str) -> dict[str, PairedTest]:
    return {test.metric: test for test in between(store, store.run(one), store.run(other))}


def test_folds_by_the_names_of_metrics(store: Store) -> None:
    one = make(store, "one", metrics={f"auc_fold_{i}": value for i, value in enumerate(BEFORE)})
    two = make(store, "two", metrics={f"auc_fold_{i}": value for i, value in enumerate(AFTER)})
    other_data = make(store, "x", data="e", metrics={f"auc_fold_{i}": value for i, value in enumerate(AFTER)})
    fewer = make(store, "y", metrics={f"auc_fold_{i}": value for i, value in enumerate(AFTER[:5])})
    found = results(store, one, two)["auc"]
    assert (found.pairs, found.kind) == (10, "folds")
    assert found.p == pytest.approx(paired("auc", "folds", BEFORE, AFTER).p)
    assert "different data" in results(store, one, other_data)["auc"].reason
    assert "10 folds against 5" in results(store, one, fewer)["auc"].reason


def test_steps_are_folds_only_where_a_param_says_so(store: Store) -> None:
    runs = []
    for name, values, params in (("a", BEFORE, {"cv": 10}), ("b", AFTER, {"cv": 10}), ("c", AFTER, {"epochs": 10})):
        run_id = make(store, name, params=params)
        for step, value in enumerate(values):
            store.client.log_metric(run_id, "auc", value, step=step)
        runs.append(run_id)
    assert results(store, runs[0], runs[1])["auc"].pairs == 10
    assert "steps aren't known to be folds" in results(store, runs[0], runs[2])["auc"].reason


def test_folds_and_seeds_as_child_runs(store: Store) -> None:
    for kind in ("fold", "seed"):
        parents = []
        for name, values in (("a", BEFORE), ("b", AFTER)):
            parents.append(make(store, f"{kind} {name}", metrics={"auc": sum(values) / 10}))
            for number, value in enumerate(values):
                make(store, f"{kind} {number}", parent=parents[-1], params={kind: number}, metrics={"auc": value})
        found = results(store, *parents)["auc"]
        assert (found.kind, found.pairs) == (f"{kind}s", 10)


def test_runs_repeated_with_other_seeds(store: Store) -> None:
    last = {}
    for name, values in (("tree", BEFORE), ("forest", AFTER)):
        for seed, value in enumerate(values[:7]):
            params = {"seed": seed, "estimator": f"Model(random_state={seed})", "depth": 3}
            last[name] = make(store, name, params=params, metrics={"auc": value})
    make(store, "tree", params={"seed": 9, "estimator": "Model(random_state=9)", "depth": 4}, metrics={"auc": 0.1})
    found = results(store, last["tree"], last["forest"])["auc"]
    assert (found.kind, found.pairs, found.method) == ("seeds", 7, "Wilcoxon's signed-rank test")
    assert found.p == pytest.approx(stats.wilcoxon(AFTER[:7], BEFORE[:7]).pvalue)
    alone = make(store, "alone", params={"seed": 1}, metrics={"auc": 0.5})
    assert "only one of the runs was repeated" in results(store, last["tree"], alone)["auc"].reason
    assert "one value" in results(store, alone, make(store, "single", metrics={"auc": 0.5}))["auc"].reason


@pytest.mark.slow
def test_the_splits_of_a_search_that_autologging_kept(store: Store, project: Project) -> None:
    import mlflow
    from sklearn.datasets import make_classification
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.tree import DecisionTreeClassifier

    store.experiment_id()
    mlflow.set_tracking_uri(project.tracking_uri)
    mlflow.set_experiment(project.experiment)
    mlflow.sklearn.autolog(log_models=False, silent=True)
    try:
        X, y = make_classification(200, random_state=0)
        runs, scores = [], []
        for search in (
            GridSearchCV(LogisticRegression(), {"C": [0.01, 1]}, cv=5),
            GridSearchCV(DecisionTreeClassifier(random_state=0), {"max_depth": [1, 3]}, cv=5),
        ):
            with mlflow.start_run() as active:
                search.fit(X, y)
            runs.append(active.info.run_id)
            scores.append([search.cv_results_[f"split{i}_test_score"][search.best_index_] for i in range(5)])
    finally:
        mlflow.sklearn.autolog(disable=True)
    found = results(store, *runs)["test_score"]
    assert (found.kind, found.pairs) == ("folds", 5)
    assert found.p == pytest.approx(paired("", "folds", *scores).p)
