"""What moves on the stage is what a real kernel moved: a handshake, accept and read, from picture to picture."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from socklab import state as st
from socklab.protocol import commands as cmd
from socklab.protocol.run_spec import RunSpec
from socklab.session import Link
from socklab.ui.stage.drawing import draw
from socklab.ui.stage.movement import Move, Still, moves
from socklab.ui.view.lines import plain
from tests.kernel.test_stage_agrees import Lab

pytestmark = pytest.mark.kernel

SERVER = """\
import socket
listener = socket.create_server(("", 8080), backlog=4)
client = listener.accept()[0]
client.recv(512)
client.recv(512)
"""


def still(lab: Lab) -> Still:
    return Still(lab.state, draw(lab.state, 120, 17))


def cell(of: Still, at: tuple[int, int]) -> str:
    return plain(of.picture.lines[at[0]])[at[1]]


def only(found: tuple[Move, ...]) -> Move:
    assert len(found) == 1, found
    return found[0]


def server_end(lab: Lab) -> list[int]:
    return [row.state for row in lab.state.table_of("server").rows.values() if row.state != st.LISTEN]


def waits(lab: Lab) -> list[int]:
    """Bytes in the connection's receive buffer."""
    return [row.rx_queue for row in lab.state.table_of("server").rows.values() if row.state == st.ESTABLISHED]


def test_a_connection_and_its_bytes_move_as_the_kernel_moved_them(tmp_path: Path) -> None:
    program = tmp_path / "server.py"
    program.write_text(SERVER)
    spec = RunSpec(argv=(sys.executable, str(program)), cwd="/", network="two-hosts", until="accept")
    with Link.start(spec) as link:
        lab = Lab(link)
        if lab.state.header is not None and lab.state.header.network != "two-hosts":
            pytest.skip("no two hosts here")
        lab.send(cmd.Do(line="hold ack"))
        lab.send(cmd.Do(line="connect"))
        lab.until(lambda: server_end(lab)[:1] in ([st.SYN_RECV], [st.NEW_SYN_RECV]))
        before = still(lab)

        lab.send(cmd.Do(line="release"))
        lab.until(lambda: server_end(lab) == [st.ESTABLISHED] and lab.state.listeners[0].rx_queue == 1)
        after = still(lab)
        move = only(moves(before, after))
        assert move.span[0] == "a" and cell(before, move.path[0]) == cell(after, move.path[-1]) == "a"
        assert "SYN queue" in plain(after.picture.lines[move.path[0][0]])
        assert "accept queue" in plain(after.picture.lines[move.path[-1][0]])

        before = after
        lab.send(cmd.Step())
        lab.until(lambda: lab.state.listeners[0].rx_queue == 0)
        after = still(lab)
        assert cell(after, only(moves(before, after)).path[-1]) == "●"

        lab.send(cmd.Continue("recvfrom"))
        before = still(lab)
        lab.send(cmd.Do(line='send a "hello"'))
        lab.until(lambda: bool(moves(before, still(lab))))  # the wire may tell of the packet after the look
        after = still(lab)
        move = only(moves(before, after))
        sent = waits(lab)[0]
        assert move.span[0] == f"{sent} B" and move.path[0][1] > after.picture.wire_at > move.path[-1][1]

        before = after
        lab.send(cmd.Step())
        lab.until(lambda: not any(waits(lab)))
        after = still(lab)
        move = only(moves(before, after))
        assert move.span[0] == f"{sent} B"
        y, x = move.path[-1]
        assert plain(after.picture.lines[y])[x:].startswith(f"= {sent} ")
