"""Which row of a panel a lesson's step points at: "client f", "listener" or "fd 4".

In: View.pointed, a row. Out: whether it is that one. The stage has its own way to find it (ui/stage/scene.py), since it
looks for the row; a panel asks about rows that it draws anyway. Never draws.
"""

from __future__ import annotations

from socklab import state as st
from socklab.protocol import events as ev
from socklab.ui.view.index import client_index

MARK = "▸"


def at_client(pointed: str, name: str) -> bool:
    return pointed == f"client {name}"


def at_descriptor(state: st.LabState, pointed: str, pid: int, fd: int) -> bool:
    """A step means the process in focus."""
    return pointed == f"fd {fd}" and state.task is not None and state.task.pid == pid


def at_socket(state: st.LabState, pointed: str, row: ev.SocketRow) -> bool:
    """The listener; either end of the client's connection; the socket behind the descriptor."""
    kind, _, what = pointed.partition(" ")
    if kind == "listener":
        return row.state == st.LISTEN
    if kind == "client":
        index = client_index(state)
        return what in (index.at(state, row.remote), index.of(state, row))
    if kind == "fd" and what.isdecimal() and state.task is not None:
        held = state.socket_of(state.task.pid, int(what))
        return held is not None and held.id == row.id and held.local == row.local
    return False
