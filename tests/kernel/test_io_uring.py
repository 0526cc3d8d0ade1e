"""A server on io_uring is stepped: what lies in its ring, and what came of it.

The second opinions are the ring's own memory, read here where the program mapped it, and /proc/PID/fd.
"""

from __future__ import annotations

import os
import select
import struct
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from socklab import syscalls
from socklab.protocol import commands as cmd
from socklab.protocol.rows import Ring
from socklab.protocol.run_spec import RunSpec
from socklab.session import Link
from socklab.state import LabState, apply
from socklab.ui.plain.facts import everything
from tests.support import shared

pytestmark = pytest.mark.kernel

EXAMPLE = Path(__file__).parents[2] / "examples" / "io_uring.c"
OPERATIONS = {13: "ACCEPT", 27: "RECV", 26: "SEND", 19: "CLOSE"}
"""Of linux/io_uring.h, those the example uses."""


@pytest.fixture(scope="module", autouse=True)
def _io_uring() -> None:
    switch = Path("/proc/sys/kernel/io_uring_disabled")
    if not switch.exists() or (switch.read_text().strip() != "0" and os.geteuid() != 0):
        pytest.skip("no io_uring for this user on this machine")


def submitted(pid: int, how_many: int) -> set[tuple[str, int, int]]:
    """(operation, fd, user_data) of entries in the ring's memory: the third mapping of io_uring_setup(2)."""
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        place, _, offset, *_, name = line.split()
        if "io_uring" in name and int(offset, 16) == 0x10000000:  # IORING_OFF_SQES
            start, end = (int(half, 16) for half in place.split("-"))
            with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
                memory.seek(start)
                raw = memory.read(end - start)
            entries = [struct.unpack_from("<BBHi24xQ", raw, at) for at in range(0, 16 * 64, 64)]
            return {(OPERATIONS[op], fd, data) for op, _, _, fd, data in entries if op}
    raise AssertionError("no ring is mapped")


class Stepped:
    def __init__(self, link: Link) -> None:
        self.link = link
        self.state = LabState()

    def until(self, reached: Callable[[LabState], object]) -> LabState:
        deadline = time.monotonic() + 60
        while not reached(self.state):
            assert time.monotonic() < deadline, f"never came: {self.state.notices}"
            select.select([self.link], [], [], 0.2)
            for event in self.link.read_available():
                self.state = apply(self.state, event)
        return self.state

    def to(self, at: str, having: Callable[[Ring], object]) -> Ring:
        """Steps to a stop at io_uring_enter at which the ring has that."""
        for _ in range(40):
            task = self.until(lambda s: s.task is not None and s.ready is not None).task
            assert task is not None
            if task.status == "held" and task.at == at and (ring := self.ring()) is not None and having(ring):
                assert task.call is not None
                assert syscalls.name("x86_64", task.call.entered.nr) == "io_uring_enter"
                return ring
            stops = self.state.stops
            if task.status == "held":
                self.link.send(cmd.Step())
            self.until(lambda s, stops=stops: s.stops > stops)  # type: ignore[misc]
        raise AssertionError(f"never came there: {self.ring()}")

    def ring(self) -> Ring | None:
        assert self.state.started is not None
        table = self.state.descriptors.get(self.state.started.pid) or {}
        return next((each.ring for each in table.values() if each.target == "anon_inode:[io_uring]"), None)


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers of calls are those of x86-64")
def test_an_io_uring_server_stops_where_it_enters_and_shows_what_lies_in_the_ring() -> None:
    program = shared.compiled(EXAMPLE, "-g")
    with Link.start(RunSpec(argv=(program, "8080"), cwd="/", network="private")) as link:
        lab = Stepped(link)
        pid = lab.until(lambda s: s.started is not None and s.task is not None and s.task.status == "held").started.pid
        assert lab.state.header is not None
        if lab.state.header.network != "private":
            pytest.skip("no private network here")
        ring = lab.to("enter", lambda ring: ring.submitted)
        assert {(each.operation, each.fd, each.user_data) for each in ring.submitted} == submitted(pid, 1)
        (notice,) = [each.text for each in lab.state.notices if "io_uring" in each.text]
        assert "not seen" in notice
        assert "; to submit: accept on 3" in "\n".join(everything(lab.state, "descriptors"))

        link.send(cmd.Do("connect a"))
        ring = lab.to("return", lambda ring: ring.completed)
        (accepted,) = ring.completed
        assert (accepted.operation, accepted.fd) == ("ACCEPT", 3)
        assert os.readlink(f"/proc/{pid}/fd/{accepted.result}").startswith("socket:")
        assert accepted.result in lab.state.descriptors[pid]

        ring = lab.to("enter", lambda ring: len(ring.submitted) == 2)
        assert {(each.operation, each.fd, each.user_data) for each in ring.submitted} <= submitted(pid, 2)
        link.send(cmd.Do("close a"))
        ring = lab.to("return", lambda ring: any(each.operation == "CLOSE" for each in ring.completed))
        assert not os.path.exists(f"/proc/{pid}/fd/{accepted.result}")
        assert accepted.result not in lab.state.descriptors[pid]
