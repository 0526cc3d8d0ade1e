"""What the data path and the accept queue tell of a real run is what ss, strace, the client and the program count."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from socklab.guide import accepting
from socklab.protocol import commands as cmd, events as ev
from socklab.protocol.run_spec import RunSpec
from socklab.session import Link
from socklab.ui.tui.panels.acceptqueue import AcceptQueuePanel
from socklab.ui.tui.panels.datapath import DataPathPanel
from socklab.ui.view.lines import View, plain
from tests.kernel.test_stage_agrees import Lab

pytestmark = pytest.mark.kernel

LARGE = View(110, 40)

ECHO = """\
import os, socket, sys, tempfile
listener = socket.create_server(("", 8080), backlog=4)
file = tempfile.TemporaryFile()
file.write(b"f" * 3000)
file.flush()
connection = listener.accept()[0]
twin = connection.dup()
child = os.fork()
if not child:
    listener.close()
    connection.recv(5)
    twin.recv(6)
    os._exit(0)
os.waitpid(child, 0)
connection.recv(4, socket.MSG_PEEK)
connection.recv(100)
connection.sendall(b"a" * 700)
twin.send(b"b" * 30)
os.sendfile(connection.fileno(), file.fileno(), 0, 3000)
into, out = os.pipe()
os.write(out, b"p" * 50)
os.splice(into, connection.fileno(), 50)
connection.getpeername()
connection.recv(1)
"""
REQUEST = "0123456789abcdefghij"


def run(tmp_path: Path, source: str, until: str) -> Link:
    program = tmp_path / "server.py"
    program.write_text(source)
    return Link.start(RunSpec(argv=(sys.executable, str(program)), cwd="/", network="two-hosts", until=until))


def of_two_hosts(link: Link) -> Lab:
    lab = Lab(link)
    if lab.state.header is None or lab.state.header.network != "two-hosts":
        pytest.skip("no two hosts here")
    return lab


def said(lab: Lab) -> str:
    return "\n".join(map(plain, DataPathPanel().render(lab.state, LARGE)))


def in_server(lab: Lab, *command: str) -> str:
    assert lab.state.started is not None
    enter = ["nsenter", f"--net=/proc/{lab.state.started.pid}/ns/net"]
    return subprocess.run([*enter, *command], capture_output=True, text=True, check=True).stdout


def kernels_own(lab: Lab) -> dict[str, int]:
    """Bytes by the kernel's own counts for the connection (tcp_info, as ss prints it), and its queues."""
    printed = in_server(lab, "ss", "-Htnioe", "sport = :8080")
    found = {name: int(value) for name, value in re.findall(r"(bytes_\w+):(\d+)", printed)}
    found["receive"], found["send"] = map(int, printed.split()[1:3])
    return found


def drawn(lab: Lab) -> list[str]:
    line = next(line for line in said(lab).splitlines() if "─▶" in line)
    return [box.strip() for box in re.findall(r"│ ([^│]*)│", line)]


def test_the_data_path_is_what_ss_and_the_client_count(tmp_path: Path) -> None:
    with run(tmp_path, ECHO, "accept") as link:
        lab = of_two_hosts(link)
        lab.send(cmd.Do(line="connect"))
        lab.send(accepting.one())
        lab.send(cmd.Do(line=f'send a "{REQUEST}"'))
        lab.until(lambda: drawn(lab)[:2] == ["20 B", "20 B"])
        assert kernels_own(lab)["bytes_received"] == kernels_own(lab)["receive"] == len(REQUEST)
        lab.send(cmd.Continue("getpeername"))
        lab.until(lambda: lab.state.clients["a"].received == 3780 and drawn(lab)[3:] == ["0 B", "3780 B"])
        kernel = kernels_own(lab)
        assert (kernel["bytes_received"], kernel["bytes_acked"]) == (20, 3780)
        assert drawn(lab) == ["20 B", f"{kernel['receive']} B", "read 20 B", f"{kernel['send']} B", "3780 B"]
        told = said(lab)
    for words in (
        "20 B read by 3 calls",
        "4 B seen with MSG_PEEK by 1 call",
        "730 B written by 2 calls",
        "3,000 B of a file by sendfile, 1 call",
        "50 B spliced from a pipe by 1 call",
        "by 2 processes",
        "a sent 20 B, received 3,780 B",
    ):
        assert words in told, told
    assert "At least" not in told


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace counts the same calls")
def test_calls_are_counted_as_strace_counts_them(tmp_path: Path) -> None:
    """The same program, with a client of its own, once in the lab and once under strace."""
    program = tmp_path / "self.py"
    program.write_text("""\
import socket, sys
listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
server = listener.accept()[0]
client.sendall(b"x" * 1000)
client.shutdown(socket.SHUT_WR)
while server.recv(300):
    server.send(b"y" * 10)
server.getpeername()
""")
    log = tmp_path / "strace"
    command = ["strace", "-f", "-e", "trace=recvfrom,sendto", "-o", str(log), sys.executable, str(program)]
    subprocess.run(command, check=True, timeout=60)
    reads = [int(size) for size in re.findall(r"recvfrom\(.*, 300, .*= (\d+)", log.read_text())]
    writes = [int(size) for size in re.findall(r"sendto\(.*, 10, .*= (\d+)", log.read_text())]
    argv = (sys.executable, str(program))
    with Link.start(RunSpec(argv=argv, cwd="/", network="private", until="getpeername")) as link:
        told = said(Lab(link))
    assert sum(reads) == 1000 and reads[-1] == 0
    assert f"{sum(reads):,} B read by {len(reads) - 1} calls" in told, told
    assert f"{sum(writes)} B written by {len(writes)} calls" in told
    assert "1 read gave 0" in told


