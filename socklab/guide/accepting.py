"""Letting the server accept one: what is asked of the engine for it, and why it can't be done now.

In: a LabState. Out: a command, or a reason. Never sends.
"""

from __future__ import annotations

from socklab.protocol import commands as cmd
from socklab.state import LISTEN, LabState
from socklab.syscalls import tables

LEAST_S, MOST_S = 0.1, 3600.0
"""Between two accepts of `accept every`."""


def one() -> cmd.Continue:
    """Run on until an accept has returned a descriptor, and hold there."""
    return cmd.Continue("accept ok")


def refused(state: LabState) -> str:
    """Why the server can't accept now; "" = somebody waits, or nobody can know."""
    if state.ended is not None or all(task.status == "exited" for task in state.tasks.values()):
        return "There is no program that could accept."
    if _other_listener(state):
        return ""
    listeners = state.listeners
    if not listeners:
        return "Nothing can be accepted: the program has no TCP socket that listens."
    if not any(row.rx_queue for row in listeners):
        return "Nobody waits to be accepted: `connect` adds a client."
    return ""


def _other_listener(state: LabState) -> bool:
    """The call in hand is an accept on a socket whose queue no table tells, such as a UNIX socket."""
    task = state.task
    if task is None or task.call is None or state.header is None:
        return False
    if tables.name(state.header.arch, task.call.entered.nr) not in ("accept", "accept4"):
        return False
    fd = task.call.entered.args[0] & 0xFFFFFFFF
    row = state.socket_of(task.pid, fd)
    return row is None or row.state != LISTEN


def seconds(argument: str) -> float:
    """Of "every 2"."""
    return float(argument.partition(" ")[2])
