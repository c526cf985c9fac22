"""The runs widget, on a real store: what it shows, what it answers, and what stays without a kernel."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from nbops import panels
from nbops.panels.static import key_metrics, table
from nbops.project import Project
from nbops.tracking.schema import RunSummary, Versions
from nbops.tracking.store import Store


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "nbops.toml").write_text('[project]\nname = "crickets"\n')
    return Project.find(tmp_path)


def a_run(store: Store, name: str, auc: float) -> str:
    run = store.start_run(name, tags={"nbops.code": "1a2b3c4d"})
    store.log(run, metrics={"auc": auc})
    store.end_run(run, "FINISHED")
    return run


def test_shows_runs_newest_first(project: Project) -> None:
    store = Store(project)
    runs = [a_run(store, "first", 0.7), a_run(store, "second", float("nan"))]
    widget = panels.runs(project.root)
    assert [run["run_id"] for run in widget.page["runs"]] == runs[::-1]
    assert [run["metrics"]["auc"] for run in widget.page["runs"]] == [None, 0.7]
    assert widget.page["metrics"] == ["auc"]
    assert len(panels.runs(project, limit=1).page["runs"]) == 1


def test_fetches_again_only_when_something_was_written(project: Project) -> None:
    store = Store(project)
    a_run(store, "first", 0.7)
    widget = panels.runs(project)
    before = widget.page
    widget.refresh_if_changed()
    assert widget.page is before
    a_run(store, "second", 0.8)
    widget.refresh_if_changed()
    assert [run["name"] for run in widget.page["runs"]] == ["second", "first"]


def test_answers_every_question_so_that_the_browser_may_ask_again(project: Project) -> None:
    widget = panels.runs(project)
    sent: list[Any] = []
    widget.send = sent.append
    for content in ({"ask": "changed"}, {"ask": "now"}, {"ask": "anything"}, "nonsense"):
        widget._handle_custom_msg(content, [])
    assert sent == [{"answered": True}, {"answered": True}]


def test_a_project_without_a_store_is_empty_and_stays_untouched(project: Project) -> None:
    assert panels.runs(project).page["runs"] == []
    assert not project.state.exists()


def test_a_saved_notebook_keeps_a_table(project: Project) -> None:
    a_run(Store(project), "first", 0.71)
    data, _ = panels.runs(project)._repr_mimebundle_()
    assert data["text/plain"] == "1 run of crickets"
    assert "first" in data["text/html"]
    assert "application/vnd.jupyter.widget-view+json" in data


class _Texts(HTMLParser):
    """The texts of a page's cells; fails on a tag that a table of texts has no use for."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        assert tag in {"table", "caption", "thead", "tbody", "tr", "th", "td"}, tag
        assert not attrs

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_the_static_table_is_text_only() -> None:
    run = RunSummary(
        "id", "<script>alert(1)</script>", "e", "FAILED", 0.0, metrics={"<b>": 0.123456}, versions=Versions(code="c0de")
    )
    texts = _Texts(table([run], "a & b")).texts
    assert {"<script>alert(1)</script>", "<b>", "0.1235", "failed", "1970-01-01 00:00:00", "c0de", "a & b"} <= set(
        texts
    )


def test_metrics_of_training_come_last() -> None:
    runs = [
        RunSummary("a", "a", "e", "FINISHED", 0.0, metrics={"training_score": 1.0, "auc": 1.0}),
        RunSummary("b", "b", "e", "FINISHED", 0.0, metrics={"training_score": 1.0, "loss": 1.0, "auc": 1.0}),
    ]
    assert key_metrics(runs) == ["auc", "loss", "training_score"]
