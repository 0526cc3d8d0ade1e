"""Evidence agrees: what is shown raw, what the kernel says to somebody else, and what the shown command prints."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from socklab import evidence, lesson, syscalls
from socklab.evidence import Page, Subject
from socklab.packets import decode
from socklab.protocol import commands as cmd, events as ev
from socklab.protocol.run_spec import RunSpec
from socklab.session import Link
from socklab.state import LabState, apply

pytestmark = pytest.mark.kernel

SERVER = """\
import socket, sys, os
listener = socket.create_server(("", 8080), backlog=4)
sys.stdout.write("listens\\n")
sys.stdout.flush()
while True:
    connection, _ = listener.accept()
    connection.recv(100)
"""


class Watcher:
    """A consumer that asks for evidence and runs what it is told to."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.state = LabState()
        self._coming = link.events(timeout=120)

    def read(self) -> ev.AnyEvent:
        event = next(self._coming, None)
        assert event is not None, list(self.state.notices)
        self.state = apply(self.state, event)
        return event

    def ready(self) -> None:
        while not isinstance(self.read(), ev.Ready):
            pass

    def ask(self, command: cmd.AnyCommand) -> ev.Done:
        """Send it, and read on to the Ready behind its Done."""
        number = self.link.send(command)
        while not isinstance(done := self.read(), ev.Done) or done.id != number:
            pass
        self.ready()
        return done

    def until(self, call: str) -> None:
        """Before the next call of this name."""
        assert self.ask(cmd.Continue(until=call)).outcome == "done"

    def page(self, panel: str, words: str = "") -> Page:
        subject = evidence.asked(f"{panel} {words}", self.state, None)
        assert isinstance(subject, Subject), subject
        answer = None
        if subject.wants:
            done = self.ask(cmd.Evidence(subject.wants))
            assert done.outcome == "done", done
            answer = self.state.evidence
            assert answer is not None and answer.wants == subject.wants
        return evidence.page(subject, answer, "x86_64" if self.state.header is None else self.state.header.arch)

    def run(self, page: Page, program: str) -> str:
        """What the page's command of this program prints, run in the lab."""
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")
        shell = next(shell for shell in page.shells if shell.argv[0] == program)
        assert self.ask(cmd.Look(shell.argv, shell.host, shell.stdin)).outcome == "done"
        ran = self.state.ran
        assert ran is not None and (ran.argv, ran.host, ran.reason, ran.code) == (shell.argv, shell.host, "", 0), ran
        return ran.out.decode()


@contextmanager
def serving(tmp_path: Path, source: str = SERVER) -> Iterator[Watcher]:
    """A server that listens at 8080 on a host of its own, held before its first accept, with two clients waiting."""
    program = tmp_path / "server.py"
    program.write_text(source)
    with Link.start(RunSpec(argv=(sys.executable, str(program)))) as link:
        watcher = Watcher(link)
        watcher.ready()
        if watcher.state.header is not None and watcher.state.header.network == "machine":
            pytest.skip("no network of the lab's own here")
        watcher.until("accept")
        assert watcher.ask(cmd.Do("connect a b")).outcome == "done"
        assert watcher.ask(cmd.Do('send a "12345"')).outcome == "done"
        yield watcher


def fields(page: Page, where: str) -> dict[str, str]:
    """Field to raw text, of the first block read there."""
    block = next(block for block in page.blocks if where in block.where)
    return {field.name: field.raw for field in block.fields}


def told(page: Page, where: str) -> str:
    """The text of a block as it is shown in full."""
    block = next(block for block in page.blocks if where in block.where)
    return "\n".join("".join(text for text, _ in line) for line in block.text)


def pid(watcher: Watcher) -> int:
    assert watcher.state.started is not None
    return watcher.state.started.pid


def kernels(watcher: Watcher, name: str) -> list[str]:
    """Lines of a file of /proc/net as the traced program's network has it, read by this process."""
    return Path(f"/proc/{pid(watcher)}/net/{name}").read_text().splitlines()


