"""A forked process becomes a kernel that can't be told from one that was started.

It is the script's neighbour (`template`) and needs nothing but the standard library and ipykernel. What a started kernel
gets from its client at its start, this one is given: environment, folder, arguments, output, limits, signals' dispositions
and processors. Random states are those of a new process. It dies with its client.
"""

from __future__ import annotations

import importlib.util
import os
import random
import resource
import select
import signal
import socket
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import messages  # type: ignore[import-not-found]  # beside this file, which a script imports


@dataclass
class Role:
    """What a forked process is to be.

    Attributes
    ----------
    channel
        To the template: a spare kernel says there that it's ready, and gets its client's request.
    connection_file, arguments
        The kernel's own.
    request
        The client's, None for a spare.
    descriptors
        The client's standard output and error, and its process.
    """

    channel: socket.socket
    connection_file: str
    arguments: list[str]
    request: dict[str, Any] | None
    descriptors: list[int]


def play(role: Role) -> None:
    """Be the kernel; returns when it was shut down, so that the interpreter ends as any other."""
    os.setsid()
    _reseed()
    request, descriptors = role.request, role.descriptors
    if request is not None:
        _take_circumstances(request, descriptors)
        _take_output(descriptors[:2])
    from ipykernel.kernelapp import IPKernelApp

    before = dict(os.environ)
    app = IPKernelApp.instance(parent_handle=1)  # it has a parent, which isn't to be watched: `_die_with` does that
    app.initialize(["-f", role.connection_file, *role.arguments])
    if request is None:
        own = {name: value for name, value in os.environ.items() if before.get(name) != value}  # of ipykernel
        role.channel.sendall(b"\n")
        try:
            request = messages.receive(role.channel, descriptors)
        except EOFError:  # the template is gone before anybody asked
            os._exit(0)
        _take_circumstances(request, descriptors)
        os.environ.update(own)
        _take_shells_output(descriptors[:2])
        _move_shell(app)
    role.channel.close()
    _die_with(descriptors[2])
    app.connection_file = request["connection_file"]
    for descriptor in descriptors[:2]:
        os.close(descriptor)
    app.start()


def _reseed() -> None:
    random.seed()
    numpy = sys.modules.get("numpy.random")
    if numpy is not None:
        numpy.seed()


def _take_circumstances(request: dict[str, Any], descriptors: list[int]) -> None:
    """Be in the client's circumstances, as its child would be."""
    os.environ.clear()
    os.environ.update(request["environment"])
    for name, (soft, hard) in request["limits"].items():
        _, most = resource.getrlimit(getattr(resource, name))
        within = hard if most == resource.RLIM_INFINITY else most if hard == resource.RLIM_INFINITY else min(hard, most)
        resource.setrlimit(getattr(resource, name), (soft, within))
    os.umask(request["umask"])
    os.sched_setaffinity(0, request["processors"])
    os.chdir(request["folder"])
    launcher = importlib.util.find_spec("ipykernel_launcher")
    sys.argv = [str(launcher.origin) if launcher else "", *request["argv"]]


def _take_output(descriptors: list[int]) -> None:
    for descriptor, standard in zip(descriptors, (1, 2), strict=True):
        os.dup2(descriptor, standard)


def _take_shells_output(descriptors: list[int]) -> None:
    """Redirect what lies below ipykernel's streams, which listen to 1 and 2 themselves."""
    for descriptor, standard, stream in zip(descriptors, (1, 2), (sys.stdout, sys.stderr), strict=True):
        copy = getattr(stream, "_original_stdstream_copy", None)
        os.dup2(descriptor, standard if copy is None else copy)


def _move_shell(app: Any) -> None:
    """Tell IPython, which started elsewhere, where it is."""
    shell = app.shell
    shell.starting_dir = str(Path.cwd())
    visited = shell.user_ns["_dh"]
    visited[:] = [type(visited[0])(shell.starting_dir)]


def _die_with(process: int) -> None:
    """End, with our process group, when the client's process has ended."""

    def watch() -> None:
        select.select([process], [], [])
        os.killpg(os.getpgrp(), signal.SIGKILL)

    threading.Thread(target=watch, name="nbops-client", daemon=True).start()
