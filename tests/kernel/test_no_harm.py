"""A program does the same whether it is traced or not: output, exit status, signals, threads, processes, processors.

Each program of tests/support/servers/threads.c prints what it saw of the kernel; it runs untraced, then traced. Then a
server of many processes is killed with its tracer under load, again and again: nothing stays.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from socklab.core.errors import UsageError
from socklab.host import attach_target
from tests.support import servers, shared
from tests.support.repeat import times

pytestmark = pytest.mark.kernel

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.fixture
def program() -> str:
    return servers.built("threads")


def traced(
    *words: str, how: tuple[str, ...] = ("--free",), **options: str
) -> tuple[int, bytes, list[dict[str, object]]]:
    """(exit status, what the program printed, every event) of a run under socklab."""
    command = [sys.executable, "-m", "socklab", "run", "--json", "--net", "machine", *how, "--", *words]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, env=ENVIRONMENT, timeout=120, check=False, **options
    )
    events = [json.loads(line) for line in done.stdout.splitlines()]
    printed = b"".join(base64.b64decode(event["data"]) for event in events if event["e"] == "output")
    return done.returncode, printed, events


def untraced(*words: str) -> tuple[int, bytes]:
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False)
    # A shell says 128 + signal, and so does socklab.
    return (done.returncode if done.returncode >= 0 else 128 - done.returncode), done.stdout


@pytest.mark.parametrize(
    "what", ["hundred", "exec", "vfork", "restart", "eintr", "child", "affinity", "segv", "term", "nothing of it"]
)
def test_a_program_prints_and_ends_as_it_does_untraced(what: str, program: str) -> None:
    status, printed = untraced(program, what)
    assert traced(program, what)[:2] == (status, printed)


@pytest.mark.parametrize("what", ["exec", "vfork", "restart", "eintr", "child"])
def test_a_program_that_is_stepped_prints_and_ends_as_it_does_untraced(what: str, program: str) -> None:
    status, printed = untraced(program, what)
    assert traced(program, what, how=("--auto",))[:2] == (status, printed)


def test_a_program_finds_the_signals_and_limits_that_it_would_find_untraced() -> None:
    """Python ignores SIGPIPE, and the engine takes every descriptor it may: neither is the program's."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    words = ("sh", "-c", "grep -E '^Sig(Blk|Ign)' /proc/self/status; ulimit -S -n; ulimit -H -n")
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, hard - 1, 1000), hard))
    try:
        status, printed = untraced(*words)
        assert printed.decode().split()[1] == "0" * 16
        assert traced(*words)[:2] == (status, printed)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_every_thread_of_a_hundred_is_told_with_its_birth_its_calls_and_its_end(program: str) -> None:
    _, _, events = traced(program, "hundred")
    born = {event["child"] for event in events if event["e"] == "forked"}
    ended = [event["tid"] for event in events if event["e"] == "exited"]
    called = {event["tid"] for event in events if event["e"] == "return"}
    assert len(born) == 300
    assert born <= set(ended) and born <= called
    assert len(ended) == len(set(ended))