def test_of_a_socket_and_the_queues_the_kernel_ss_and_grep_say_the_same(tmp_path: Path) -> None:
    with serving(tmp_path) as watcher:
        for panel in ("sockets", "queues"):
            page = watcher.page(panel, "8080")
            line = told(page, "/proc/net/tcp").splitlines()[1]
            number = int(page.blocks[0].where.rpartition("line ")[2])
            assert kernels(watcher, "tcp")[number - 1].split() == line.split()
            depth, limit = (int.from_bytes(bytes.fromhex(fields(page, "inet_diag_msg")[name]), "little")
                            for name in ("idiag_rqueue", "idiag_wqueue"))  # fmt: skip
            assert (depth, limit) == (2, 4) and int(fields(page, "/proc/net/tcp")["tx:rx_queue"].split(":")[1], 16) == 2
            assert re.search(rf"LISTEN\s+{depth}\s+{limit}\s+0.0.0.0:8080", watcher.run(page, "ss"))
            assert watcher.run(page, "grep").split() == f"{number}:{line}".split()


def test_of_a_connection_its_bytes_and_inode_agree_on_both_hosts(tmp_path: Path) -> None:
    with serving(tmp_path) as watcher:
        client = watcher.state.clients["a"]
        there = watcher.page("clients", "a")
        assert fields(there, "inet_diag_msg")["idiag_inode"] == client.inode.to_bytes(4, "little").hex(" ")
        assert fields(there, "/proc/net/tcp on client")["inode"] == str(client.inode)
        assert f"ino:{client.inode}" in watcher.run(there, "ss")
        row = next(row for row in watcher.state.table_of("server").rows.values() if row.remote == client.local)
        subject = evidence.of("sockets", watcher.state, None, ("server", row.id))
        assert isinstance(subject, Subject) and watcher.ask(cmd.Evidence(subject.wants)).outcome == "done"
        page = evidence.page(subject, watcher.state.evidence, "x86_64")
        assert fields(page, "/proc/net/tcp")["tx:rx_queue"] == "00000000:00000005"
        assert re.search(r"ESTAB\s+5\s+0\s", watcher.run(page, "ss"))


def test_of_the_counters_the_two_lines_nstat_and_the_panel_agree(tmp_path: Path) -> None:
    with serving(tmp_path) as watcher:
        watcher.ask(cmd.Do("connect 8"))  # more than fit: some are dropped
        page = watcher.page("counters", "server")
        assert watcher.state.counters["server"]["ListenOverflows"] > 0
        overflows = int(fields(page, "netstat on server, line 2")["ListenOverflows"])
        names, values = kernels(watcher, "netstat")[:2]
        place = names.split().index("ListenOverflows")
        assert told(page, "netstat on server, line 2").splitlines()[0].split() == names.split()
        assert int(values.split()[place]) >= overflows > 0  # a SYN that is sent again may have been dropped since
        printed = dict(line.split()[:2] for line in watcher.run(page, "nstat").splitlines() if line[:1] != "#")
        again = watcher.page("counters", "server")
        compared = 0
        for name, value in printed.items():
            section = re.match("TcpExt|IpExt|Tcp|Ip", name)
            assert section is not None
            before, after = (counters(each, section[0]) for each in (page, again))
            bare = name.removeprefix(section[0])
            assert int(before[bare]) <= int(value) <= int(after[bare])
            compared += before[bare] == value
        assert len(printed) == 10 and compared


def counters(page: Page, section: str) -> dict[str, str]:
    """Those shown of a section, wherever the kernel lists it."""
    blocks = (block for block in page.blocks if block.text and block.text[0][0][0] == f"{section}:")
    return {field.name: field.raw for block in blocks for field in block.fields}


def test_of_the_descriptors_ls_cat_and_lsof_agree(tmp_path: Path) -> None:
    with serving(tmp_path) as watcher:
        page = watcher.page("descriptors", "3")
        inode = watcher.state.descriptors[pid(watcher)][3].inode
        assert told(page, "/fd/3") == f"-> socket:[{inode}]"
        assert fields(page, "/fdinfo/3")["ino"] == str(inode)
        assert f"ino:\t{inode}" in watcher.run(page, "cat")
        assert f"3 -> socket:[{inode}]" in watcher.run(page, "ls")
        listed = next(block for block in page.blocks if block.where.endswith("/fd"))
        assert len(listed.text) == len(list(Path(f"/proc/{pid(watcher)}/fd").iterdir()))
        assert re.search(r"\s3u\s.*(TCP|IPv4)", watcher.run(page, "lsof"))


