"""Source frames of real C programs asleep in the kernel; gdb is the second opinion."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from socklab.engine.source import dwarf
from socklab.engine.source.where import NO_FRAME, Where, source
from tests.support.where_probe import Sleeper, ask_gdb, running, short, sleeper

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc"),
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="system call numbers are x86-64's"),
    pytest.mark.skipif(not Path("/proc/self/syscall").exists(), reason="the kernel has no /proc/PID/syscall"),
]

READ, ACCEPT, PAUSE, POLL, NANOSLEEP = 0, 43, 34, 7, 230

SERVER = """\
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

static int open_listener(void) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = 0x0100007f};
  bind(fd, (struct sockaddr *)&any, sizeof any);
  listen(fd, 4);
  return fd;
}

int main(void) {
  int fd = open_listener();
  for (;;) {
    int peer = accept(fd, 0, 0);
    close(peer);
  }
}
"""
ACCEPT_LINE = 16

# The decoys leave return addresses and saved frame pointers where the later frames' unused buffers lie.
STALE = """\
#include <string.h>
#include <unistd.h>

volatile int sink;
__attribute__((noinline)) void leave(int depth) {
  volatile char trash[64];
  trash[depth % 64] = 1;
  if (depth > 0) leave(depth - 1);
  sink += trash[0];
}
__attribute__((noinline)) void decoy_a(void) { leave(20); sink++; }
__attribute__((noinline)) void decoy_b(void) { decoy_a(); leave(30); sink++; }

__attribute__((noinline)) void serve(int fd) {
  char unused[1500];
  ssize_t got = read(fd, unused, 10);
  sink += got > 0 ? unused[0] : 1;
}
__attribute__((noinline)) void dispatch(void (*handler)(int), int fd) {
  volatile char unused[700];
  handler(fd);
  sink += unused[3];
}
static inline __attribute__((always_inline)) void once(int fd) {
  dispatch(serve, fd);
  sink++;
}
int main(void) {
  decoy_b();
  once(0);
  return 0;
}
"""

HANDLER = """\
#include <signal.h>
#include <unistd.h>

volatile int sink;
static void on_signal(int signo) {
  char byte;
  sink = read(0, &byte, 1);
  sink += signo;
}
static void idle(void) {
  write(1, "up\\n", 3);
  pause();
  sink++;
}
int main(void) {
  signal(SIGUSR1, on_signal);
  idle();
  return 0;
}
"""

THREAD = """\
#include <pthread.h>
#include <unistd.h>

