"""Wait for a kernel that has been started until it answers and is heard.

Jupyter's own client waits for 0.2 s of silence afterwards, which is longer than a forked kernel takes to start. Here the
answer to a question is waited for, and that the kernel has published that it's idle again: then nothing else is to come.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from queue import Empty
from typing import Any

_ASK_AGAIN_AFTER_S = 1.0
_HEARD_WITHIN_S = 0.2


async def until_ready(client: Any, is_alive: Callable[[], Awaitable[bool]], timeout: float) -> None:
    """Return when a kernel has answered and its publications arrive.

    Parameters
    ----------
    client
        A client of `jupyter_client`, its channels started.
    is_alive
        Whether the kernel's process lives.
    timeout
        In seconds.

    Raises
    ------
    RuntimeError
        If the kernel died, or doesn't answer in time.
    """
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        question = client.kernel_info()
        answer = await _message(client.shell_channel, question, "kernel_info_reply", _ASK_AGAIN_AFTER_S)
        if answer is not None:
            client._handle_kernel_info_reply(answer)
            if await _message(client.iopub_channel, question, "status", _HEARD_WITHIN_S) is not None:
                return
        elif not await is_alive():
            raise RuntimeError("Kernel died before replying to kernel_info")
    raise RuntimeError(f"Kernel didn't respond in {timeout:.0f} seconds")


async def _message(channel: Any, question: str, kind: str, timeout: float) -> Any:
    """Return the (last) answer of a kind to a question, None if it doesn't come in time."""
    until = time.monotonic() + timeout
    while (left := until - time.monotonic()) > 0:
        try:
            message = await asyncio.wait_for(_next(channel, left), left)
        except (Empty, TimeoutError):
            return None
        if message["parent_header"].get("msg_id") != question or message["msg_type"] != kind:
            continue
        if kind != "status" or message["content"]["execution_state"] == "idle":
            return message
    return None


async def _next(channel: Any, timeout: float) -> Any:
    return await channel.get_msg(timeout=timeout)