OTHERS = """\
import os, socket
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("127.0.0.1", 5353))
x = socket.socket(socket.AF_UNIX); x.bind("\\0socklab-evidence"); x.listen(3)
r, w = os.pipe()
listener = socket.create_server(("127.0.0.1", 8080))
listener.accept()
"""


def test_sockets_of_other_kinds_are_found_in_their_own_table_and_by_ss(tmp_path: Path) -> None:
    with serving(tmp_path, OTHERS) as watcher:
        table = watcher.state.descriptors[pid(watcher)]
        page = watcher.page("descriptors", "3")
        assert (fields(page, "/net/udp")["local_address"], fields(page, "/net/udp")["inode"]) == (
            "0100007F:14E9", str(table[3].inode),
        )  # fmt: skip
        assert re.search(rf"127.0.0.1:5353\s.*ino:{table[3].inode}\s", watcher.run(page, "ss"))
        page = watcher.page("descriptors", "4")
        shown = fields(page, "/net/unix")
        assert (shown["Inode"], shown["Path"]) == (str(table[4].inode), "@socklab-evidence")
        assert re.search(rf"LISTEN.*@socklab-evidence {table[4].inode}", watcher.run(page, "ss"))
        assert told(watcher.page("descriptors", "5"), "/fd/5") == f"-> pipe:[{table[5].inode}]"


def test_of_a_process_its_stat_status_and_ps_agree(tmp_path: Path) -> None:
    with serving(tmp_path) as watcher:
        page = watcher.page("processes")
        shown, own = fields(page, "/stat"), Path(f"/proc/{pid(watcher)}/stat").read_text()
        assert told(page, "/stat").split()[:5] == own.split()[:5]
        row = watcher.state.processes[pid(watcher)]
        assert (shown["pid"], shown["ppid"], shown["num_threads"]) == (str(row.pid), str(row.ppid), str(row.threads))
        assert f"PPid:\t{row.ppid}\n" in watcher.run(page, "cat")
        printed = watcher.run(page, "ps").splitlines()[1].split()
        assert printed[:2] == [str(row.pid), str(row.ppid)]
        resident = int(fields(page, "/statm")["resident"]) * os.sysconf("SC_PAGE_SIZE")
        assert row.rss_bytes == resident == int(printed[4]) * 1024


def test_of_a_call_the_registers_the_kernels_word_and_straces_agree(tmp_path: Path) -> None:
    with serving(tmp_path) as watcher:
        page = watcher.page("call")
        ours, kernel = fields(page, "registers"), fields(page, "/syscall")
        assert [int(ours[name], 0) for name in ours] == [int(kernel[name], 0) for name in ours]
        words = watcher.run(page, "cat").split()
        assert [int(word, 0) for word in words[:7]] == [int(ours[name], 0) for name in ours]
        arch = watcher.state.header.arch if watcher.state.header is not None else ""
        assert syscalls.name(arch, int(words[0])) in ("accept", "accept4")
        spelled = told(page, "strace").splitlines()
        assert spelled[0].startswith("accept") and spelled[1].startswith(f"{spelled[0].partition('(')[0]}(0x3, ")


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_the_lines_that_strace_is_said_to_print_it_prints(tmp_path: Path) -> None:
    program = tmp_path / "listens.py"
    program.write_text("import ctypes, socket\ns = socket.socket()\ns.listen(4)\nctypes.CDLL(None).listen(99, 4)\n")

    def traced(*options: str) -> list[str]:
        command = ["strace", "-f", "-e", "trace=listen", *options, sys.executable, str(program)]
        printed = subprocess.run(command, capture_output=True, text=True, timeout=60).stderr
        return [" ".join(line.split()) for line in printed.splitlines() if line.startswith("listen(")]

    printed = list(zip(traced(), traced("-e", "raw=all"), strict=True))
    if not printed:
        pytest.skip("strace may not trace here")
    with Link.start(RunSpec(argv=(sys.executable, str(program)))) as link:
        watcher = Watcher(link)
        watcher.ready()
        for decoded, raw in printed:
            watcher.until("listen")
            assert watcher.ask(cmd.Step()).outcome == "done"
            assert told(watcher.page("call"), "strace").splitlines() == [decoded, raw]
        assert len(printed) == 2