static void take(void) {
  char byte;
  if (read(0, &byte, 1)) pause();
}
static void *work(void *unused) {
  take();
  return unused;
}
int main(void) {
  pthread_t thread;
  pthread_create(&thread, 0, work, 0);
  pause();
  return 0;
}
"""


def build(folder: Path, text: str, *flags: str, compiler: str = "gcc") -> str:
    source = folder / "server.c"
    source.write_text(text)
    program = folder / "server"
    subprocess.run([compiler, str(source), *flags, "-o", str(program)], check=True, cwd=folder, capture_output=True)
    return str(program)


@pytest.mark.parametrize(
    "flags",
    [
        "-g -O0",
        "-g -O2",
        "-g -O2 -no-pie",
        "-g -O0 -no-pie",
        "-g -O0 -static",
        "-g -O2 -static-pie",
        "-gdwarf-4 -O2",
        "-gdwarf-3 -O0",
        "-g -gsplit-dwarf -O0",
        "-g -gz -O2",
        "-g -O2 -flto",
        "-g -O2 -ffunction-sections -Wl,--gc-sections",
    ],
)
def test_a_server_blocked_in_accept_is_at_its_accept_line(tmp_path: Path, flags: str) -> None:
    with running([build(tmp_path, SERVER, *flags.split())]) as program, sleeper(program.pid, ACCEPT) as task:
        where = Where(program.pid)
        assert short(task.stack(where)) == [("server.c", ACCEPT_LINE, "main")]
        assert where.reason == ""
        assert short(task.stack(where)) == [("server.c", ACCEPT_LINE, "main")]
        found = source(task.stack(where)[0].path)
        assert found is not None
        assert (found.text, found.language) == (SERVER, "c")


@pytest.mark.parametrize("known_fp", [True, False], ids=["with-fp", "without-fp"])
@pytest.mark.parametrize(
    "flags", ["-g -O0", "-g -O1", "-g -O2", "-g -O2 -fno-omit-frame-pointer", "-g -O0 -no-pie", "-g -Og -static"]
)
def test_stale_return_addresses_make_no_frames(tmp_path: Path, flags: str, known_fp: bool) -> None:
    with running([build(tmp_path, STALE, *flags.split())]) as program, sleeper(program.pid, READ) as task:
        expected, fp = ask_gdb(program.pid, tmp_path)
        assert [function for _, _, function in expected] == ["serve", "dispatch", "once", "main"]
        assert short(task.stack(fp=fp if known_fp else 0)) == expected


def test_without_unwind_tables_the_innermost_line_is_still_right(tmp_path: Path) -> None:
    flags = ["-g", "-O1", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables"]
    with running([build(tmp_path, STALE, *flags)]) as program, sleeper(program.pid, READ) as task:
        expected, fp = ask_gdb(program.pid, tmp_path)
        assert short(task.stack(fp=fp))[:1] == expected[:1]


def test_a_signal_handler_stands_on_the_line_it_interrupted(tmp_path: Path) -> None:
    with running([build(tmp_path, HANDLER, "-g", "-O0")]) as program:
        with sleeper(program.pid, PAUSE):
            os.kill(program.pid, signal.SIGUSR1)
        with sleeper(program.pid, READ) as task:
            expected, fp = ask_gdb(program.pid, tmp_path)
            assert [function for _, _, function in expected] == ["on_signal", "idle", "main"]
            assert short(task.stack(fp=fp)) == expected


def test_each_thread_has_its_own_frames(tmp_path: Path) -> None:
    with running([build(tmp_path, THREAD, "-g", "-O0", "-pthread")]) as program, sleeper(program.pid, PAUSE) as main:
        (other,) = [int(name) for name in os.listdir(f"/proc/{program.pid}/task") if int(name) != program.pid]
        with sleeper(program.pid, READ, tid=other) as worker:
            where = Where(program.pid)
            assert short(main.stack(where)) == [("server.c", 15, "main")]
            assert short(worker.stack(where)) == [("server.c", 6, "take"), ("server.c", 9, "work")]


@pytest.mark.parametrize(
    ("flags", "reason"), [("-g -s", dwarf.STRIPPED), ("-O0 -g0", dwarf.NOT_COMPILED_IN)], ids=["stripped", "without-g"]
)
def test_a_program_without_lines_says_so(tmp_path: Path, flags: str, reason: str) -> None:
    with running([build(tmp_path, SERVER, *flags.split())]) as program, sleeper(program.pid, ACCEPT) as task:
        where = Where(program.pid)
        assert task.stack(where) == ()
        assert where.reason == reason


def test_lines_are_found_in_a_separate_file_by_build_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program_path = build(tmp_path, SERVER, "-g", "-O0", "-Wl,--build-id=0x1234567890")
    store = tmp_path / "debug"
    separate = store / "12" / "34567890.debug"
    separate.parent.mkdir(parents=True)
    subprocess.run(["objcopy", "--only-keep-debug", program_path, str(separate)], check=True)
    subprocess.run(["strip", program_path], check=True)
    monkeypatch.setattr(dwarf, "SEPARATE", str(store))
    with running([program_path]) as program, sleeper(program.pid, ACCEPT) as task:
        assert short(task.stack()) == [("server.c", ACCEPT_LINE, "main")]


def test_a_library_of_the_users_own_has_frames_and_the_c_library_has_none(tmp_path: Path) -> None:
    (tmp_path / "own.c").write_text(
        "#include <unistd.h>\nint wait_for(int fd) {\n  char c;\n  return read(fd, &c, 1);\n}\n"
    )
    subprocess.run(
        ["gcc", "-g", "-shared", "-fPIC", "-o", "libown.so", str(tmp_path / "own.c")], check=True, cwd=tmp_path
    )
    text = "int wait_for(int);\nint main(void) {\n  return wait_for(0) + 1;\n}\n"
    program_path = build(tmp_path, text, "-g", "-O0", "-L.", "-lown", f"-Wl,-rpath,{tmp_path}", "-z", "now")
    with running([program_path]) as program, sleeper(program.pid, READ) as task:
        expected, fp = ask_gdb(program.pid, tmp_path)
        assert short(task.stack(fp=fp)) == expected == [("own.c", 4, "wait_for"), ("server.c", 3, "main")]


def test_a_program_of_the_system_says_why_it_has_no_lines() -> None:
    with running(["/bin/cat"]) as program, sleeper(program.pid, READ) as task:
        where = Where(program.pid)
        assert task.stack(where) == ()
        assert where.reason in (dwarf.STRIPPED, NO_FRAME)


def test_a_program_deleted_while_it_runs_keeps_its_lines(tmp_path: Path) -> None:
    path = build(tmp_path, SERVER, "-g", "-O0")
    with running([path]) as program, sleeper(program.pid, ACCEPT) as task:
        os.unlink(path)
        assert short(task.stack()) == [("server.c", ACCEPT_LINE, "main")]


def test_a_process_that_is_gone_has_no_frames(tmp_path: Path) -> None:
    with running([build(tmp_path, SERVER, "-g", "-O0")]) as program:
        with sleeper(program.pid, ACCEPT) as task:
            *_, sp, ip = task.syscall()
        program.kill()
        program.wait()
        where = Where(program.pid)
        assert where.stack(program.pid, sp, ip, lambda _address, _size: b"") == ()
        assert where.reason


@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++")
def test_methods_and_lambdas_of_cpp_are_named(tmp_path: Path) -> None:
    text = (
        "#include <unistd.h>\n#include <functional>\nnamespace net {\nstruct Server {\n  int run(int fd);\n};\n"
        "int Server::run(int fd) {\n  char c;\n  return read(fd, &c, 1);\n}\n}\n"
        "int main() {\n  std::function<int()> call = [] {\n    return net::Server().run(0);\n  };\n"
        "  return call() + 1;\n}\n"
    )
    (tmp_path / "server.cc").write_text(text)
    subprocess.run(["g++", "-g", "-O0", "-o", "server", "server.cc"], check=True, cwd=tmp_path)
    with running([str(tmp_path / "server")]) as program, sleeper(program.pid, READ) as task:
        _, fp = ask_gdb(program.pid, tmp_path)
        assert short(task.stack(fp=fp)) == [
            ("server.cc", 9, "run"),
            ("server.cc", 14, "operator()"),
            ("server.cc", 16, "main"),
        ]


def test_registers_of_a_sleeper_are_those_gdb_reads(tmp_path: Path) -> None:
    """The oracle of this file rests on /proc/PID/syscall."""
    with running([build(tmp_path, SERVER, "-g", "-O0")]) as program, sleeper(program.pid, ACCEPT) as task:
        assert isinstance(task, Sleeper)
        answer = subprocess.run(
            ["gdb", "-nx", "-batch", "-p", str(program.pid), "-ex", "print/x (long)$sp", "-ex", "print/x (long)$pc"],
            capture_output=True,
            text=True,
            timeout=120,
        ).stdout
        *_, sp, ip = task.syscall()
        assert f"$1 = {sp:#x}" in answer
        assert f"$2 = {ip:#x}" in answer


def test_a_rust_server_is_at_the_users_line_behind_the_standard_library(tmp_path: Path) -> None:
    compiler = shutil.which("rustc")
    if compiler is None:
        pytest.skip("no rustc")
    text = (
        "use std::net::TcpListener;\nfn serve(listener: TcpListener) {\n    for stream in listener.incoming() {\n"
        "        drop(stream);\n    }\n}\n"
        'fn main() {\n    let listener = TcpListener::bind("127.0.0.1:0").unwrap();\n    serve(listener);\n}\n'
    )
    (tmp_path / "server.rs").write_text(text)
    subprocess.run([compiler, "-g", "-o", "server", "server.rs"], check=True, cwd=tmp_path, capture_output=True)
    with running([str(tmp_path / "server")]) as program, sleeper(program.pid, ACCEPT, 288) as task:
        _, fp = ask_gdb(program.pid, tmp_path)
        assert short(task.stack(fp=fp)) == [("server.rs", 3, "serve"), ("server.rs", 9, "main")]
