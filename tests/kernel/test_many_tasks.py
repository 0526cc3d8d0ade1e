"""Servers of several processes, of several threads, and of one loop: the examples, run for real and stepped by hand.

The second opinion on who holds what is this test's own reading of /proc/PID/fd.
"""

from __future__ import annotations

import os
import select
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from socklab import state as st
from socklab.protocol import commands as cmd, events as ev
from socklab.protocol.run_spec import RunSpec
from socklab.session import Link
from socklab.state import LabState, apply
from socklab.syscalls import name as call_name
from socklab.syscalls.watching import watched
from socklab.ui.view.tasks import asleep
from tests.support import servers

pytestmark = pytest.mark.kernel

EXAMPLES = Path(__file__).parents[2] / "examples"
DEADLINE_S = 60.0
FORK, THREADS = ["fork.c", "fork.py"], ["threads.c", "threads.py"]
LOOPS = ["select_loop.py", "poll_loop.py", "epoll_loop.py", "epoll_loop.c"]


class Lab:
    """A lab stepped by hand."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.state = LabState()
        self.seen: list[ev.AnyEvent] = []

    def wait(self, reached: Callable[[LabState], object], why: str = "the moment") -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not reached(self.state):
            assert time.monotonic() < deadline, f"{why} never came: {self.doing()} {self.state.notices}"
            assert not self.link.ended, (self.link.diagnostics(), self.state.notices)
            select.select([self.link], [], [], 0.2)
            for event in self.link.read_available():
                self.seen.append(event)
                self.state = apply(self.state, event)

    def doing(self) -> dict[int, str]:
        return {tid: f"{task.status} {task.at} {self.call(tid)}" for tid, task in self.state.tasks.items()}

    def call(self, tid: int) -> str:
        call = self.state.tasks[tid].call
        return call_name("x86_64" if os.uname().machine == "x86_64" else "aarch64", call.entered.nr) if call else ""

    def settled(self, tid: int) -> bool:
        """Held, asleep or gone: nothing more will come of it by itself."""
        task = self.state.tasks.get(tid)
        return task is not None and (task.status in ("held", "exited") or self.state.blocked(tid))

    def step(self, tid: int) -> None:
        """One stop further, or into its sleep."""
        stops = self.state.stops
        self.link.send(cmd.Step(tid=tid))
        resumed = len(self.seen)
        self.wait(
            lambda s: (
                any(isinstance(e, ev.Resumed) and e.tid == tid for e in self.seen[resumed:])
                and self.settled(tid)
                and (s.stops > stops or s.tasks[tid].status != "held")
            ),
            f"the stop of {tid}",
        )

    def step_to(self, tid: int, *names: str, at: str = "enter") -> None:
        """Steps of one task alone, until it is held at one of these calls."""
        for _ in range(60):
            task = self.state.tasks[tid]
            if task.status == "held" and task.at == at and self.call(tid) in names:
                return
            assert task.status == "held", f"{tid} is not held before {names}: {self.doing()}"
            self.step(tid)
        raise AssertionError(f"{tid} never came to {names}: {self.doing()}")

    def do(self, line: str) -> None:
        before = len(self.state.acted)
        self.link.send(cmd.Do(line))
        self.wait(lambda s: len(s.acted) > before)

    def inodes(self, pid: int) -> dict[int, int]:
        """What the lab tells of a process's sockets."""
        return {fd: d.inode for fd, d in self.state.descriptors[pid].items() if d.target.startswith("socket:")}


@contextmanager
def lab_of(example: str) -> Iterator[Lab]:
    if example.endswith(".c") and not any(shutil.which(each) for each in ("cc", "gcc", "clang")):
        pytest.skip("no C compiler on this machine")
    with Link.start(RunSpec(argv=(str(EXAMPLES / example),), cwd=str(EXAMPLES), network="private")) as link:
        lab = Lab(link)
        lab.wait(lambda s: s.task is not None and s.task.status == "held", "the first stop")
        assert lab.state.header is not None
        if lab.state.header.network != "private":
            pytest.skip(f"no private network here: {lab.state.notices[0].text if lab.state.notices else ''}")
        yield lab


def sockets_of(pid: int) -> dict[int, int]:
    """The same, read here."""
    found = {}
    for fd in os.listdir(f"/proc/{pid}/fd"):
        target = os.readlink(f"/proc/{pid}/fd/{fd}")
        if target.startswith("socket:["):
            found[int(fd)] = int(target[8:-1])
    return found


ACCEPT, FORKS = ("accept", "accept4"), ("fork", "vfork", "clone", "clone3")
READ, WRITE = ("read", "recvfrom"), ("write", "sendto")


