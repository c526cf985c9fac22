"""How stages are run: time, retries, priority, resources, and what a failure stops."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbops.errors import SpecError
from nbops.notebook.document import read
from nbops.pipeline import capacity, runner
from nbops.pipeline.capacity import Capacity, Machine, threads
from nbops.pipeline.model import Retries
from nbops.pipeline.policies import duration, size
from nbops.pipeline.spec import load
from nbops.tracking.store import Store

WRITE = "from pathlib import Path\nPath(out).write_text('x')"


def stages(lab: Any, text: str) -> Any:
    lab.yaml("stages:\n" + text)
    return load(lab.project)


def by_name(result: Any) -> dict[str, Any]:
    return {stage.name: stage for stage in result.stages}


def test_policies_are_read(tiny: Any) -> None:
    pipeline = stages(
        tiny,
        "  a:\n    notebook: make.ipynb\n    cache: false\n    timeout: 1h30m\n"
        "    retries: {times: 2, delay: 5s, factor: 3}\n    priority: 4\n    on_failure: stop\n"
        "    resources: {cpu: 2, memory: 4GB, tags: [fast]}\n",
    )

    policy = pipeline.stages["a"].policy
    assert (policy.cache, policy.timeout, policy.priority, policy.on_failure) == (False, 5400.0, 4, "stop")
    assert policy.retries == Retries(2, 5.0, 3.0)
    assert [policy.retries.pause(attempt) for attempt in (1, 2)] == [5.0, 15.0]
    assert (policy.resources.cpu, policy.resources.memory, policy.resources.tags) == (2, 4_000_000_000, ("fast",))
    assert policy.places["resources.memory"] == "pipeline.yaml:9:25"


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        ("cache: 1", "pipeline.yaml:2:29", "must be true or false, not 1"),
        ("timeout: soon", "pipeline.yaml:2:29", "must be a time"),
        ("timeout: 0", "pipeline.yaml:2:29", "must be a time"),
        ("retries: -1", "pipeline.yaml:2:29", "must be a whole number from 0 on"),
        ("retries: {time: 1}", "pipeline.yaml:2:39", "unknown key 'time'"),
        ("retries: {delay: 1s}", "pipeline.yaml:2:29", "doesn't say how many times"),
        ("resources: {memory: 4}", "pipeline.yaml:2:41", "must be a size with its unit"),
        ("resources: {cpu: 0}", "pipeline.yaml:2:41", "must be a whole number from 1 on"),
        ("priority: high", "pipeline.yaml:2:29", "must be a whole number"),
        ("on_failure: stopp", "pipeline.yaml:2:29", "can't be 'stopp'"),
    ],
)
def test_policies_that_cannot_be_meant(tiny: Any, text: str, where: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        stages(tiny, f"  a: {{notebook: make.ipynb, {text}}}\n")

    assert caught.value.where == where
    assert message in caught.value.message
    assert caught.value.remedy


@given(st.integers(0, 10**6), st.sampled_from(["ms", "s", "m", "h", "d"]))
def test_a_duration_means_its_unit(number: int, unit: str) -> None:
    seconds = duration(f"{number}{unit}")

    assert seconds is not None
    assert seconds == number * {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}[unit]


def test_sizes() -> None:
    assert [size(text) for text in ("4GB", "1.5 GiB", "10B", "4", "4G")] == [4 * 10**9, 3 * 2**29, 10, None, None]


def test_policies_are_in_no_key(tiny: Any) -> None:
    from nbops.pipeline.plan import Plan

    plain = stages(tiny, "  a: {notebook: make.ipynb}\n")
    other = stages(tiny, "  a: {notebook: make.ipynb, timeout: 5, retries: 1, priority: 3, resources: {cpu: 1}}\n")

    keys = {Plan(tiny.project, one).key(one.stages["a"], {}).digest for one in (plain, other)}
    assert len(keys) == 1


def test_no_more_threads_than_cores(tiny: Any) -> None:
    pipeline = load(tiny.project)  # make → add, beside tree
    every = list(pipeline.stages)

    assert threads(pipeline, pipeline.stages["make"], every, 8) == 4
    assert threads(pipeline, pipeline.stages["tree"], every, 8) == 4, "make and add never run at once"
    assert threads(pipeline, pipeline.stages["add"], ["add"], 8) == 8, "alone, a stage has the whole machine"
    assert threads(pipeline, pipeline.stages["add"], every, 1) == 1


def test_capacity_is_handed_out_and_given_back(tiny: Any) -> None:
    pipeline = stages(
        tiny,
        "  a: {notebook: make.ipynb, resources: {cpu: 2, memory: 3GB, gpu: 1}}\n"
        "  b: {notebook: make.ipynb, resources: {memory: 2GB, gpu: 1}}\n  c: {notebook: make.ipynb}\n",
    )
    a, b, c = pipeline.stages.values()
    room = Capacity(Machine(cpu=4, memory=4 * 10**9, gpus=("0", "1")))

    room.take(a)
    assert not room.fits(b), "for want of memory"
    assert room.fits(c)
    assert room.environment(a, 2)["CUDA_VISIBLE_DEVICES"] == "0"
    assert room.environment(a, 2)["OMP_NUM_THREADS"] == "2"
    room.give_back("a")
    assert room.fits(b)
    assert room.environment(c, 4) == {}, "nothing is said to a stage that has the machine to itself"


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        ("{cpu: 4000}", "wants 4000 cores"),
        ("{memory: 900TB}", "wants 900 TB of memory"),
        ("{gpu: 99}", "wants 99 GPUs"),
        ("{tags: [fast]}", "wants a machine that is fast"),
    ],
)
def test_more_than_there_is_is_refused_before_anything_runs(tiny: Any, resources: str, message: str) -> None:
    tiny.yaml(f"stages:\n  a:\n    notebook: make.ipynb\n    resources: {resources}\n")

    with pytest.raises(SpecError, match=message) as caught:
        tiny.run()

    assert caught.value.where == "pipeline.yaml:4:17"
    assert caught.value.remedy


def test_a_machine_says_what_it_is(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(capacity.TAGS_VARIABLE, "fast, here")

    assert capacity.this_machine().tags == {"fast", "here"}


@pytest.mark.slow
def test_a_stage_that_takes_too_long_is_stopped(tiny: Any) -> None:
    tiny.notebook("slow.ipynb", "import time; time.sleep(300)", "z = 1", parameters='out = "x"')
    tiny.yaml("stages:\n  slow: {notebook: slow.ipynb, timeout: 8s}\n")

    result = tiny.run()

    [slow] = result.stages
    assert slow.outcome == "timeout"
    assert not result.ok
    assert "took longer than its timeout of 8 s" in slow.error
    assert Store(tiny.project).run(slow.run_id).tags["nbops.ended"] == "timeout"
    cells = [cell for cell in read(tiny.root / slow.notebook).cells if cell["cell_type"] == "code"]
    assert cells[-2]["metadata"]["nbops"]["status"] == "timeout"


@pytest.mark.slow
def test_what_fails_is_tried_again_and_every_attempt_is_kept(tiny: Any) -> None:
    flaky = "from pathlib import Path\nn = Path('count')\nn.write_text(n.read_text() + '1' if n.exists() else '1')\n"
    tiny.notebook("flaky.ipynb", flaky + "assert len(n.read_text()) > 2, 'too early'\n" + WRITE, parameters='out = ""')
    tiny.yaml("stages:\n  flaky: {notebook: flaky.ipynb, outputs: {out: x.txt}, retries: {times: 3, delay: 10ms}}\n")
    notes: list[str] = []

    result = tiny.run(on_event=lambda event: notes.append(event.text))

    [flaky_stage] = result.stages
    assert (flaky_stage.outcome, flaky_stage.attempts) == ("executed", 3)
    runs = [run for run in tiny.runs() if run.name == "flaky"]
    tags = {Store(tiny.project).run(run.run_id).tags["nbops.attempt"]: run.status for run in runs}
    assert tags == {"1": "FAILED", "2": "FAILED", "3": "FINISHED"}
    kept = sorted(path.name.partition("-")[2][8:] for path in (tiny.root / ".nbops/executed").iterdir())
    assert kept == [".attempt1.ipynb", ".attempt2.ipynb", ".ipynb"]
    assert any(text.startswith("attempt 1 of 4 failed, next in 0.01 s") for text in notes)


@pytest.mark.slow
def test_priority_goes_first_and_a_stop_stops(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "this_machine", lambda: Machine(cpu=1, memory=10**12))
    tiny.notebook("fine.ipynb", WRITE, parameters='out = ""')
    tiny.notebook("bad.ipynb", "raise ValueError", parameters='out = ""')
    tiny.yaml(
        "stages:\n"
        "  last: {notebook: fine.ipynb, outputs: {out: 1.txt}}\n"
        "  second: {notebook: bad.ipynb, outputs: {out: 2.txt}, priority: 1, on_failure: stop}\n"
        "  first: {notebook: fine.ipynb, outputs: {out: 3.txt}, priority: 2, cache: false}\n"
    )
    started: list[str] = []

    found = by_name(tiny.run(on_event=lambda event: started.append(event.stage) if event.kind == "started" else None))

    assert started == ["first", "second"]
    assert {name: one.outcome for name, one in found.items()} == {
        "first": "executed",
        "second": "failed",
        "last": "skipped",
    }
    assert found["last"].error == "stopped, because second failed"
    assert by_name(tiny.run(targets=["first"]))["first"].outcome == "executed", "it is never cached"


@pytest.mark.slow
def test_memory_and_threads_are_held_to_what_was_declared(tiny: Any) -> None:
    tiny.notebook("hungry.ipynb", "import numpy as np\na = np.ones(200_000_000)", parameters='out = ""')
    look = "import os\nfrom pathlib import Path\nPath(out).write_text(os.environ['OMP_NUM_THREADS'])"
    tiny.notebook("look.ipynb", look, parameters='out = ""')
    tiny.yaml(
        "stages:\n"
        "  hungry: {notebook: hungry.ipynb, resources: {memory: 1GB}}\n"
        "  look: {notebook: look.ipynb, outputs: {out: threads.txt}, resources: {cpu: 1}}\n"
    )

    found = by_name(tiny.run())

    assert found["hungry"].outcome == "failed"
    assert "out of memory: the stage may use 1 GB" in found["hungry"].error
    assert (tiny.root / "threads.txt").read_text() == "1"


def test_the_machine_has_something() -> None:
    machine = capacity.this_machine()

    assert machine.cpu >= 1
    assert machine.memory > 10**8
