"""Which calls are stops, where a socket is not the first descriptor a call names.

The second opinion on what each descriptor stands for is `strace -y`.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from socklab import syscalls
from socklab.protocol import commands as cmd, events as ev
from socklab.protocol.run_spec import RunSpec
from socklab.session import Link
from tests.support import servers, strace

pytestmark = pytest.mark.kernel

CLOSED_SOCKETS = ("45", "55")
"""strace names no descriptor of a close_range: moves.c says which of its two closes a socket."""


def stops(argv: list[str], until: str = "", at: str = "enter") -> list[tuple[str, ...]]:
    """Every stop before (after) a call, as (name, descriptors its arguments name) in order."""
    found = []
    arch = ""
    entered: dict[int, ev.Enter] = {}
    with Link.start(RunSpec(argv=tuple(argv), cwd="/", unattended=True, until=until, network="machine")) as link:
        for event in link.events():
            if isinstance(event, ev.Header):
                arch = event.arch
            elif isinstance(event, ev.Enter):
                entered[event.tid] = event
            elif isinstance(event, ev.Ready) and event.wants == "step":
                link.send(cmd.Continue(until=until) if until else cmd.Step())
            elif isinstance(event, ev.Held) and event.at == at:
                call = entered[event.tid]
                name = syscalls.name(arch, call.nr)
                numbers = syscalls.own_fds(name, call.args)
                if name in ("pidfd_getfd", "close_range"):
                    numbers = call.args[:2]
                found.append((name, *map(str, numbers)))
    return found


def on_sockets(argv: list[str], folder: Path, *names: str) -> list[tuple[str, ...]]:
    """The same, as strace tells of calls with a socket among the arguments."""
    reason = strace.available()
    if reason:
        pytest.skip(reason)
    log = folder / "strace"
    subprocess.run(
        ["strace", "-f", "-y", "-o", str(log), "-e", f"trace={','.join(names)}", *argv], check=True, cwd="/", timeout=60
    )
    found = []
    for line in log.read_text().splitlines():
        match = re.match(r"\d+ +(\w+)\((.*?)(\) += | <unfinished)", line)
        if match is None:
            continue
        name = match[1]
        plain = re.split(r"[\[{]", re.sub(r"<socket:[^>]*>", "!", re.sub(r"<[^s][^>]*>", "@", match[2])))[0]
        if name == "close_range" and tuple(re.findall(r"\d+", plain)[:2]) == CLOSED_SOCKETS:
            found.append((name, *CLOSED_SOCKETS))
        elif "!" in plain or name in ("socketpair", "epoll_create1", "epoll_ctl"):  # epoll stands for what it watches
            found.append((name, *re.findall(r"(?<!\w)(\d+)[@!]", plain)))
    return found


STOPS = ("splice", "sendfile", "dup", "dup2", "dup3", "fcntl", "socketpair", "epoll_create1", "epoll_ctl", "sendmsg",
         "recvmsg", "pidfd_getfd", "close", "close_range")  # fmt: skip


def test_a_socket_is_seen_wherever_among_the_descriptors_of_a_call_it_stands(tmp_path: Path) -> None:
    argv = [servers.built("moves")]
    ours = [stop for stop in stops(argv) if stop[0] in STOPS]
    theirs = on_sockets(argv, tmp_path, *STOPS)
    assert ours == theirs
    assert {"splice", "sendfile", "dup3", "pidfd_getfd", "close_range"} <= {name for name, *_ in theirs}


def test_a_condition_on_sockets_looks_at_every_descriptor_of_calls_nobody_stops_at(tmp_path: Path) -> None:
    argv = [servers.built("moves")]
    ours = stops(argv, until="tee|copy_file_range socket")
    assert ours == on_sockets(argv, tmp_path, "tee", "copy_file_range") != []


def test_what_a_close_closed_is_known_after_it(tmp_path: Path) -> None:
    argv = [servers.built("moves")]
    assert stops(argv, until="close socket ok", at="return") == on_sockets(argv, tmp_path, "close") != []
