"""`socklab run` of a user's own program: where it runs, what it is given, where it is held, how it ends."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from socklab import syscalls
from socklab.protocol import commands as cmd, events as ev
from socklab.protocol.run_spec import RunSpec
from socklab.session import Link
from tests.support import servers

pytestmark = pytest.mark.kernel

ROOT = Path(__file__).resolve().parents[2]


def run(*words: str, given: str = "", cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "socklab", "run", *words],
        input=given,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=cwd,
        timeout=120,
        check=False,
    )


def printed(done: subprocess.CompletedProcess[str]) -> bytes:
    events = map(json.loads, done.stdout.splitlines())
    return b"".join(base64.b64decode(event["data"]) for event in events if event["e"] == "output")


def held(link: Link) -> Iterator[tuple[int, str, str]]:
    """(task, at, name of its call) of every stop that is held."""
    arch, last = "", {}
    for event in link.events(timeout=120):
        if isinstance(event, ev.Header):
            arch = event.arch
        elif isinstance(event, ev.Enter):
            last[event.tid] = syscalls.name(arch, event.nr)
        elif isinstance(event, ev.Held):
            yield event.tid, event.at, last.get(event.tid, "")


def test_the_programs_environment_and_directory_are_those_asked_for(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    words = ["--json", "--free", "--env", "COURSE=sockets", "--env", "EMPTY=", "--cwd", str(tmp_path / "here")]
    done = run(*words, "--", "sh", "-c", 'echo "$COURSE:$EMPTY:$PWD"')
    assert printed(done) == f"sockets::{tmp_path}/here\n".encode()


def test_a_program_is_found_where_one_types_though_it_runs_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "where.py").write_text("import os; print(os.getcwd())\n")
    (tmp_path / "there").mkdir()
    done = run("--json", "--free", "--cwd", "there", "where.py", cwd=tmp_path)
    assert printed(done) == f"{tmp_path}/there\n".encode()


def test_a_variable_without_a_value_and_a_condition_that_is_none_are_refused_before_anything_starts() -> None:
    for words, said in ((["--env", "COURSE"], "NAME=VALUE"), (["--until", "acept"], "accept")):
        done = run("--plain", *words, "--", "true")
        assert (done.returncode, done.stdout) == (2, "")
        assert said in done.stderr


def test_what_is_typed_reaches_the_program_and_its_answer_is_shown() -> None:
    done = run("--plain", "--", "sh", "-c", 'read line; echo "got $line"', given='input "hello\\n"\n')
    assert "got hello" in done.stdout


@pytest.mark.parametrize(
    ("condition", "call", "at"),
    [
        ("listen", "listen", "enter"),
        ("accept", "accept", "enter"),
        ("bind ok", "bind", "return"),
        ("openat", "openat", "enter"),
    ],
)
def test_a_run_is_first_held_where_its_condition_fits(condition: str, call: str, at: str, tmp_path: Path) -> None:
    argv = tuple(servers.command("one", tmp_path, servers.free_port()))
    with Link.start(RunSpec(argv=argv, until=condition, network="machine")) as link:
        assert next(held(link))[1:] == (at, call)


def test_processes_are_stops_and_threads_are_not(tmp_path: Path) -> None:
    for kind, wanted in (("fork", True), ("thread", False)):
        port = servers.free_port()
        argv = tuple(servers.command(kind, tmp_path, port))
        names = []
        with Link.start(RunSpec(argv=argv, network="machine")) as link:
            for tid, at, name in held(link):
                names.append(name)
                if name == "accept" and at == "enter":
                    link.send(cmd.Do(line=f"! sh -c 'echo GET | nc 127.0.0.1 {port}'"))
                if name == "read":
                    break
                link.send(cmd.Step(tid=tid))
        assert bool({"fork", "clone", "clone3"} & set(names)) is wanted, names


def test_the_others_run_while_one_is_stepped_and_stop_again_when_told(tmp_path: Path) -> None:
    port = servers.free_port()
    argv = (*servers.command("prefork", tmp_path, port), "4")
    with Link.start(RunSpec(argv=argv, network="machine")) as link:
        stops = held(link)
        waiting: set[int] = set()
        for tid, at, name in stops:
            if (at, name) == ("enter", "accept"):
                waiting.add(tid)
                if len(waiting) == 4:
                    break
            else:
                link.send(cmd.Step(tid=tid))
        chosen = min(waiting)
        link.send(cmd.Others(run=True, tid=chosen))
        # Three processes accept; the one that is held takes no part.
        said = {servers.ask(port).split()[-1] for _ in range(9)}
        assert said == {str(tid).encode() for tid in waiting - {chosen}}
        link.send(cmd.Others(run=False))
        link.send(cmd.Do(line=f"! nc 127.0.0.1 {port}"))
        tid, at, name = next(stops)
        assert tid in waiting - {chosen} and name in ("accept", "read", "write", "close"), (tid, at, name)