@pytest.mark.parametrize("example", FORK)
def test_each_process_of_a_forking_server_stops_on_its_own_and_shares_its_sockets(example: str) -> None:
    with lab_of(example) as lab:
        parent = lab.state.focus
        lab.step_to(parent, *ACCEPT)
        lab.do("connect a")
        lab.wait(lambda s: s.clients["a"].phase == "open")
        lab.step_to(parent, *FORKS, at="return")
        lab.wait(lambda s: len(s.tasks) == 2)
        (child,) = set(lab.state.tasks) - {parent}
        lab.wait(lambda s: s.tasks[child].status == "held", "the child's own first stop")
        assert lab.call(child) == "close"
        assert lab.state.tasks[parent].status == "held", "each on its own: the parent is where it was"

        lab.wait(lambda s: child in s.descriptors, "the child's table")
        assert lab.inodes(parent) == lab.inodes(child) == sockets_of(parent) == sockets_of(child)
        (listener, connection) = sorted(lab.inodes(parent))

        stopped_at = lab.call(parent)
        lab.step(child)
        assert lab.call(parent) == stopped_at, "the parent was not moved by the child's step"
        assert lab.inodes(child) == sockets_of(child)
        assert set(lab.inodes(child)) == {connection}
        assert set(lab.inodes(parent)) == {listener, connection}

        lab.step_to(parent, "close", at="return")
        assert set(lab.inodes(parent)) == {listener}
        row = lab.state.socket_of(child, connection)
        assert row is not None
        assert row.state == st.ESTABLISHED, "closed by the parent, kept open by the child"


def test_a_child_that_has_ended_is_a_zombie_until_it_is_waited_for() -> None:
    with lab_of("fork.c") as lab:
        parent = lab.state.focus
        lab.step_to(parent, *ACCEPT)
        lab.do("connect a")
        lab.step_to(parent, *FORKS, at="return")
        lab.wait(lambda s: len(s.tasks) == 2 and all(task.status == "held" for task in s.tasks.values()))
        (child,) = set(lab.state.tasks) - {parent}
        lab.do("close a")
        for _ in range(12):
            if lab.state.tasks[child].status == "exited":
                break
            lab.step(child)
        assert lab.state.tasks[child].status == "exited"
        with open(f"/proc/{child}/stat") as file:
            assert file.read().rpartition(")")[2].split()[0] == "Z"
        lab.wait(lambda s: child in s.processes and s.processes[child].state == "Z", "the zombie")
        lab.step_to(parent, "wait4", at="return")
        call = lab.state.tasks[parent].call
        assert call is not None
        assert call.returned is not None
        assert call.returned.result == child
        assert not os.path.exists(f"/proc/{child}/stat")
        lab.wait(lambda s: child not in s.processes, "the end of the zombie")


@pytest.mark.parametrize("example", THREADS)
def test_each_thread_stops_on_its_own_and_all_have_one_table(example: str) -> None:
    with lab_of(example) as lab:
        leader = lab.state.focus
        lab.step_to(leader, *ACCEPT)
        threads = []
        for client in "ab":
            lab.do(f"connect {client}")
            known = set(lab.state.tasks)
            lab.step_to(leader, *ACCEPT, at="return")
            while set(lab.state.tasks) == known:
                lab.step(leader)
            (thread,) = set(lab.state.tasks) - known
            lab.wait(lambda s, thread=thread: s.tasks[thread].status == "held", "the thread's first stop")
            threads.append(thread)
            if lab.state.tasks[leader].status == "held":
                lab.step_to(leader, *ACCEPT)
        assert {lab.state.tasks[thread].pid for thread in threads} == {leader}
        assert [lab.call(thread) in READ for thread in threads] == [True, True]
        first, second = threads
        lab.step(first)
        assert lab.state.blocked(first), "asleep in its read, which the leader is not"
        assert lab.state.tasks[second].status == "held"
        lab.do('send a "hi"')
        lab.wait(lambda s: s.tasks[first].status == "held", "what the client's bytes woke")
        lab.step_to(first, *WRITE, at="return")
        lab.wait(lambda s: s.clients["a"].tail == b"hi")
        assert set(threads).isdisjoint(lab.state.descriptors), "threads share the leader's table"
        assert lab.inodes(leader) == sockets_of(leader)


@pytest.mark.parametrize("example", ["fork.c", "threads.py"])
def test_others_run_while_one_is_stepped(example: str) -> None:
    with lab_of(example) as lab:
        leader = lab.state.focus
        lab.step_to(leader, *ACCEPT)
        lab.link.send(cmd.Others(run=True, tid=leader))
        lab.do("connect a")
        lab.do('send a "hi"')
        lab.step_to(leader, *ACCEPT, at="return")
        while len(lab.state.tasks) == 1:
            lab.step(leader)
        (other,) = set(lab.state.tasks) - {leader}
        lab.wait(lambda s: s.clients["a"].tail == b"hi", "the echo of the task that nobody steps")
        assert not any(isinstance(event, ev.Held) and event.tid == other for event in lab.seen)
        lab.link.send(cmd.Others(run=False))
        lab.do('send a "again"')
        lab.wait(lambda s: s.tasks[other].status == "held", "the other's own stop")


