"""The ends of UDP and UNIX sockets while their program sleeps, when nothing may be asked of it: as ss has them."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from socklab.engine.kernel import descriptors, procfs
from socklab.engine.kernel.copies import Copies
from socklab.engine.kernel.descriptors import DescriptorTable
from socklab.engine.kernel.othertables import OtherTables, parse_datagram_table
from socklab.engine.kernel.unixdiag import UnixDiag
from socklab.protocol import commands as cmd, events as ev
from socklab.protocol.rows import KernelObject
from socklab.protocol.run_spec import RunSpec
from socklab.session import Link
from socklab.state import LabState
from socklab.ui.stage.drawing import draw
from socklab.ui.tui.panels import registry
from socklab.ui.view.lines import View, plain
from tests.kernel.test_attach import _may_trace  # noqa: F401
from tests.kernel.test_many_tasks import Lab
from tests.support.servers import until

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(not shutil.which("ss"), reason="ss is not installed")]

SERVER = """\
import socket
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("127.0.0.1", 0))
six = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); six.bind(("::", 0))
to = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); to.connect(u.getsockname())
none = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
x = socket.socket(socket.AF_UNIX); x.bind("\\0socklab-asleep-%d"); x.listen(3)
y = socket.socket(socket.AF_UNIX); y.connect("\\0socklab-asleep-%d")
z = socket.socket(socket.AF_UNIX); z.connect("\\0socklab-asleep-%d")
accepted, _ = x.accept()
u.recvfrom(100)
"""
CLIENT = """\
import socket
c = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
c.sendto(b"hello", ("127.0.0.1", 9))
c.recvfrom(100)
"""
STARS = {"*:*", "0.0.0.0:*", "[::]:*"}


def listed_by_ss(pid: int) -> dict[int, tuple[str, str]]:
    """Inode to both ends of each UDP socket in the network of a process; "" = no peer."""
    enter = ["nsenter", f"--net=/proc/{pid}/ns/net"] if os.geteuid() == 0 else []
    done = subprocess.run([*enter, "ss", "-Huane"], capture_output=True, text=True, check=True)
    found = {}
    for line in done.stdout.splitlines():
        inode = re.search(r"\bino:(\d+)", line)
        if inode is not None:
            local, remote = line.split()[3:5]
            local = local.replace("*:", "[::]:")  # ss writes the wildcard of a socket for both families so
            found[int(inode[1])] = local, "" if remote in STARS else remote
    return found


@contextmanager
def asleep(tmp_path: Path, source: str, *commands: cmd.AnyCommand) -> Iterator[tuple[LabState, list[ev.AnyEvent]]]:
    """The program in its sleep, reached by these commands."""
    program = tmp_path / "program.py"
    program.write_text(source.replace("%d", str(os.getpid())))
    with Link.start(RunSpec(argv=(sys.executable, str(program)))) as link:
        lab = Lab(link)
        lab.wait(lambda state: state.ready and state.ready.held, "the first stop")
        for command in commands:
            stops = lab.state.stops
            link.send(command)
            lab.wait(lambda state: state.stops > stops or state.blocked(state.focus), "the next stop, or sleep")  # noqa: B023
        lab.wait(lambda state: state.ready and state.ready.wants == "client", "sleep")
        yield lab.state, lab.seen


def pid_of(state: LabState) -> int:
    assert state.started is not None
    return state.started.pid


def sockets(state: LabState) -> dict[int, ev.Descriptor]:
    return {fd: each for fd, each in state.descriptors[pid_of(state)].items() if each.detail}


def agrees_with_ss(state: LabState) -> int:
    """How many UDP sockets with an address there are, here and there with the same ends."""
    listed, compared = listed_by_ss(pid_of(state)), 0
    for each in sockets(state).values():
        if each.detail.startswith("udp"):
            behind = each.behind or KernelObject()
            assert (behind.local, behind.remote) == listed.get(each.inode, ("", "")), each
            compared += bool(behind.local)
    return compared


def test_a_server_that_sleeps_shows_each_address_and_its_sleep_changes_none_of_its_sockets(tmp_path: Path) -> None:
    with asleep(tmp_path, SERVER, cmd.Continue(until="recv"), cmd.Step()) as (state, _):
        assert agrees_with_ss(state) == 3
        changed = {fd: before for (_, fd), before in state.changed.descriptors.items() if fd in sockets(state)}
        assert changed == {}, sockets(state)
        lines = "\n".join(plain(line) for line in draw(state, 110, 20).lines)
        panel = "\n".join(map(plain, registry.panel("descriptors").body(state, View(90, 20)).lines))
        for each in sockets(state).values():
            if each.behind is not None and each.behind.local:
                assert each.behind.local in lines and each.behind.local in panel
        unix = [each.behind for each in sockets(state).values() if each.detail == "unix stream"]
        name = f"@socklab-asleep-{os.getpid()}"
        ends = [(each.local, each.remote, each.listening) for each in unix if each is not None]
        # The second to connect is not accepted: unix_diag knows no peer of it.
        assert ends == [(name, "", True), ("", name, False), ("", "", False), (name, "", False)]
        assert unix[0] is not None and (unix[0].accept_queue, unix[0].backlog) == (1, 3)


def test_a_port_that_sendto_chose_is_shown_of_a_program_that_nobody_held_since(tmp_path: Path) -> None:
    with asleep(tmp_path, CLIENT, cmd.Continue()) as (state, _):
        assert agrees_with_ss(state) == 1
        (client,) = sockets(state).values()
        assert client.behind is not None and re.fullmatch(r"0\.0\.0\.0:[1-9]\d*", client.behind.local)


def test_of_an_attached_server_that_sleeps_on_the_address_is_shown_too(tmp_path: Path) -> None:
    program = tmp_path / "server.py"
    program.write_text(SERVER.replace("%d", str(os.getpid())))
    process = subprocess.Popen([sys.executable, str(program)])
    try:
        asleep = ("__skb_wait", "unix", "do_", "sched")
        until(lambda: Path(f"/proc/{process.pid}/wchan").read_text().startswith(asleep), "its sleep")
        with Link.start(RunSpec(attach=process.pid)) as link:
            lab = Lab(link)
            lab.wait(lambda state: state.ready and (state.ready.held or state.ready.wants == "client"), "attached")
            if lab.state.ready is not None and lab.state.ready.held:
                link.send(cmd.Continue())
                lab.wait(lambda state: state.ready and state.ready.wants == "client", "its sleep")
            assert agrees_with_ss(lab.state) == 3
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def test_no_descriptor_of_a_running_program_is_copied_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        monkeypatch.setattr(descriptors, "READ_ALL", 100_000)  # however many files other tests have left open here
        unix = UnixDiag()
        others = OtherTables(unix)
        table = DescriptorTable(os.getpid(), lambda inode: False, unix, others)
        table.look()  # learns once what each socket is
        taken: list[int] = []
        take = Copies.take
        monkeypatch.setattr(Copies, "take", lambda self, fd: (taken.append(fd), take(self, fd))[1])
        others.renew()
        table.look_at([bound.fileno()])
        host, port = bound.getsockname()
        assert table.known[bound.fileno()].behind == KernelObject(local=f"{host}:{port}", by_table=True)
        assert taken == []
        table.close(), others.close(), unix.close()


def test_a_table_is_read_as_the_kernel_writes_it_and_what_is_no_line_of_it_is_passed_over() -> None:
    text = (
        "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt uid timeout inode\n"
        " 1063: 0100007F:14E9 00000000:0000 07 00000000:00000300 00:00000000 00000000     0        0 4711 2 0000 12\n"
        " 1064: 0100007F:14EA 0100007F:14E9 01 00000000:00000000 00:00000000 00000000     0        0 4712 2 0000 0\n"
        " 1065: nonsense\n"
        "\n"
    )
    if sys.byteorder == "little":
        assert parse_datagram_table(text) == {
            4711: KernelObject(local="127.0.0.1:5353", drops=12, by_table=True),
            4712: KernelObject(local="127.0.0.1:5354", remote="127.0.0.1:5353", by_table=True),
        }
    assert parse_datagram_table("") == {}


def test_a_line_that_a_reading_left_out_is_looked_for_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        inode = os.fstat(bound.fileno()).st_ino
        unix = UnixDiag()
        others = OtherTables(unix)
        whole = procfs.read_open
        readings: list[str] = []

        def read(fd: int) -> str:
            text = whole(fd)
            readings.append(text if readings else text.partition("\n")[0])  # the first one knows of no socket
            return readings[-1]

        monkeypatch.setattr(procfs, "read_open", read)
        found = others.find("udp", inode)
        assert found is not None and found.local == f"127.0.0.1:{bound.getsockname()[1]}"
        assert others.find("udp", 1) is None
        assert len(readings) == 2, "and no third time in the same look"
        others.close(), unix.close()