def test_the_bytes_that_a_call_points_to_are_told_by_member(tmp_path: Path) -> None:
    with Link.start(RunSpec(argv=(str(Path(__file__).parents[2] / "examples" / "threads.c"),))) as link:
        watcher = Watcher(link)
        watcher.ready()
        watcher.until("bind")
        page = watcher.page("call")
        address = int(fields(page, "registers")["argument 2"], 16)
        with open(f"/proc/{pid(watcher)}/mem", "rb") as memory:
            memory.seek(address)
            own = memory.read(16)
        block = next(block for block in page.blocks if f"{address:#x}" in block.where)
        assert block.data == own
        assert bytes.fromhex("".join(field.raw for field in block.fields)) == own


def test_of_a_line_of_c_the_map_and_addr2line_agree(tmp_path: Path) -> None:
    source = Path(__file__).parents[2] / "examples" / "threads.c"
    with Link.start(RunSpec(argv=(str(source),))) as link:
        watcher = Watcher(link)
        watcher.ready()
        watcher.until("listen")
        page = watcher.page("source")
        frame = fields(page, "frame")
        task = watcher.state.task
        assert task is not None and (frame["source"], frame["line"]) == (task.stack[0].path, str(task.stack[0].line))
        start, end = (int(half, 16) for half in told(page, "/maps").split()[0].split("-"))
        assert start <= int(frame["address"], 16) < end
        assert f"{task.stack[0].path}:{task.stack[0].line}" in watcher.run(page, "addr2line")
        assert "listen(server" in watcher.run(page, "sed")


def test_of_a_line_of_python_the_interpreters_frame_is_named(tmp_path: Path) -> None:
    with serving(tmp_path) as watcher:
        page = watcher.page("source")
        frame = fields(page, "frame")
        if "interpreter" not in frame:
            pytest.skip("the frames of this Python are not read")
        memory = Path(f"/proc/{pid(watcher)}/maps").read_text()
        assert frame["line"] == "6" and int(frame["code"], 16) and int(frame["frame"], 16)
        spans = (line.split()[0].split("-") for line in memory.splitlines())
        assert any(int(start, 16) <= int(frame["code"], 16) < int(end, 16) for start, end in spans)
        assert "listener.accept()" in watcher.run(page, "sed")


def test_of_a_packet_its_bytes_are_those_that_other_programs_read(tmp_path: Path) -> None:
    with serving(tmp_path) as watcher:
        sent = next(packet for packet in watcher.state.packets if packet.data.endswith(b"12345"))
        page = watcher.page("wire", f"#{sent.id}")
        assert page.blocks[0].data == sent.data
        segment = decode.decode(sent.data, sent.length)
        assert fields(page, "TCP")["sequence number"] == segment.seq.to_bytes(4, "big").hex(" ")
        dumped = "".join(re.findall(r"^[0-9a-f]{6}((?: [0-9a-f]{2})+)", watcher.run(page, "od"), re.M))
        assert bytes.fromhex(dumped) == sent.data
        assert f"Source Port: {segment.source_port}" in watcher.run(page, "tshark")


def test_of_the_output_the_bytes_and_the_terminal_they_went_to_are_shown(tmp_path: Path) -> None:
    with serving(tmp_path) as watcher:
        page = watcher.page("output")
        assert page.blocks[0].data == b"listens\n"
        target = told(page, "/fd/1").removeprefix("-> ")
        assert watcher.run(page, "ls").rstrip().endswith(f"-> {target}")


def test_a_program_that_is_missing_or_takes_for_ever_is_said_and_harms_nothing(tmp_path: Path) -> None:
    with serving(tmp_path) as watcher:
        assert watcher.ask(cmd.Look(())).outcome == watcher.ask(cmd.Look(("ss",), "nowhere")).outcome == "refused"
        assert watcher.ask(cmd.Look(("no-such-program", "-x"))).outcome == "done"
        assert watcher.state.ran is not None
        assert watcher.state.ran.reason == "no-such-program is not installed on this machine"
        assert watcher.ask(cmd.Look(("sh", "-c", "exit 3"))).outcome == "done" and watcher.state.ran.code == 3
        assert watcher.ask(cmd.Look(("yes",))).outcome == "done" and "256 KiB" in watcher.state.ran.reason
        assert len(watcher.state.ran.out) == 1 << 18
        first = watcher.link.send(cmd.Look(("sleep", "1000")))
        assert watcher.ask(cmd.Look(("cat",), stdin=b"\x00\xff")).outcome == "done"
        assert watcher.state.ran.out == b"\x00\xff"
        assert first and set(watcher.state.clients) == {"a", "b"}  # none of them was a client
        assert watcher.ask(cmd.Step()).outcome == "done"