@pytest.mark.parametrize("example", LOOPS)
def test_an_event_loop_s_call_tells_what_is_watched_and_what_came_back_ready(example: str) -> None:
    waits = ("select", "pselect6", "poll", "epoll_wait", "epoll_pwait")
    with lab_of(example) as lab:
        loop = lab.state.focus
        lab.step_to(loop, *waits)
        lab.do("connect a")
        lab.do("connect b")
        lab.wait(lambda s: s.clients["b"].phase == "open")
        rows = {}
        for _ in range(2):
            lab.step_to(loop, *ACCEPT, at="return")
            lab.step_to(loop, *waits)
        lab.do('send b "hi"')
        lab.wait(
            lambda s: any(row.rx_queue == 2 for t in s.tables.values() for row in t.rows.values() if row.state == 1)
        )
        lab.step_to(loop, *waits, at="return")
        call = lab.state.tasks[loop].call
        assert call is not None
        instance = lab.state.descriptors[loop].get(call.entered.args[0])
        found = watched(
            lab.state.header.arch if lab.state.header else "",
            call.entered,
            call.returned,
            instance.watches if instance else (),
        )
        assert found is not None
        rows = {row.fd: bool(row.ready) for row in found}
        assert set(rows) == set(sockets_of(loop)), "the listener and both connections"
        ready = [fd for fd, is_ready in rows.items() if is_ready]
        assert len(ready) == 1
        row = lab.state.socket_of(loop, ready[0])
        assert row is not None
        assert row.remote == lab.state.clients["b"].local
        assert not asleep(lab.state, lab.state.tasks[loop])


LOAD = """\
import socket
while True:
    with socket.create_connection(("server", 8080)) as client:
        client.sendall(b"hi")
        client.recv(16)
"""


def test_a_pause_is_heard_while_children_end_by_the_hundred(tmp_path: Path) -> None:
    script = tmp_path / "load.py"
    script.write_text(LOAD)
    with lab_of("fork.c") as lab:
        lab.step_to(lab.state.focus, *ACCEPT)
        lab.link.send(cmd.Continue())
        lab.do(f"! {sys.executable} {script}")
        lab.wait(lambda s: sum(isinstance(event, ev.Exited) for event in lab.seen) > 200, "two hundred children's ends")
        stops = lab.state.stops
        lab.link.send(cmd.Pause())
        lab.wait(lambda s: s.stops > stops and any(task.status == "held" for task in s.tasks.values()), "the pause")
        began = len(lab.seen)
        lab.wait(lambda s: all(lab.settled(tid) for tid in s.tasks), "everybody's stop")
        ends = sum(isinstance(event, ev.Exited) for event in lab.seen[began:])
        assert ends < 50, "nobody was let go on"


def test_the_threads_of_a_leader_that_has_ended_keep_descriptors_source_lines_and_memory() -> None:
    """pthread_exit in main: the leader's own entries of /proc are empty, those of any other thread are not."""
    port = servers.free_port()
    with Link.start(RunSpec(argv=(servers.built("leader"), str(port)), cwd="/", network="private")) as link:
        lab = Lab(link)
        lab.wait(lambda s: s.task is not None and s.task.status == "held", "the first stop")
        leader, worker = lab.state.started.pid, lab.state.focus
        assert worker != leader

        def told_as_they_are() -> bool:
            shown = {fd: d.target for fd, d in lab.state.descriptors[leader].items()}
            there = f"/proc/{leader}/task/{worker}/fd"
            return shown == {int(fd): os.readlink(f"{there}/{fd}") for fd in os.listdir(there)}

        lab.step_to(worker, "listen", at="return")
        lab.wait(lambda _: told_as_they_are(), "the worker's table")
        lab.wait(lambda s: s.processes[leader].state == "Z" and s.processes[leader].rss_bytes > 0, "its memory")
        lab.step_to(worker, *ACCEPT)
        stacks = [frame for each in lab.seen if isinstance(each, ev.Held) for frame in each.stack[:1]]
        assert {frame.path.rpartition("/")[2] for frame in stacks} == {"leader.c"}
        assert len(stacks) == lab.state.stops
        closed = [fd for each in lab.seen if isinstance(each, ev.Descriptors) for fd in each.closed]
        assert closed == []
        assert [each for each in lab.state.notices if "first thread" in each.text]

        number = link.send(cmd.Continue())
        lab.wait(lambda s: s.blocked(worker), "its sleep")
        lab.wait(lambda s: s.ready is not None and (s.ready.wants, s.ready.tid) == ("client", worker), "the prompt")
        lab.wait(lambda _: any(isinstance(each, ev.Done) and each.id == number for each in lab.seen), "the answer")
