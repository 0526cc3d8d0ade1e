"""A process that was there before us is looked at and let go: it serves before, during and after.

Real servers on 127.0.0.1; whether they were harmed is asked of them and of /proc, never of socklab.
"""

from __future__ import annotations

import contextlib
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from socklab import syscalls
from socklab.core.errors import SocklabError
from socklab.engine.source.python_layouts import NOT_READABLE
from socklab.engine.tracing import task_table
from socklab.host import attach_target
from socklab.protocol import commands as cmd, events as ev
from socklab.protocol.run_spec import RunSpec
from socklab.session import Link
from tests.support import servers, shared
from tests.support.children import NOBODY, in_child
from tests.support.repeat import times
from tests.support.where_probe import interpreter

pytestmark = pytest.mark.kernel

ROOT = Path(__file__).resolve().parents[2]
KINDS = ["one", "thread", "fork", "epoll", "http.server"]


@pytest.fixture(scope="module", autouse=True)
def _may_trace() -> None:
    sleeper = subprocess.Popen(["sleep", "60"])
    try:
        with Link.start(RunSpec(attach=sleeper.pid, free=True)) as link:
            for event in link.events(timeout=120):
                if isinstance(event, ev.Notice) and event.level == "error":
                    pytest.skip(f"attaching is refused here: {event.text}")
                if isinstance(event, ev.Started):
                    break
    finally:
        sleeper.kill()
        sleeper.wait()


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp()


