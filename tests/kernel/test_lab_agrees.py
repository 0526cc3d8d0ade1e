"""At a stop, what the lab tells is what independent readers find there: `ss` and /proc in the program's own network."""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections import deque
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from socklab import lesson as lessons
from socklab.protocol import commands as cmd, events as ev
from socklab.protocol.run_spec import RunSpec
from socklab.session import Link
from socklab.state import ESTABLISHED, SYN_SENT, LabState, apply
from tests.support import shared

pytestmark = pytest.mark.kernel

DEADLINE_S = 60.0


class Session:
    """A lab driven by hand: steps through lesson moments until a condition on the state holds."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.state = LabState()
        self.unread: deque[ev.AnyEvent] = deque()

    def run_until(self, reached: Callable[[LabState], bool]) -> LabState:
        """Fold events, and go on at each stop, until `reached`; what came behind it waits for the next call."""
        deadline = time.monotonic() + DEADLINE_S
        while not reached(self.state):
            assert time.monotonic() < deadline, "the moment never came"
            if not self.unread:
                assert not self.link.ended, self.link.diagnostics()
                select.select([self.link], [], [], 0.2)
                self.unread.extend(self.link.read_available())
                continue
            event = self.unread.popleft()
            self.state = apply(self.state, event)
            if reached(self.state):
                break
            if isinstance(event, ev.Asked):
                self.link.send(cmd.Answer())
            elif isinstance(event, ev.Held | ev.Answered | ev.Measured):
                self.link.send(cmd.Continue("step"))
        return self.state


def _in_network_of(pid: int, *words: str) -> str:
    """Run a command in the network namespace of `pid`, entering the user namespace too where it has its own."""
    own_users = os.readlink(f"/proc/{pid}/ns/user") != os.readlink("/proc/self/ns/user")
    enter = ["nsenter", f"--net=/proc/{pid}/ns/net", *([f"--user=/proc/{pid}/ns/user"] if own_users else [])]
    done = subprocess.run([*enter, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{' '.join(enter)}: {done.stderr.strip()}")
    return done.stdout


@pytest.mark.parametrize("language", ["c", "python"])
def test_the_full_queue_agrees_with_ss_and_proc_at_the_same_stop(language: str) -> None:
    spec = RunSpec(lesson=str(lessons.find("backlog")), language=language, network="private")
    with Link.start(spec) as link:
        session = Session(link)
        state = session.run_until(lambda now: sum(c.phase == "connecting" for c in now.clients.values()) >= 5)
        state = session.run_until(lambda now: now.hidden())
        pid = state.started.pid if state.started else 0
        assert state.header is not None
        if state.header.network != "private":
            pytest.skip(f"no private network here: {state.notices[0].text if state.notices else ''}")
        (listener,) = state.listeners
        assert (listener.rx_queue, listener.tx_queue) == (5, 4)

        queues = _in_network_of(pid, "ss", "-Htln", "sport", "=", ":8080").split()
        assert [int(queues[1]), int(queues[2])] == [listener.rx_queue, listener.tx_queue]

        table = state.table_of("server")
        rows = Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
        told = [int(row.split()[3], 16) for row in rows]
        server_side = [row for row in table.rows.values() if row.local.endswith(":8080") and row.state == ESTABLISHED]
        assert len(server_side) == 5
        assert told.count(ESTABLISHED) == table.states[ESTABLISHED] == 10, "five connections, both ends on one host"
        assert told.count(SYN_SENT) == table.states[SYN_SENT] == 5
        assert len(rows) == len(table.rows)

        counters = Path(f"/proc/{pid}/net/netstat").read_text().splitlines()
        names, values = next((a.split(), b.split()) for a, b in pairwise(counters) if a[:6] == "TcpExt")
        for name in ("ListenOverflows", "ListenDrops"):
            # SYNs are sent again all the time: the file, read a moment later, can only be ahead.
            assert 5 <= state.counters["server"][name] <= int(values[names.index(name)])


def test_descriptors_agree_with_lsof_like_reading_of_proc() -> None:
    with Link.start(RunSpec(lesson=str(lessons.find("lifecycle")), language="c")) as link:
        session = Session(link)
        state = session.run_until(lambda now: 4 in now.descriptors.get(now.focus, {}) and now.task.status == "held")
        pid = state.started.pid if state.started else 0
        found = {int(fd): os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
        assert {fd: row.target for fd, row in state.descriptors[pid].items()} == found


@pytest.mark.parametrize("word", ["Private", "Machine"])
def test_the_network_asked_for_is_the_network_given(word: str) -> None:
    spec = RunSpec(lesson=str(lessons.find("lifecycle")), language="python", network=word.lower())
    with shared.alone("the machine's network"), Link.start(spec) as link:
        state = Session(link).run_until(lambda now: bool(now.stops))
        assert state.header is not None and state.started is not None
        same = os.readlink(f"/proc/{state.started.pid}/ns/net") == os.readlink("/proc/self/ns/net")
        assert same == (state.header.network == "machine")
        if word == "Machine":
            assert same


def test_running_until_a_call_passes_through_the_steps_of_the_lesson_on_the_way() -> None:
    spec = RunSpec(lesson=str(lessons.find("lifecycle")), language="python", network="private")
    reached, held = [], []
    with Link.start(spec) as link:
        deadline = time.monotonic() + DEADLINE_S
        while 7 not in reached:
            assert time.monotonic() < deadline, (reached, held)
            select.select([link], [], [], 0.2)
            for event in link.read_available():
                if isinstance(event, ev.StepReached) and event.index not in reached:
                    reached.append(event.index)
                elif isinstance(event, ev.Asked):
                    link.send(cmd.Answer())
                elif isinstance(event, ev.Answered | ev.Measured):
                    link.send(cmd.Continue("recv"))
                elif isinstance(event, ev.Held):
                    held.append(event.at)
                    if not reached:  # the introduction is read
                        link.send(cmd.Continue("recv"))
    assert reached == list(range(8)), "no step is skipped"
    assert held == ["enter", "return", "enter", "enter", "enter"], (
        "socket asks and is answered when it returns, listen and accept ask, recv is what was wanted"
    )


SLOW = """
format = 1
title = "A step that waits in vain"
summary = "s"
minutes = 1
teaches = ["listen"]
claims = ["C7"]
reference = "listen(2)"
server = { python = "server.py" }
pause = ["listen"]
intro = "i"
outro = "o"

[[step]]
at = { syscall = "listen", when = "return" }
do = ["set kernel.hostname x", "set kernel.hostname y", "connect a"]
settle = { probe = "clients.established", is = 7, within_ms = 50 }
after = "t"
[step.predict]
ask = "How many?"
choices = [1, 7]
measure = "clients.established"
hides = ["clients"]
explain = "e"

[[check]]
at = { syscall = "listen", when = "return" }
probe = "clients.established"
is = 1
"""


def test_a_step_that_waits_in_vain_gives_its_answer_away_by_neither_number(tmp_path: Path) -> None:
    (tmp_path / "lesson.toml").write_text(SLOW)
    (tmp_path / "server.py").write_text(
        "import socket, sys\ns = socket.socket()\ns.bind(('', int(sys.argv[1])))\ns.listen(4)\n"
    )
    with Link.start(RunSpec(lesson=str(tmp_path), network="private")) as link:
        state = Session(link)
        told = state.run_until(lambda now: now.question is not None).notices
    vain = [notice.text for notice in told if "has not come about" in notice.text]
    assert len(vain) == 1 and not set("17") & set(vain[0])
    assert sum("kernel.hostname" in notice.text for notice in told) == 1, "one refusal of a setting is enough"