def test_a_child_that_is_stopped_and_continued_from_outside_stops_and_continues(tmp_path: Path) -> None:
    port = servers.free_port()
    command = [sys.executable, "-m", "socklab", "run", "--json", "--free", "--net", "machine", "--"]
    running = subprocess.Popen(
        [*command, *servers.command("one", tmp_path, port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=ENVIRONMENT,
    )
    try:
        servers.until(lambda: servers.answers(port), "the first answer")
        assert running.stdout is not None
        pid = next(event["pid"] for event in map(json.loads, running.stdout) if event["e"] == "started")
        os.kill(pid, signal.SIGSTOP)
        # A traced program's group-stop shows as `t`; what matters is that it serves nobody.
        with pytest.raises(TimeoutError):
            servers.ask(port, timeout=0.3)
        os.kill(pid, signal.SIGCONT)
        servers.until(lambda: servers.answers(port), "an answer after SIGCONT")
    finally:
        running.kill()
        running.communicate()


def test_a_set_user_id_program_without_its_privilege_is_told(tmp_path: Path) -> None:
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("needs root and setpriv")
    if (
        "nosuid"
        in subprocess.run(["findmnt", "-no", "OPTIONS", "-T", "/var/tmp"], capture_output=True, text=True).stdout
    ):
        pytest.skip("/var/tmp is mounted nosuid")
    target = Path("/var/tmp") / f"suid-{uuid.uuid4().hex}"
    shutil.copy(shutil.which("id") or "/usr/bin/id", target)
    try:
        os.chown(target, 65534, 65534)
        target.chmod(0o4755)
        # Under NO_NEW_PRIVS the kernel ignores the bit, as it does for a user's own run under a filter.
        status, printed, events = traced("setpriv", "--no-new-privs", str(target), "-u")
        said = [str(event["text"]) for event in events if event["e"] == "notice"]
        assert (status, printed) == (0, b"0\n")
        assert any(str(target) in text and "set-user-ID" in text for text in said), said
        # As root it keeps its privilege: the filter needs no NO_NEW_PRIVS.
        status, printed, events = traced(str(target), "-u")
        assert (status, printed) == (0, b"65534\n")
        assert not any("set-user-ID" in str(event.get("text", "")) for event in events)
    finally:
        target.unlink()


def test_a_program_without_its_file_capabilities_is_told() -> None:
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("needs root and setpriv")
    target = shared.open_folder() / "with-capabilities"
    shutil.copy(shutil.which("id") or "/usr/bin/id", target)
    # struct vfs_cap_data, revision 2 with the effective bit: CAP_NET_RAW is bit 13.
    capability = (0x02000001, 1 << 13, 0, 0, 0)
    try:
        os.setxattr(target, "security.capability", b"".join(word.to_bytes(4, "little") for word in capability))
    except OSError as error:
        pytest.skip(f"no file capabilities here: {error}")
    drop = "import os, sys; os.setgroups([]); os.setgid(65534); os.setuid(65534); os.execv(sys.argv[1], sys.argv[1:])"
    setpriv = shutil.which("setpriv") or ""
    status, _, events = traced(sys.executable, "-c", drop, setpriv, "--no-new-privs", str(target))
    said = [str(event["text"]) for event in events if event["e"] == "notice"]
    assert status == 0
    assert any(str(target) in text and "file capabilities" in text for text in said), said
    status, _, events = traced(str(target))
    assert status == 0
    assert not any("capabilities" in str(event.get("text", "")) for event in events), "as root it has them all"


def test_a_32_bit_program_runs_on_and_is_told_and_cannot_be_attached_to(tmp_path: Path) -> None:
    if os.uname().machine != "x86_64":
        pytest.skip("a 32-bit program of x86")
    source = tmp_path / "small.c"
    # pause() where there is an argument, then exit(7), by the numbers of i386.
    source.write_text(
        'void _start(void){int r; __asm__ volatile("cmpl $1, 4(%%ebp); je 1f; mov $29, %%eax; int $0x80; 1:"'
        '"mov $1, %%eax; mov $7, %%ebx; int $0x80" : "=a"(r) : : "ebx");}'
    )
    program = tmp_path / "small"
    flags = ["-m32", "-nostdlib", "-static", "-O0", "-fno-pie", "-no-pie", "-fno-omit-frame-pointer"]
    built = subprocess.run(["cc", *flags, "-o", str(program), str(source)], capture_output=True, check=False)
    try:
        works = built.returncode == 0 and untraced(str(program)) == (7, b"")
    except OSError:
        works = False
    if not works:
        pytest.skip("no 32-bit programs here")
    status, _, events = traced(str(program), how=("--auto",))
    (said,) = [str(event["text"]) for event in events if event["e"] == "notice" and event["level"] == "warning"]
    assert status == 7
    assert f"{program} is a 32-bit program" in said

    with subprocess.Popen([str(program), "wait"]) as process:
        try:
            servers.until(lambda: servers.status(process.pid)["Name"] == "small", "its exec")
            with pytest.raises(UsageError, match="32-bit"):
                attach_target.read(process.pid)
        finally:
            process.kill()


@pytest.mark.by_chance
@pytest.mark.parametrize("victim", ["engine", "consumer", "server", "worker"])
def test_a_server_of_sixteen_processes_killed_under_load_leaves_nothing_and_starts_again(
    victim: str, tmp_path: Path
) -> None:
    mark = f"HARM_MARK={uuid.uuid4().hex}"
    name, _, value = mark.partition("=")
    port = servers.free_port()
    chance = random.Random(victim)
    argv = [sys.executable, "-m", "socklab", "run", "--json", "--free", "--net", "machine", "--"]
    argv += [*servers.command("prefork", tmp_path, port), "16"]
    for _ in range(times(5)):
        consumer = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env={**ENVIRONMENT, name: value}
        )
        with servers.Load(port, clients=4) as load, _ended(consumer):
            wanted = chance.randrange(20, 200)
            servers.until(lambda load=load, wanted=wanted: load.done >= wanted, "requests answered")
            pids = _marked(mark)
            traced_ones = [pid for pid in pids if _cmdline(pid).startswith(argv[-4].encode())]
            engines = {max(servers.tracers(pid)) for pid in traced_ones}
            assert len(traced_ones) == 16 and len(engines) == 1
            chosen = {
                "engine": engines.pop(),
                "consumer": consumer.pid,
                "server": min(traced_ones),
                "worker": max(traced_ones),
            }[victim]
            os.kill(chosen, signal.SIGKILL)
            if victim in ("server", "worker"):  # the others serve on: only the killed one is gone
                before = load.done
                servers.until(lambda load=load, before=before: load.done > before + 20, "answers of the others")
                consumer.terminate()
            consumer.wait(timeout=120)
        servers.until(lambda: not _marked(mark), "the end of every process")
        listed = subprocess.run(["ss", "-Htln", f"sport = :{port}"], capture_output=True, text=True, check=True)
        assert listed.stdout == ""


@contextlib.contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Asked to end, whatever happens here: its lab must not outlive the test."""
    try:
        yield
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(timeout=120)


def _cmdline(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _marked(mark: str) -> list[int]:
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and _cmdline(int(entry)):
            with contextlib.suppress(OSError):
                if mark.encode() in Path(f"/proc/{entry}/environ").read_bytes().split(b"\0"):
                    found.append(int(entry))
    return found
