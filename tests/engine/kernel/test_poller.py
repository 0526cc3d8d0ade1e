"""When the tables are read: by a clock, packets and tasks that a test makes up. No kernel is asked."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import cast

import pytest
from msgspec.structs import replace

from socklab.engine.kernel import poller as poller_module
from socklab.engine.kernel.poller import Poller
from socklab.engine.network.topology import Topology
from socklab.engine.stream import Stream
from socklab.engine.tracing.task import Task
from socklab.protocol import events as ev
from socklab.state import LabState


class Clock:
    """Stands for the module `time`, and for the snapshots that are taken."""

    def __init__(self) -> None:
        self.now = 100.0
        self.taken = 0

    def monotonic(self) -> float:
        return self.now


class Still:
    """A Snapshot of nothing."""

    cost_ns = 0
    clock = Clock()

    def __init__(self, *_: object, **__: object) -> None:
        """Nothing is read."""

    def everything(self) -> list[ev.Event]:
        Still.clock.taken += 1
        return []


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    Still.clock = Clock()
    monkeypatch.setattr(poller_module, "time", Still.clock)
    monkeypatch.setattr(poller_module, "Snapshot", Still)
    return Still.clock


class Lab:
    def __init__(self, network: str = "two-hosts", tasks: dict[int, Task] | None = None) -> None:
        self.state = LabState()
        hosts = [ev.Host("server", ("10.0.0.1",))]
        topology = SimpleNamespace(hosts=hosts, network=network, wire=None, enter=lambda name: None)
        here, self._there = socket.socketpair()
        self.poller = Poller(
            cast(Topology, topology), Stream(here), "x86_64", lambda: self.state, tasks if tasks is not None else {}
        )

    def packet(self) -> None:
        log = self.state.packets.append(ev.Packet(0, 1, "client", "server", b"", 0))
        self.state = replace(self.state, packets=log)

    def looks_while_packets_come(self, clock: Clock, packets: int, apart_s: float) -> int:
        """How many snapshots are taken while so many packets come, so far apart."""
        before = clock.taken
        for _ in range(packets):
            clock.now += apart_s
            self.packet()
            self.poller.tick([], True)
        return clock.taken - before

    def looks(self, clock: Clock, seconds: float, *, moving: bool = True) -> int:
        """How many snapshots are taken in that time, by a loop that ticks when it is told to."""
        before, end = clock.taken, clock.now + seconds
        while clock.now < end - 1e-9:
            clock.now += min(self.poller.due_in_s, 0.25, end - clock.now)
            self.poller.tick([], moving)
        return clock.taken - before


def test_while_nobody_asks_for_anything_the_tables_are_read_once_a_second_whatever_crosses(clock: Clock) -> None:
    lab = Lab()
    lab.looks(clock, 5)
    assert lab.looks(clock, 10) in range(9, 12)
    assert lab.looks_while_packets_come(clock, 100, 0.1) in range(9, 12)


def test_a_packet_somebody_watches_for_has_them_read_once_soon_after(clock: Clock) -> None:
    lab = Lab()
    lab.looks(clock, 5)
    lab.poller.snapshot_all()
    lab.poller.asked()
    lab.packet()
    lab.poller.tick([], True)
    assert lab.looks(clock, 0.02) == 0, "the tables have yet to follow"
    assert lab.looks(clock, 0.2) == 1
    assert lab.looks(clock, 10) in range(9, 12)


def test_packets_that_keep_coming_put_the_look_off_for_no_more_than_a_fifth_of_a_second(clock: Clock) -> None:
    lab = Lab()
    lab.looks(clock, 5)
    lab.poller.asked()
    assert lab.looks_while_packets_come(clock, 100, 0.01) in range(4, 7)


def test_where_no_packet_is_seen_a_living_client_has_them_read_ten_times_a_second_while_watched(clock: Clock) -> None:
    lab = Lab("machine")
    lab.looks(clock, 5)
    lab.poller.asked()
    assert lab.looks(clock, 2) in range(18, 23)
    lab.looks(clock, 2)
    assert lab.looks(clock, 10) in range(9, 12)
    lab.poller.asked()
    assert lab.looks(clock, 3, moving=False) in range(2, 5)


def test_the_loop_is_never_told_to_come_back_at_once_while_nothing_is_due(clock: Clock) -> None:
    lab = Lab()
    lab.looks(clock, 5)
    lab.poller.snapshot_all()
    for _ in range(10):
        lab.poller.tick([], True)
        assert lab.poller.due_in_s > 0.05
        clock.now += 0.001


def test_a_process_is_still_only_while_each_of_its_tasks_is_held(clock: Clock) -> None:
    tasks = {tid: cast(Task, SimpleNamespace(tid=tid, pid=1 if tid < 9 else 9, held="")) for tid in (1, 2, 9)}
    lab = Lab(tasks=tasks)

    def still(pid: int) -> bool:
        lab.poller.snapshot_all()
        return lab.poller._is_still(pid)

    assert not still(1) and not still(77)
    tasks[1].held = "enter"
    lab.poller.blocked.add(2)
    assert not still(1), "one that sleeps may wake up while a copy of its descriptor is open"
    tasks[2].held = "return"
    assert still(1) and not still(9)
