"""What the backlog lesson shows while the server is frozen, against ss and /proc read by others at the same stop."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from socklab import guide, lesson, probes
from socklab.protocol import commands as cmd, events as ev
from socklab.protocol.run_spec import RunSpec
from socklab.session import Link
from socklab.state import LabState, apply

pytestmark = pytest.mark.kernel

FOLDER = lesson.find("backlog")
PORT = f"{8080:04X}"


def frozen_before_first_accept(link: Link) -> LabState:
    """Walk to the second question: ten clients, nobody accepted, the program held in front of accept."""
    lab, state, stepped_at = lesson.load(FOLDER), LabState(), 0
    for event in link.events(timeout=120):
        state = apply(state, event)
        if isinstance(event, ev.Asked):
            if event.index == 2:
                return state
            link.send(cmd.Answer())
            stepped_at = 0
        held = state.task is not None and state.task.status == "held"
        if held and guide.question(lab, state) is None and stepped_at != state.stops:
            stepped_at = state.stops
            link.send(cmd.Step())
    raise AssertionError(f"the lesson ended early: {state.ended} {list(state.notices)}")


def tcp_rows(pid: int) -> list[list[str]]:
    return [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]


def netstat(pid: int, name: str) -> int:
    names, values = (
        line.split() for line in Path(f"/proc/{pid}/net/netstat").read_text().splitlines() if line.startswith("TcpExt:")
    )
    return int(values[names.index(name)])


@pytest.fixture(params=["c", "python"])
def frozen(request: pytest.FixtureRequest) -> LabState:
    """The state at the stop, with the lab alive for as long as the test runs."""
    if request.param == "c" and not any(shutil.which(name) for name in ("cc", "gcc", "clang")):
        pytest.skip("no C compiler on this machine")
    link = Link.start(RunSpec(lesson=str(FOLDER), language=request.param, network="private", unattended=True))
    request.addfinalizer(link.close)
    state = frozen_before_first_accept(link)
    assert state.header is not None
    if state.header.network != "private":
        pytest.skip(f"no private network on this machine: {[note.text for note in state.notices]}")
    return state


def test_the_queue_and_the_states_are_those_of_proc_net_tcp(frozen: LabState) -> None:
    assert frozen.started is not None
    rows = tcp_rows(frozen.started.pid)
    listening = [row for row in rows if row[3] == "0A"]
    assert len(listening) == 1
    assert int(listening[0][4].partition(":")[2], 16) == probes.measure(frozen, "listener.accept_queue") == 5
    server = Counter(row[3] for row in rows if row[1].endswith(f":{PORT}") and row[3] != "0A")
    client = Counter(row[3] for row in rows if row[2].endswith(f":{PORT}"))
    assert server == {"01": probes.measure(frozen, "host.server.established")} == {"01": 5}
    assert client["01"] == probes.measure(frozen, "clients.established") == 5
    assert client["02"] == probes.measure(frozen, "clients.syn_sent") == 5


def test_overflows_are_those_of_proc_net_netstat(frozen: LabState) -> None:
    assert frozen.started is not None
    for name in ("ListenOverflows", "ListenDrops"):
        told = probes.measure(frozen, f"counter.{name}")
        # The clients go on sending SYNs: read later, the counter can only be higher, by five each second.
        assert isinstance(told, int)
        assert 5 <= told <= netstat(frozen.started.pid, name) <= told + 50


def test_depth_and_limit_are_those_of_ss(frozen: LabState) -> None:
    if not shutil.which("ss") or not shutil.which("nsenter"):
        pytest.skip("no ss or nsenter on this machine")
    assert frozen.started is not None
    done = subprocess.run(
        ["nsenter", "-t", str(frozen.started.pid), "-n", "ss", "-Htln"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"nsenter is refused: {done.stderr.strip()}")
    found = re.search(r"LISTEN\s+(\d+)\s+(\d+)\s+0\.0\.0\.0:8080", done.stdout)
    assert found is not None, done.stdout
    assert int(found[1]) == probes.measure(frozen, "listener.accept_queue")
    assert int(found[2]) == probes.measure(frozen, "listener.backlog")