# ---------------------------------------------------------------- the accept queue

SERVER = """\
import os, socket
listener = socket.create_server(("", 8080), backlog=2)
kept = []
while True:
    kept.append(listener.accept()[0])
    os.pwrite(%d, str(len(kept)).encode(), 0)
"""
ACTIONS = ["connect", "connect", "accept", "connect", "connect", "connect", "accept", "reset_c", "accept", "accept"]


@pytest.fixture
def count_file(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "count"
    path.write_text("0")
    yield path


def totals(lab: Lab) -> list[int]:
    """Depth, backlog, accepted, waiting, dropped, as drawn."""
    text = "\n".join(plain(line) for line in AcceptQueuePanel().body(lab.state, LARGE).head)
    queue = re.search(r"accept queue +(\d+) of (\d+)", text)
    counts = re.search(r"accepted (\d+) +waiting (\d+) +dropped (\d+)", text)
    assert queue and counts, text
    return [*map(int, queue.groups()), *map(int, counts.groups())]


def test_the_accept_queue_is_what_ss_and_the_program_count(tmp_path: Path, count_file: Path) -> None:
    source = SERVER.replace("os.pwrite(%d,", f"os.pwrite(os.open({str(count_file)!r}, os.O_WRONLY),")
    with run(tmp_path, source, "accept") as link:
        lab = of_two_hosts(link)
        first = counter(lab)
        for line in ACTIONS:
            if line != "accept":
                lab.send(cmd.Do(line=line.replace("_", " ")))
            elif not accepting.refused(lab.state):
                lab.send(accepting.one())
                lab.send(cmd.Continue("accept"))  # the program counts it before its next accept
            lab.until(lambda: agrees(lab, count_file, first))
        accepted = totals(lab)[2]
        assert accepted >= 3
        assert lab.done.outcome == "done"
        told = "\n".join(plain(line) for line in AcceptQueuePanel().body(lab.state, LARGE).lines)
    assert "a accepted by fd 4 at server.py:5" in told, told
    assert len(re.findall(r"accepted by fd", told)) == accepted


def counter(lab: Lab) -> int:
    """Of dropped connections, as nstat reads it in the server's network."""
    printed = in_server(lab, "cat", "/proc/net/netstat")
    lines = [line.split() for line in printed.splitlines() if line.startswith("TcpExt:")]
    values = dict(zip(*lines, strict=True))
    return max(int(values["ListenDrops"]), int(values["ListenOverflows"]))


def agrees(lab: Lab, count_file: Path, first: int) -> bool:
    """A SYN that is sent again may come between two looks: the lab looks again a few times a second."""
    before, listed = counter(lab), lab.listed
    depth, limit, accepted, waiting, dropped = totals(lab)
    return (
        (depth, limit) == listed == lab.listed
        and waiting == depth
        and accepted == int(count_file.read_text())
        and dropped == before - first == counter(lab) - first
    )


def test_accept_is_told_to_wait_for_nobody(tmp_path: Path) -> None:
    with run(tmp_path, SERVER.replace("    os.pwrite(%d, str(len(kept)).encode(), 0)\n", ""), "accept") as link:
        lab = of_two_hosts(link)
        assert "Nobody waits" in accepting.refused(lab.state)
        lab.send(cmd.Do(line="connect"))
        lab.until(lambda: accepting.refused(lab.state) == "")
        lab.send(accepting.one())
        task = lab.state.task
        assert task is not None and task.at == "return" and task.call is not None and task.call.returned is not None
        assert task.call.returned.result == 4
        assert isinstance(lab.state.ready, ev.Ready) and lab.state.ready.wants == "step"
