"""Whichever of the lab's processes is killed, at whatever moment, nothing of the lab is left.

Each lab gets a mark in its environment that everything it starts inherits, a temporary folder of its own, and a moment:
after so many bytes of output. Oracles: /proc/*/environ, `ss`, the folder, the terminal's modes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from socklab.engine.network import topology
from tests.support import shared
from tests.support.children import in_child
from tests.support.repeat import times

pytestmark = pytest.mark.kernel

ROOT = Path(__file__).resolve().parents[2]
TIMES, PARTS = times(50), 5
"""Each kind of process is killed at so many moments, spread over the whole run; so many tests share them."""
DEADLINE_S = 60.0
GRACE_S = 60.0
STANDS_STILL = 20
"""A screen to which nothing was added after so many presses of the key that steps has come to rest."""


class Lab:
    """One running lab and its mark. `screen`: in a pseudo-terminal of its own; else --json --auto through a pipe."""

    def __init__(self, tmp: Path, *lesson: str, screen: bool) -> None:
        self.mark = f"LAB_MARK={uuid.uuid4().hex}"
        self.tmp = tmp
        name, _, value = self.mark.partition("=")
        environment = {**os.environ, name: value, "TMPDIR": str(tmp), "PYTHONPATH": str(ROOT), "TERM": "xterm-256color"}
        words = [sys.executable, "-m", "socklab", "lesson", *lesson]
        self.screen = screen
        self.seen = 0
        if screen:
            self.out, slave = os.openpty()
            fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 36, 120, 0, 0))
            self.modes = termios.tcgetattr(slave)
            self.slave = slave
            self.process = subprocess.Popen(
                words, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True
            )
        else:
            self.out, writing = os.pipe()
            words += ["--json", "--auto"]
            self.process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=writing, stderr=subprocess.DEVNULL, env=environment
            )
            os.close(writing)

    def read_until(self, size: int) -> None:
        """Follow the output until `size` bytes have come, pressing step on a screen, or until it ends or stands still.

        How many bytes a screen draws depends on how many changes one drawing shows, and so on how busy the machine is.
        """
        deadline = time.monotonic() + DEADLINE_S
        pressed = 0
        while self.seen < size and pressed < STANDS_STILL:
            ready, _, _ = select.select([self.out], [], [], 0.05)
            if ready:
                try:
                    data = os.read(self.out, 65536)
                except OSError:  # EIO: the terminal's last user is gone
                    return
                if not data:
                    return
                self.seen += len(data)
                pressed = 0
            elif self.screen and self.process.poll() is None:
                os.write(self.out, b"s")
                pressed += self.seen > 0
            assert time.monotonic() < deadline, f"only {self.seen} of {size} bytes came"

    def members(self) -> dict[int, list[str]]:
        """Every live process that carries the mark, with its command line."""
        found = {}
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            with contextlib.suppress(OSError):
                if self.mark.encode() in Path(f"/proc/{entry}/environ").read_bytes().split(b"\0"):
                    words = Path(f"/proc/{entry}/cmdline").read_bytes().decode().split("\0")
                    if words != [""]:  # a zombie has none; its parent will reap it
                        found[int(entry)] = words
        return found

    def who(self, role: str) -> list[int]:
        """The processes of a role: consumer, engine, wire, tracee."""
        members = self.members()
        status: dict[int, dict[str, str]] = {}
        for pid in members:
            with contextlib.suppress(OSError):
                lines = Path(f"/proc/{pid}/status").read_text().splitlines()
                status[pid] = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
        engines = {pid for pid in status if any("socklab.engine" in word for word in members[pid])}
        traced = {pid for pid in status if status[pid]["TracerPid"] != "0"}
        helpers = {pid for pid in engines if int(status[pid]["PPid"]) in engines}
        # A forked child of the engine that is not traced: the wire, and for a moment each other one: tried, seized or
        # executed a little later.
        found = {
            "engine": engines - helpers,
            "wire": helpers - traced,
            "tracee": traced - helpers,
            "consumer": set(status) - engines - traced,
        }
        return sorted(found[role])

    def kill(self, role: str, which: random.Random) -> bool:
        """SIGKILL one process of the role; false when none is alive any more."""
        victims = self.who(role)
        if not victims:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(which.choice(victims), signal.SIGKILL)
        return True

    def drain_to_the_end(self) -> None:
        """Read what is left and reap the consumer; a screen whose lab died is left by its own key."""
        deadline = time.monotonic() + DEADLINE_S
        while self.process.poll() is None:
            assert time.monotonic() < deadline, "the consumer did not end"
            ready, _, _ = select.select([self.out], [], [], 0.05)
            if ready:
                with contextlib.suppress(OSError):
                    os.read(self.out, 65536)
            elif self.screen:
                os.write(self.out, b"q")

    def left_over(self) -> list[str]:
        """Whatever is still there after a grace period that has a deadline: processes, files."""
        deadline = time.monotonic() + GRACE_S
        while True:
            left = [f"process {pid}: {' '.join(words)}" for pid, words in self.members().items()]
            left += [f"file {path}" for path in self.tmp.iterdir()]
            if not left or time.monotonic() > deadline:
                return left
            select.select([], [], [], 0.02)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for pid in self.members():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        os.close(self.out)
        if self.screen:
            os.close(self.slave)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    fresh = tmp_path / "tmp"
    fresh.mkdir()
    yield fresh


LESSONS = [("lifecycle", "--lang", "c"), ("lifecycle", "--lang", "python"), ("backlog", "--lang", "c")]
if not any(shutil.which(compiler) for compiler in ("cc", "gcc", "clang")):
    LESSONS = [("lifecycle", "--lang", "python"), ("backlog", "--lang", "python")]


def _length(tmp: Path, lesson: tuple[str, ...]) -> int:
    """Bytes a whole unattended run prints: the moments to choose from."""

    def run() -> int:
        lab = Lab(tmp, *lesson, screen=False)
        try:
            lab.read_until(1 << 30)
            lab.drain_to_the_end()
            return lab.seen
        finally:
            lab.close()

    return shared.once(f"length of {lesson}", run)


@pytest.mark.by_chance
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("role", ["consumer", "engine", "wire", "tracee"])
def test_nothing_is_left_when_one_process_is_killed_at_any_moment(role: str, part: int, folder: Path) -> None:
    chance = random.Random(f"nothing left {role} {part}")
    for moment in range(part, TIMES, PARTS):
        _kill_at(role, (moment + chance.random()) / TIMES, chance, folder)


def _kill_at(role: str, moment: float, chance: random.Random, folder: Path) -> None:
    """At this part of a whole run (0 to 1), or nearer to its middle where nobody of that role is alive then."""
    for _ in range(8):
        lesson = chance.choice(LESSONS)
        size = 1 + int(moment * 0.9 * _length(folder, lesson))
        lab = Lab(folder, *lesson, screen=False)
        try:
            lab.read_until(size)
            killed = lab.kill(role, chance)
            lab.drain_to_the_end()
            assert lab.left_over() == [], f"{role} of {lesson} killed after {size} bytes"
        finally:
            lab.close()
        if killed:
            return
        moment += (0.5 - moment) / 4
    raise AssertionError(f"no {role} was ever alive")


@pytest.mark.by_chance
@pytest.mark.parametrize("role", ["consumer", "engine", "tracee"])
def test_the_terminal_is_sane_when_one_process_of_a_screen_is_killed(role: str, folder: Path) -> None:
    chance = random.Random(f"screen {role}")
    for _ in range(times(10)):
        lab = Lab(folder, chance.choice(["lifecycle", "backlog"]), screen=True)
        try:
            lab.read_until(chance.randrange(4_000, 30_000))
            deadline = time.monotonic() + DEADLINE_S
            while not lab.kill(role, chance):  # the screen is drawn before the engine and the program are there
                assert time.monotonic() < deadline, f"no {role} came"
                select.select([], [], [], 0.01)
            lab.drain_to_the_end()
            assert lab.left_over() == []
            assert termios.tcgetattr(lab.slave) == lab.modes
        finally:
            lab.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT], ids=lambda n: n.name)
@pytest.mark.parametrize("screen", [True, False], ids=["screen", "json"])
def test_nothing_is_left_after_a_signal_to_the_consumer(number: signal.Signals, screen: bool, folder: Path) -> None:
    if screen and number == signal.SIGINT:
        pytest.skip("on a screen Ctrl-C is a key, not a signal")
    lab = Lab(folder, "backlog", screen=screen)
    try:
        lab.read_until(6_000)
        os.kill(lab.process.pid, number)
        lab.drain_to_the_end()
        assert lab.left_over() == []
        if screen:
            assert termios.tcgetattr(lab.slave) == lab.modes
        else:
            assert lab.process.returncode == 128 + number
    finally:
        lab.close()


def test_nothing_is_left_when_the_terminal_is_closed(folder: Path) -> None:
    lab = Lab(folder, "backlog", screen=True)
    try:
        lab.read_until(6_000)
        os.close(lab.slave)
        os.close(lab.out)  # the last end of the terminal: the kernel hangs up
        lab.process.wait(timeout=DEADLINE_S)
        assert lab.left_over() == []
    finally:
        lab.out, lab.slave = os.openpty()
        lab.close()


def test_no_port_stays_bound_on_the_machines_network(folder: Path) -> None:
    chance = random.Random("ports")
    environment = {**os.environ, "TMPDIR": str(folder), "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-m", "socklab", "lesson", "lifecycle", "--json", "--auto", "--net", "machine"]

    def act() -> None:
        topology.create("private")  # what the lab takes for the machine's own network has no listeners of other tests
        before = _listening()
        for _ in range(6):
            process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=environment)
            assert process.stdout is not None
            process.stdout.read(chance.randrange(1_000, 8_000))
            process.kill()
            process.wait()
            process.stdout.close()
            deadline = time.monotonic() + DEADLINE_S
            while _listening() - before:
                assert time.monotonic() < deadline, f"still bound: {_listening() - before}"
                select.select([], [], [], 0.02)

    in_child(act, seconds=120)


def _listening() -> set[str]:
    done = subprocess.run(["ss", "-Htln"], capture_output=True, text=True, check=True)
    return {line.split()[3] for line in done.stdout.splitlines()}


def test_ctrl_z_gives_the_terminal_back_and_going_on_draws_the_screen_again(folder: Path) -> None:
    lab = Lab(folder, "backlog", screen=True)
    try:
        lab.read_until(6_000)
        os.write(lab.out, b"\x1a")
        deadline = time.monotonic() + DEADLINE_S
        while not all(_state(pid) == "T" for pid in lab.who("consumer")):
            assert time.monotonic() < deadline, "the screen did not stop"
            if select.select([lab.out], [], [], 0.02)[0]:
                os.read(lab.out, 65536)
        assert termios.tcgetattr(lab.slave) == lab.modes
        lab.screen = False  # from here on no key is pressed: what comes is drawn for coming back
        os.kill(lab.process.pid, signal.SIGCONT)
        lab.read_until(lab.seen + 3_000)
        lab.screen = True
        lab.drain_to_the_end()
        assert lab.left_over() == []
    finally:
        lab.screen = True
        lab.close()


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
