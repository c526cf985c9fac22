"""Messages between a template, its kernels and their clients: JSON, its length first, with descriptors.

It needs nothing but the standard library: it is imported by the script in the kernel's interpreter as well.
"""

from __future__ import annotations

import array
import json
import socket
import struct
from typing import Any

_LENGTH = struct.Struct("!I")


def send(to: socket.socket, message: dict[str, Any], descriptors: list[int] | None = None) -> None:
    """Send a message, its length first, with descriptors."""
    content = json.dumps(message).encode()
    head = _LENGTH.pack(len(content))
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
    to.sendmsg([head], rights)
    to.sendall(content)


def receive(source: socket.socket, descriptors: list[int]) -> dict[str, Any]:
    """Receive a message; descriptors that came with it are appended to a list.

    Raises
    ------
    EOFError
        If the other side is gone.
    """
    head, rights, _, _ = source.recvmsg(_LENGTH.size, socket.CMSG_SPACE(8 * 4), getattr(socket, "MSG_CMSG_CLOEXEC", 0))
    for level, kind, data in rights:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            found = array.array("i")
            found.frombytes(data[: len(data) - len(data) % found.itemsize])
            descriptors.extend(found)
    while len(head) < _LENGTH.size:
        head += _some(source, _LENGTH.size - len(head))
    (left,) = _LENGTH.unpack(head)
    content = bytearray()
    while left:
        part = _some(source, min(left, 1 << 20))
        content += part
        left -= len(part)
    message: dict[str, Any] = json.loads(content)
    return message


def _some(source: socket.socket, most: int) -> bytes:
    part = source.recv(most)
    if not part:
        raise EOFError
    return part
