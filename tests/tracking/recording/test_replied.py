"""Work that waits until a kernel has replied: done once, soon, in the cell's own context, and never lost."""

from __future__ import annotations

import asyncio
import contextvars
import os
import signal

import pytest

from nbops.tracking.recording.replied import Replied


def test_without_a_loop_it_is_done_at_once() -> None:
    done: list[int] = []
    Replied().then(lambda: done.append(1))
    assert done == [1]


def test_a_loop_does_it_soon() -> None:
    done: list[int] = []

    async def cells() -> None:
        replied = Replied()
        replied.then(lambda: done.append(1))
        assert done == []
        await asyncio.sleep(0.2)
        assert done == [1]
        replied.now()
        assert done == [1]

    asyncio.run(cells())


def test_the_next_cell_does_not_wait_for_the_loop() -> None:
    done: list[int] = []

    async def cells() -> None:
        replied = Replied()
        replied.then(lambda: done.append(1))
        replied.now()
        assert done == [1]
        replied.then(lambda: done.append(2))
        replied.then(lambda: done.append(3))
        assert done == [1, 2]
        await asyncio.sleep(0.2)

    asyncio.run(cells())
    assert done == [1, 2, 3]


def test_it_sees_the_context_of_the_cell() -> None:
    where: contextvars.ContextVar[str] = contextvars.ContextVar("where", default="nowhere")
    seen: list[str] = []

    async def cells() -> None:
        replied = Replied()
        where.set("cell")
        replied.then(lambda: seen.append(where.get()))
        where.set("elsewhere")
        replied.now()

    asyncio.run(cells())
    assert seen == ["cell"]


def test_an_interrupt_does_not_break_it_off() -> None:
    done: list[int] = []

    def job() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        done.append(1)

    try:
        Replied().then(job)
    except KeyboardInterrupt:
        pytest.fail("the interrupt had nothing left to interrupt")
    assert done == [1]
