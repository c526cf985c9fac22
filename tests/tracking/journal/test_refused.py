"""What a store refuses: a run gets another place, everything else is kept on disk, and commands tell of it."""

from __future__ import annotations

import os
from collections.abc import Iterable

import pytest
from click.testing import CliRunner

from nbops.cli import group
from nbops.project import Project
from nbops.tracking.journal import refused
from nbops.tracking.journal.entries import Closed, Create, Entry, Files, Head, Log, Metric, Unreadable, Update
from nbops.tracking.journal.file import Appender, Journal, is_alive
from nbops.tracking.journal.real import Real
from nbops.tracking.journal.refusals import is_for_good
from nbops.tracking.journal.replay import Replay
from nbops.tracking.store import Store

pytestmark = pytest.mark.slow
RUN = "0123456789abcdef0123456789abcdef"


def replayed(project: Project, entries: Iterable[Entry], session: str = "s") -> Journal:
    """Journal entries and replay them in this process."""
    journal = Journal(project, session)
    appender = Appender(journal)
    for entry in entries:
        appender.write(entry)
    appender.close()
    for offset in Replay(Real(project, journal))(list(journal.read(0))):
        journal.mark(offset)
    return journal


def test_a_run_of_an_unknown_experiment_is_in_the_projects(project: Project) -> None:
    metric = Log(RUN, metrics=[Metric("m", 2.0, 1)])
    replayed(project, [Create(RUN, 1, "mine", experiment="77"), metric, Update(RUN, "FINISHED", 2)])
    run = Store(project).run(RUN)
    assert (run.summary.name, run.summary.status, run.summary.metrics) == ("mine", "FINISHED", {"m": 2.0})
    assert run.summary.experiment == project.experiment
    assert "77" in run.tags["nbops.misplaced"]
    assert "was meant for experiment 77" in (project.state / "nbops.log").read_text()
    assert not refused.refusals(project)


def test_a_run_is_kept_though_all_experiments_of_the_project_were_deleted(project: Project) -> None:
    client = Store(project).client
    mine = Store(project).experiment_id()
    client.delete_experiment(mine)
    replayed(project, [Create(RUN, 1, "mine", experiment=mine)])
    assert client.get_run(RUN).info.experiment_id == "0"


def test_what_has_no_place_is_kept_with_its_files_and_told_of(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(project, "s")
    (journal.spool / "files-1").mkdir(parents=True)
    (journal.spool / "files-1" / "a.txt").write_text("x")
    params = {f"p{number}": "1" for number in range(3)}
    replayed(project, [Log(RUN, params=params), Files(RUN, "files-1"), Unreadable('{"type":"later"}'), Closed()])
    journal.remove()
    kept = refused.refusals(project)
    assert [type(one.entry) for one in kept] == [Log, Files, Unreadable]
    assert kept[0].entry == Log(RUN, params=params)
    assert RUN in kept[0].why
    assert (refused.folder(project) / "s" / "files-1" / "a.txt").read_text() == "x"
    monkeypatch.chdir(project.root)
    said = CliRunner().invoke(group, ["runs"])
    assert "3 things of 1 run" in said.stderr
    assert "refused" not in said.stdout


def test_one_refused_value_takes_no_other_with_it(project: Project) -> None:
    first = Log(RUN, params={"a": "1"})
    second = Log(RUN, params={"a": "2", "b": "1"}, metrics=[Metric("m", 1.0, 1)])
    replayed(project, [Create(RUN, 1), first])
    replayed(project, [second], session="t")
    run = Store(project).run(RUN).summary
    assert (run.params, run.metrics) == ({"a": "1", "b": "1"}, {"m": 1.0})
    assert [one.entry for one in refused.refusals(project)] == [Log(RUN, params={"a": "2"})]


def test_a_journal_that_was_removed_under_its_kernel_is_begun_again(project: Project) -> None:
    journal = Journal(project, "s")
    appender = Appender(journal)
    appender.write(Create(RUN, 1))
    journal.remove()
    appender.write(Create(RUN[::-1], 1))
    appender.close()
    assert [type(entry) for _, entry in journal.read(0)] == [Head, Create]
    assert journal.head() is not None


def test_a_kernel_lives_whatever_the_clock_says(project: Project) -> None:
    journal = Journal(project, "s")
    Appender(journal).write(Closed())
    head = journal.head()
    assert head is not None
    moved = {"pid": os.getpid(), "process_started": head.process_started - 3600, "uri": "", "python": ""}
    assert is_alive(Head("s", host=head.host, process=head.process, **moved))  # type: ignore[arg-type]
    if head.process:
        assert not is_alive(Head("s", host=head.host, process=f"{head.process}1", **moved))  # type: ignore[arg-type]


def test_a_row_that_another_process_wrote_first_is_no_refusal(project: Project) -> None:
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import IntegrityError

    refusal = MlflowException("UNIQUE constraint failed", error_code=1)
    refusal.error_code = "BAD_REQUEST"
    assert is_for_good(refusal)
    refusal.__cause__ = IntegrityError("INSERT", {}, Exception())
    assert not is_for_good(refusal)