def test_only_the_labs_own_is_read(tmp_path: Path) -> None:
    with serving(tmp_path) as watcher:
        for want in (ev.Want("process", number=1), ev.Want("socket", "server", 10**9), ev.Want("counters", "elsewhere"),
                     ev.Want("descriptor", number=pid(watcher) + 10**6, fd=0), ev.Want("nonsense")):  # fmt: skip
            assert watcher.ask(cmd.Evidence((want,))).outcome == "refused", want
        assert watcher.ask(cmd.Evidence((ev.Want("descriptor", number=pid(watcher), fd=99),))).outcome == "done"
        assert watcher.state.evidence is not None
        assert {reading.reason for reading in watcher.state.evidence.readings} == {"ENOENT"}


def test_the_lesson_shows_its_step_and_never_the_answer_of_a_question_not_answered() -> None:
    backlog = lesson.load(lesson.find("backlog"))
    for index, step in enumerate(backlog.steps):
        state = LabState(step=ev.StepReached(0, index, "before"))
        found = evidence.of("narration", state, backlog)
        if step.predict is not None:
            assert isinstance(found, str) and "once that is answered" in found
            answered = LabState(step=ev.StepReached(0, index, "before"), answers={index: ev.Measured(0, index, 5)})
            found = evidence.of("narration", answered, backlog)
        assert isinstance(found, Subject)
        text = told(evidence.page(found, None, "x86_64"), "lesson.toml")
        first, last = map(int, re.findall(r"\d+", found.recorded[-1].where)[:2])
        assert text.splitlines() == [f"{line}" for line in backlog.toml.splitlines()[first - 1 : last]]
        assert text.startswith("[[step]]") and text.count("[[step]]") == 1


def test_in_a_terminal_of_80_by_24_the_keys_lead_to_a_line_that_the_kernel_and_ss_have_too(tmp_path: Path) -> None:
    pytest.importorskip("pyte")
    from benchmarks.ptyharness import Terminal

    program = tmp_path / "server.py"
    program.write_text(SERVER)
    command = [sys.executable, "-m", "socklab", "run", "--until", "accept", str(program)]
    terminal = Terminal(command, columns=80, rows=24, env={"SOCKLAB_KEYMAP": "/dev/null"})
    try:
        assert terminal.wait_for("held before accept", 120), terminal.screen()
        terminal.type(b":raw call\r")
        assert terminal.wait_for("/syscall", 60), terminal.screen()
        found = re.search(r"/proc/(\d+)/syscall", terminal.screen())
        assert found is not None
        if Path(f"/proc/{found[1]}/ns/net").readlink() == Path("/proc/self/ns/net").readlink():
            pytest.skip("no network of the lab's own here")
        terminal.type(b"\x1b")
        assert terminal.wait_for("held before accept", 60), terminal.screen()
        terminal.type(b":connect a\r")
        deadline = time.monotonic() + 60
        while (line := Path(f"/proc/{found[1]}/net/tcp").read_text().splitlines()[1].split())[4][-1] != "1":
            assert time.monotonic() < deadline, terminal.screen()
            terminal.read(0.05)
        terminal.type(b":raw queues\r")
        assert terminal.wait_for("/proc/net/tcp on server, line 2", 60), terminal.screen()
        assert re.search(rf"tx:rx_queue +{line[4]} +1 wait for accept", terminal.screen()), terminal.screen()
        assert re.search(rf"local_address +{line[1]} +0.0.0.0:8080", terminal.screen())
        if shutil.which("ss"):
            terminal.type(b"\r")
            assert terminal.wait_for("LISTEN 1      4", 60), terminal.screen()
        terminal.type(b"\x1b")
        assert terminal.wait_for("held before accept", 60), terminal.screen()
    finally:
        terminal.close()