@contextlib.contextmanager
def server(kind: str, folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    port = servers.free_port()
    with servers.running(servers.command(kind, folder, port), port) as process:
        yield process, port


def cli(*words: str) -> list[str]:
    return [sys.executable, "-m", "socklab", *words]


def attached(pid: int, *words: str, stdin: int = subprocess.PIPE) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        cli("attach", *words, str(pid)),
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def read_until(process: subprocess.Popen[bytes], wanted: bytes) -> list[bytes]:
    """Lines of its output up to the one that has `wanted`."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if wanted in line:
            return lines
    assert process.stderr is not None
    raise AssertionError(f"{wanted!r} never came: {b''.join(lines)[-400:]!r} {process.stderr.read()!r}")


def assert_unharmed(process: subprocess.Popen[bytes], port: int) -> None:
    servers.until(lambda: servers.tracers(process.pid) <= {0}, "the end of the trace")
    assert process.poll() is None
    assert b" 200 " in servers.ask(port)
    assert servers.status(process.pid)["State"][0] in "RS"


def test_a_server_let_go_right_before_the_call_it_sleeps_in_is_unharmed(folder: Path) -> None:
    """epoll_wait is never made again by the kernel: cut short it gives EINTR, and this server forgives none."""
    with server("epoll", folder) as (process, port):
        assert b" 200 " in servers.ask(port)
        with Link.start(RunSpec(attach=process.pid)) as link:
            arch, client, calls = "", threading.Thread(target=servers.ask, args=(port,)), [""]
            for event in link.events(timeout=120):
                if isinstance(event, ev.Header):
                    arch = event.arch
                if isinstance(event, ev.Ready) and event.wants == "client" and client.ident is None:
                    client.start()
                if isinstance(event, ev.Enter):
                    calls.append(syscalls.name(arch, event.nr))
                if isinstance(event, ev.Held):
                    if event.at == "enter" and "close" in calls and calls[-1].startswith("epoll_wait"):
                        break  # it has answered, and would sleep now
                    link.send(cmd.Step(tid=event.tid))
        client.join(30)
        assert_unharmed(process, port)


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_answers_before_during_and_after_and_is_stepped_meanwhile(kind: str, folder: Path) -> None:
    with server(kind, folder) as (process, port):
        assert b" 200 " in servers.ask(port)
        answer: list[bytes] = []
        names: list[str] = []
        arch = ""
        with Link.start(RunSpec(attach=process.pid)) as link:
            client = threading.Thread(target=lambda: answer.append(servers.ask(port)))
            for event in link.events(timeout=120):
                if isinstance(event, ev.Header):
                    arch = event.arch
                if isinstance(event, ev.Ready) and event.wants == "client" and client.ident is None:
                    client.start()  # it sleeps, and is traced: no call of what comes now is missed
                if isinstance(event, ev.Enter):
                    names.append(syscalls.name(arch, event.nr))
                if isinstance(event, ev.Held):
                    link.send(cmd.Step(tid=event.tid))
                if answer and {"accept", "accept4"} & set(names):
                    break
        client.join(30)
        assert b" 200 " in answer[0]
        assert {"accept", "accept4"} & set(names), names
        assert {"read", "recvfrom"} & set(names) and {"write", "sendto"} & set(names), names
        assert_unharmed(process, port)


@pytest.mark.parametrize("name", ["python2.7", "python3.7"])
def test_a_python_whose_frames_cannot_be_read_has_a_reason_and_no_line(name: str, tmp_path: Path) -> None:
    """pyenv builds its interpreters with line information: the C lines of socketmodule.c are there to be taken."""
    script = tmp_path / "server.py"
    script.write_text(f"import socket\ns = socket.socket()\ns.bind({('127.0.0.1', 0)})\ns.listen(1)\ns.accept()\n")
    process = subprocess.Popen([interpreter(name), str(script)])
    try:
        servers.until(lambda: servers.status(process.pid)["State"][0] == "S", "its sleep")
        with Link.start(RunSpec(attach=process.pid)) as link:
            held = next(event for event in link.events(timeout=120) if isinstance(event, ev.Held))
        assert (held.stack, held.unlined) == ((), NOT_READABLE)
    finally:
        process.kill()
        process.wait()


@pytest.mark.by_chance
@pytest.mark.parametrize("kind", KINDS)
def test_no_request_is_lost_in_many_attaches_under_load(kind: str, folder: Path) -> None:
    chance = random.Random(kind)
    with server(kind, folder) as (process, port), servers.Load(port) as load:
        for _ in range(times(20)):
            seen = 0
            enough = chance.randrange(0, 60)
            with Link.start(RunSpec(attach=process.pid, free=True)) as link:
                for event in link.events(timeout=120):
                    assert not (isinstance(event, ev.Notice) and event.level == "error"), event
                    seen += isinstance(event, ev.Return)
                    if isinstance(event, ev.Enter | ev.Return) and seen >= enough:
                        break
        before = load.done
        servers.until(lambda: load.done > before + 10, "ten more answers")
        assert load.failures == []
        assert_unharmed(process, port)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("at", ["enter", "return", "free"])
def test_a_server_goes_on_when_the_engine_is_killed_while_attached(kind: str, at: str, folder: Path) -> None:
    with server(kind, folder) as (process, port), servers.Load(port, clients=1) as load:
        link = Link.start(RunSpec(attach=process.pid, free=at == "free"))
        try:
            for event in link.events(timeout=120):
                if isinstance(event, ev.Held):
                    if event.at == at:
                        break
                    link.send(cmd.Step(tid=event.tid))
                if at == "free" and isinstance(event, ev.Return):
                    break
            os.kill(link.pid, signal.SIGKILL)
            before = load.done
            servers.until(lambda: load.done > before + 5, "five more answers")
        finally:
            link.close()
        assert load.failures == []
        assert_unharmed(process, port)


@pytest.mark.parametrize("how", ["kill", "terminate", "end of input", "quit", "closed output"])
@pytest.mark.parametrize("mode", ["--plain", "--json"])
def test_leaving_in_any_way_lets_the_server_go(how: str, mode: str, folder: Path) -> None:
    with server("one", folder) as (process, port):
        looking = attached(process.pid, mode)
        assert looking.stdin is not None and looking.stdout is not None
        try:
            read_until(looking, b"started" if mode == "--json" else b"Started")
            if how == "kill":
                looking.kill()
            elif how == "terminate":
                looking.terminate()
            elif how == "end of input":
                looking.stdin.close()
            elif how == "quit":
                looking.stdin.write(b"q\n")
                looking.stdin.flush()
            else:
                looking.stdout.close()
                looking.stdin.write(b"step\nstep\nstep\nq\n")
                looking.stdin.flush()
            looking.wait(timeout=120)
        finally:
            looking.kill()
            looking.wait()
        assert_unharmed(process, port)


def test_every_thread_is_seized_and_stopped_on_its_own(folder: Path) -> None:
    with server("thread", folder) as (process, port):
        threads: set[int] = set()
        held: set[int] = set()
        with servers.Load(port, clients=3), Link.start(RunSpec(attach=process.pid)) as link:
            for event in link.events(timeout=120):
                if isinstance(event, ev.Forked):
                    assert event.kind == "thread"
                    threads.add(event.child)
                if isinstance(event, ev.Held):
                    held.add(event.tid)
                    if len(held & threads) >= 2:  # the leader is not stopped by what its threads do
                        break
                    if event.tid == process.pid:
                        link.send(cmd.Step(tid=event.tid))
            assert {servers.status(tid)["State"][0] for tid in held & threads} == {"t"}
        assert_unharmed(process, port)


def test_children_are_seized_when_asked_for_and_named_when_not(folder: Path) -> None:
    port = servers.free_port()
    argv = [*servers.command("prefork", folder, port), "4"]
    with servers.running(argv, port) as process:
        children = {child for _, child in attach_target.read(process.pid).children}
        assert len(children) == 3
        with Link.start(RunSpec(attach=process.pid)) as link:
            for event in link.events(timeout=120):
                if isinstance(event, ev.Notice) and "child processes" in event.text:
                    assert "--children" in event.fix
                    break
            assert all(servers.tracers(child) == {0} for child in children)
        with Link.start(RunSpec(attach=process.pid, children=True, free=True)) as link:
            seen = {event.child for _, event in zip(children, _forked(link), strict=False)}
            assert seen == children
            assert all(servers.tracers(child) == {link.pid} for child in children)
        for child in children:
            servers.until(lambda child=child: servers.tracers(child) == {0}, "the end of the trace")
        assert_unharmed(process, port)


def _forked(link: Link) -> Iterator[ev.Forked]:
    for event in link.events(timeout=120):
        if isinstance(event, ev.Forked):
            yield event


def test_a_stopped_process_stays_stopped_through_an_attach(folder: Path) -> None:
    with server("one", folder) as (process, port):
        os.kill(process.pid, signal.SIGSTOP)
        servers.until(lambda: servers.status(process.pid)["State"][0] == "T", "the stop")
        with Link.start(RunSpec(attach=process.pid)) as link:
            for event in link.events(timeout=120):
                if isinstance(event, ev.Started):
                    break
        servers.until(lambda: servers.tracers(process.pid) == {0}, "the end of the trace")
        assert servers.status(process.pid)["State"][0] == "T"
        os.kill(process.pid, signal.SIGCONT)
        assert_unharmed(process, port)


def test_a_wait_that_the_attach_interrupted_is_seen_as_the_call_it_is(folder: Path) -> None:
    with server("http.server", folder) as (process, _), Link.start(RunSpec(attach=process.pid)) as link:
        arch = ""
        for event in link.events(timeout=120):
            if isinstance(event, ev.Header):
                arch = event.arch
            if isinstance(event, ev.Enter):
                # The kernel enters restart_syscall; what goes on is the poll the server sleeps in.
                assert syscalls.name(arch, event.nr) == "poll"
                break


def test_what_comes_in_while_the_server_is_held_is_seen(folder: Path) -> None:
    """Somebody else's client: nothing of the lab's moves, and no command is given."""
    with server("one", folder) as (process, port), Link.start(RunSpec(attach=process.pid)) as link:
        queued = None
        with socket.socket() as client:
            for event in link.events(timeout=120):
                if isinstance(event, ev.Ready) and event.wants == "client":
                    break
                if isinstance(event, ev.Held):
                    link.send(cmd.Step(tid=event.tid))
            first = socket.create_connection(("127.0.0.1", port))  # it wakes the server, which is then held
            for event in link.events(timeout=120):
                if isinstance(event, ev.Held) and queued is None:
                    queued = 0
                    client.connect(("127.0.0.1", port))
                if isinstance(event, ev.Sockets) and queued == 0:
                    queued = max([row.rx_queue for row in event.set if row.state == 10], default=0)
                if queued:
                    break
            first.close()
        assert queued == 1
        assert {servers.status(process.pid)["State"][0]} == {"t"}


def test_no_call_that_sleeps_ends_by_an_attach_a_pause_or_a_detach() -> None:
    """The list of signal(7), and more: each still sleeps afterwards, and wakes up for what it waits for."""
    with subprocess.Popen([servers.built("asleep")], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            how_many = int(process.stdout.readline().split()[0])

            def all_asleep() -> bool:
                tids = os.listdir(f"/proc/{process.pid}/task")
                return len(tids) == how_many + 1 and {servers.status(int(tid))["State"][0] for tid in tids} == {"S"}

            servers.until(all_asleep, "their sleep")
            for _ in range(2):
                with Link.start(RunSpec(attach=process.pid)) as link:
                    paused = 0
                    for event in link.events(timeout=60):
                        if isinstance(event, ev.Held) and not paused:
                            link.send(cmd.Step(tid=event.tid))
                        if isinstance(event, ev.Ready) and event.wants != "step" and not paused:
                            paused = link.send(cmd.Pause())
                        if isinstance(event, ev.Done) and event.id == paused:
                            break
                servers.until(lambda: servers.tracers(process.pid) == {0} and all_asleep(), "the same sleep")
                assert select.select([process.stdout], [], [], 0)[0] == [], process.stdout.readline()
            process.stdin.write(b"go\n")
            process.stdin.flush()
            said = [process.stdout.readline().decode().rsplit(maxsplit=2) for _ in range(how_many - 3)]
            assert {outcome for _, _, outcome in said} == {"ok"}, said
            assert len({name for name, _, _ in said}) == how_many - 3 > 25
        finally:
            process.kill()


def test_a_server_asleep_in_io_uring_enter_is_let_go_unharmed() -> None:
    if not Path("/proc/sys/kernel/io_uring_disabled").exists():
        pytest.skip("no io_uring here")
    port = servers.free_port()
    program = shared.compiled(ROOT / "examples" / "io_uring.c", "-g")
    with subprocess.Popen([program, str(port)], stderr=subprocess.DEVNULL) as process:

        def echoes() -> bool:
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
                    client.sendall(b"hello")
                    return client.recv(5) == b"hello"
            except ConnectionError:
                assert process.poll() is None, "it has ended"
                return False

        try:
            servers.until(echoes, "its first echo")
            with Link.start(RunSpec(attach=process.pid)) as link:
                for event in link.events(timeout=120):
                    assert not isinstance(event, ev.Exited), event
                    if isinstance(event, ev.Held):
                        link.send(cmd.Step(tid=event.tid))
                    if isinstance(event, ev.Ready) and event.wants == "client":
                        break
            servers.until(lambda: servers.tracers(process.pid) == {0}, "the end of the trace")
            assert echoes()
        finally:
            process.kill()


def test_a_server_in_another_network_is_seen_with_the_sockets_of_that_network(folder: Path) -> None:
    if os.geteuid() != 0 or shutil.which("unshare") is None or shutil.which("ip") is None:
        pytest.skip("needs root, unshare and ip")
    argv = ["unshare", "-n", "sh", "-c", 'ip link set lo up; exec "$@"', "sh", *servers.command("one", folder, 8080)]
    process = subprocess.Popen(argv, start_new_session=True)
    try:
        servers.until(lambda: b"answer" in Path(f"/proc/{process.pid}/cmdline").read_bytes(), "the server")
        with Link.start(RunSpec(attach=process.pid)) as link:
            for event in link.events(timeout=120):
                if isinstance(event, ev.Sockets) and any(row.local == "127.0.0.1:8080" for row in event.set):
                    break
            link.send(cmd.Continue())
            link.send(cmd.Do(line="connect a"))
            link.send(cmd.Do(line='send a "hello"'))
            for event in link.events(timeout=120):
                if isinstance(event, ev.Client) and event.received:
                    assert event.tail.endswith(f" {process.pid}\n".encode())
                    break
    finally:
        process.kill()
        process.wait()


# ---------------------------------------------------------------- refused


def refusal(pid: int) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(cli("attach", "--plain", str(pid)), capture_output=True, text=True, env=env, check=False)


def test_a_process_that_is_not_there_is_named() -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    done = refusal(ended.pid)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"There is no process {ended.pid}." in done.stderr


def test_a_process_that_is_traced_already_names_its_tracer(folder: Path) -> None:
    with server("one", folder) as (process, port), Link.start(RunSpec(attach=process.pid)) as link:
        for event in link.events(timeout=120):
            if isinstance(event, ev.Started):
                break
        done = refusal(process.pid)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"already traced by process {link.pid}" in done.stderr
        link.send(cmd.Continue())
        assert b" 200 " in servers.ask(port)


def test_a_thread_a_kernel_thread_and_our_own_shell_are_named_for_what_they_are(folder: Path) -> None:
    with server("thread", folder) as (process, port), servers.Load(port, clients=4):

        def thread_named() -> bool:
            for tid in os.listdir(f"/proc/{process.pid}/task"):
                if int(tid) != process.pid:
                    with contextlib.suppress(SocklabError):
                        attach_target.read(process.pid)
                    try:
                        attach_target.read(int(tid))
                    except SocklabError as error:
                        return error.fix == f"socklab attach {process.pid}"
            return False

        servers.until(thread_named, "a thread that lives long enough")
    with pytest.raises(SocklabError, match="socklab itself runs under"):
        attach_target.read(os.getpid())
    if servers.status(2).get("Name") == "kthreadd":
        with pytest.raises(SocklabError, match="thread of the kernel"):
            attach_target.read(2)


def test_another_users_process_is_refused_with_the_command_that_works(folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root to become somebody else")
    with server("one", folder) as (process, port):

        def try_it() -> tuple[str, str]:
            with pytest.raises(PermissionError):
                task_table.seize_threads(process.pid)
            error = attach_target.refused(process.pid)
            return error.what, error.fix

        what, fix = in_child(try_it, user=NOBODY)
        assert "belongs to user root" in what
        assert fix == f"sudo socklab attach {process.pid}"
        assert_unharmed(process, port)


def test_a_process_whose_leader_has_ended_is_attached_to_and_let_go() -> None:
    """Only its other threads can be traced; the kernel tells of the leader's end when the last of them has ended."""
    port = servers.free_port()
    with servers.running([servers.built("leader"), str(port)], port) as process:
        assert servers.status(process.pid)["State"][0] == "Z"
        with Link.start(RunSpec(attach=process.pid)) as link:
            tables: dict[int, str] = {}
            for event in link.events(timeout=120):
                assert not (isinstance(event, ev.Notice) and event.level == "error"), event
                if isinstance(event, ev.Held):
                    link.send(cmd.Step(tid=event.tid))
                if isinstance(event, ev.Descriptors):
                    tables |= {each.fd: each.target for each in event.set}
                if isinstance(event, ev.Ready) and event.wants == "client":
                    break
        (worker,) = set(map(int, os.listdir(f"/proc/{process.pid}/task"))) - {process.pid}
        there = f"/proc/{process.pid}/task/{worker}/fd"
        assert tables == {int(fd): os.readlink(f"{there}/{fd}") for fd in os.listdir(there)}
        servers.until(lambda: servers.tracers(process.pid) <= {0}, "the end of the trace")
        assert b" 200 " in servers.ask(port)


def test_a_leader_that_ends_while_it_is_traced_keeps_nobody_waiting() -> None:
    port = servers.free_port()
    program = [servers.built("leader"), str(port), "later"]
    with subprocess.Popen(program, stdin=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdin is not None
        try:
            with Link.start(RunSpec(attach=process.pid)) as link:
                asked = 0
                for event in link.events(timeout=60):
                    if isinstance(event, ev.Ready) and not asked:
                        process.stdin.write(b"end\n")
                        process.stdin.flush()
                        asked = -1
                    elif isinstance(event, ev.Held) and event.tid == process.pid:
                        link.send(cmd.Step(tid=event.tid))
                    elif isinstance(event, ev.Notice) and "first thread" in event.text:
                        asked = link.send(cmd.Pause())
                    elif isinstance(event, ev.Done) and event.id == asked:
                        break
                assert servers.status(process.pid)["State"][0] == "Z"
            servers.until(lambda: servers.tracers(process.pid) <= {0}, "the end of the trace")
            servers.until(lambda: servers.answers(port), "an answer")
        finally:
            process.kill()
