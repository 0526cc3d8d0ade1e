"""The link against engines of a few lines, which do exactly what a real one must never do."""

from __future__ import annotations

import os
import select
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from socklab import session as link_module
from socklab.core.errors import SocklabError, UsageError
from socklab.host import subreaper
from socklab.protocol import codec, commands as cmd, events as ev
from socklab.protocol.run_spec import RunSpec
from socklab.session import Link

PRELUDE = """
import json, os, signal, socket, sys, time
s = socket.socket(fileno=int(sys.argv[1]))
os.set_inheritable(s.fileno(), False)
f = s.makefile("rb")
spec = json.loads(f.readline())
HEADER = b'{"e":"header","t":0,"format":1,"socklab":"0","kernel":"6","arch":"x86_64","started_ns":1,' \\
    b'"network":"private","hosts":[]}\\n'
def notice(text): s.sendall(json.dumps({"e": "notice", "t": 7, "level": "info", "text": text}).encode() + b"\\n")
ENDED = b'{"e":"ended","t":9,"reason":"quit"}\\n'
"""

FakeEngine = Callable[[str], Link]
PATIENCE_S = 60.0
"""For what hangs, however busy the machine is."""


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeEngine:
    """Start a link to an engine whose program is `code`."""

    def start(code: str) -> Link:
        script = tmp_path / "engine.py"
        script.write_text(PRELUDE + code)
        monkeypatch.setattr(link_module, "engine_command", lambda fd: [sys.executable, str(script), str(fd)])
        return Link.start(RunSpec(argv=("prog",)))

    return start


def is_alive(pid: int) -> bool:
    process = subreaper.read_processes().get(pid)
    return process is not None and process.state != "Z"


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.01)


def test_events_arrive_in_order_and_end_with_the_engines_own_last(fake: FakeEngine) -> None:
    with fake("s.sendall(HEADER); notice('hello'); s.sendall(ENDED)") as link:
        events = list(link.events(timeout=PATIENCE_S))
    assert [type(event).__name__ for event in events] == ["Header", "Notice", "Ended"]
    assert link.ended


def test_first_line_is_the_spec_with_a_private_run_dir_that_is_gone_after_close(fake: FakeEngine) -> None:
    with fake("s.sendall(HEADER); notice(json.dumps(spec)); s.sendall(ENDED)") as link:
        assert stat.S_IMODE(Path(link.run_dir).stat().st_mode) == 0o700
        said = next(e for e in link.events(timeout=PATIENCE_S) if isinstance(e, ev.Notice))
        assert f'"run_dir": "{link.run_dir}"' in said.text
        assert '"argv": ["prog"]' in said.text
    assert not Path(link.run_dir).exists()


@pytest.mark.parametrize("end", ["os._exit(3)", "s.sendall(ENDED)", "f.readline()"], ids=["dead", "ended", "alive"])
def test_a_restart_runs_the_same_spec_and_leaves_nothing_of_the_run_before(fake: FakeEngine, end: str) -> None:
    with fake(f"s.sendall(HEADER); notice(spec['argv'][0]); {end}") as first:
        assert any(isinstance(event, ev.Notice) for event in first.read_available() or first.events(timeout=10))
        with first.restart() as second:
            assert not is_alive(first.pid)
            assert not Path(first.run_dir).exists()
            assert second.pid != first.pid
            assert second.run_dir != first.run_dir
            said = next(e for e in second.events(timeout=10) if isinstance(e, ev.Notice))
            assert said.text == "prog"


def test_an_attached_process_is_not_started_anew_and_stays_attached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "engine_command", lambda fd: ["sleep", "60"])
    with Link.start(RunSpec(attach=os.getpid())) as link:
        with pytest.raises(UsageError, match="started anew"):
            link.restart()
        assert is_alive(link.pid)
        assert not link.ended
        link.close(deadline_s=0)


def test_commands_reach_the_engine_as_lines_that_are_numbered(fake: FakeEngine) -> None:
    with fake("s.sendall(HEADER); [notice(f.readline().decode()) for _ in range(3)]; s.sendall(ENDED)") as link:
        assert link.send(cmd.Do("connect 5")) == 1
        assert link.send(cmd.Step(tid=7)) == 2
        assert link.send(cmd.Pause(id=40)) == 40
        said = [e.text for e in link.events(timeout=PATIENCE_S) if isinstance(e, ev.Notice)]
    assert said == [
        '{"c":"do","line":"connect 5","id":1}\n',
        '{"c":"step","tid":7,"id":2}\n',
        '{"c":"pause","id":40}\n',
    ]


def test_read_available_never_waits(fake: FakeEngine) -> None:
    with fake("s.sendall(HEADER); f.readline(); s.sendall(ENDED)") as link:
        first = next(link.events(timeout=PATIENCE_S))
        assert isinstance(first, ev.Header)
        assert link.read_available() == []
        assert not link.ended


def test_an_event_in_two_pieces_is_one_event(fake: FakeEngine) -> None:
    code = "s.sendall(HEADER[:20]); f.readline(); s.sendall(HEADER[20:]); s.sendall(ENDED)"
    with fake(code) as link:
        link.send(cmd.Pause())
        assert [type(e).__name__ for e in link.events(timeout=PATIENCE_S)] == ["Header", "Ended"]


def test_silence_raises_timeout_instead_of_waiting_for_ever(fake: FakeEngine) -> None:
    with fake("f.readline()") as link, pytest.raises(TimeoutError):
        list(link.events(timeout=0.05))


def test_a_crash_becomes_a_notice_with_the_last_words_and_a_failed_end(fake: FakeEngine) -> None:
    with fake("s.sendall(HEADER); notice('a'); raise RuntimeError('the cat sat on it')") as link:
        events = list(link.events(timeout=PATIENCE_S))
    assert isinstance(events[-2], ev.Notice)
    assert isinstance(events[-1], ev.Ended)
    assert "exit status 1" in events[-2].text
    assert "RuntimeError: the cat sat on it" in events[-2].text
    assert events[-1].reason == "failed"
    assert events[-1].t == 7
    assert link.diagnostics()[-1] == "RuntimeError: the cat sat on it"


def test_a_killed_engine_is_named_with_its_signal(fake: FakeEngine) -> None:
    with fake("s.sendall(HEADER); os.kill(os.getpid(), 9)") as link:
        events = list(link.events(timeout=PATIENCE_S))
    assert isinstance(events[-2], ev.Notice)
    assert "SIGKILL" in events[-2].text


def test_a_stream_cut_inside_a_line_ends_as_a_failure(fake: FakeEngine) -> None:
    with fake("s.sendall(HEADER + ENDED[:12]); s.close(); f.close(); os._exit(3)") as link:
        events = list(link.events(timeout=PATIENCE_S))
    assert [type(event).__name__ for event in events] == ["Header", "Notice", "Ended"]
    assert isinstance(events[-1], ev.Ended)
    assert events[-1].reason == "failed"


@pytest.mark.parametrize("garbage", [b"hello", b"{}", b'{"e":"nonsense","t":1}', b"\xff\xfe", b'{"e":"held"}', b"[1,"])
def test_a_line_that_is_no_event_is_a_clear_error_after_what_came_before(fake: FakeEngine, garbage: bytes) -> None:
    with fake(f"s.sendall(HEADER); notice('a'); s.sendall({garbage!r} + b'\\n' + ENDED)") as link:
        seen: list[ev.AnyEvent] = []
        with pytest.raises(SocklabError, match="line that is no event"):
            seen.extend(link.events(timeout=PATIENCE_S))
            for event in link.events(timeout=PATIENCE_S):
                seen.append(event)
        assert link.ended


def test_events_before_a_bad_line_are_given_first(fake: FakeEngine) -> None:
    with fake("s.sendall(HEADER); notice('a'); s.sendall(b'zzz\\n')") as link:
        stream = link.events(timeout=PATIENCE_S)
        assert isinstance(next(stream), ev.Header)
        assert isinstance(next(stream), ev.Notice)
        with pytest.raises(SocklabError, match="zzz"):
            next(stream)


def test_garbage_is_shown_without_its_control_characters(fake: FakeEngine) -> None:
    with fake("s.sendall(b'\\x1b]52;c;aGk=\\x07\\n'); f.readline()") as link:
        with pytest.raises(SocklabError) as caught:
            list(link.events(timeout=PATIENCE_S))
        assert "\x1b" not in str(caught.value)
        assert "␛]52" in str(caught.value)


def test_another_format_is_refused_with_both_numbers(fake: FakeEngine) -> None:
    with (
        fake("s.sendall(HEADER.replace(b'\"format\":1', b'\"format\":99'))") as link,
        pytest.raises(SocklabError, match=r"format 99 .* reads 1"),
    ):
        list(link.events(timeout=PATIENCE_S))


def raw_lines(link: Link) -> Iterator[bytes]:
    """The stream as the engine wrote it, in batches of whole lines, as a copier takes it."""
    alarm = select.poll()
    alarm.register(link, select.POLLIN)
    while not link.ended:
        if lines := link.read_lines():
            yield lines
        elif not link.ended:
            assert alarm.poll(10_000)


def test_raw_lines_are_the_engines_bytes_untouched(fake: FakeEngine) -> None:
    odd = b'{ "t":3,"e":"notice", "level":"info","text":"spaces \\u00e9" , "unknown":[1] }\n'
    with fake(f"s.sendall(HEADER + {odd!r}); notice('x' * 400_000); s.sendall(ENDED)") as link:
        batches = list(raw_lines(link))
    assert all(batch.endswith(b"\n") for batch in batches)
    lines = b"".join(batches).splitlines(keepends=True)
    assert lines[1] == odd
    assert len(lines) == 4
    assert lines[3] == b'{"e":"ended","t":9,"reason":"quit"}\n'


def test_raw_lines_of_a_crash_end_in_an_event_too(fake: FakeEngine) -> None:
    with fake("s.sendall(HEADER); notice('a'); os._exit(9)") as link:
        events = codec.decode_events(b"".join(raw_lines(link)))
    assert isinstance(events[-1], ev.Ended)
    assert events[-1].reason == "failed"


def test_raw_lines_refuse_another_format(fake: FakeEngine) -> None:
    with (
        fake("s.sendall(HEADER.replace(b'\"format\":1', b'\"format\":99'))") as link,
        pytest.raises(SocklabError, match="format 99"),
    ):
        list(raw_lines(link))


def test_close_asks_the_engine_to_quit_first(fake: FakeEngine, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    link = fake(f"s.sendall(HEADER); line = f.readline(); open({str(mark)!r}, 'wb').write(line); s.sendall(ENDED)")
    link.close(deadline_s=PATIENCE_S)
    assert mark.read_bytes() == b'{"c":"quit","id":1}\n'
    assert not is_alive(link.pid)


def test_close_drains_an_engine_that_still_has_much_to_say(fake: FakeEngine, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    link = fake(
        f"s.sendall(HEADER); f.readline()\nfor i in range(100): notice('x' * 50_000)\nopen({str(mark)!r}, 'w').close()"
    )
    link.close(deadline_s=PATIENCE_S)
    assert mark.exists()


def test_close_kills_an_engine_that_does_not_listen(fake: FakeEngine) -> None:
    link = fake("signal.signal(signal.SIGTERM, signal.SIG_IGN); s.sendall(HEADER); time.sleep(600)")
    next(link.events(timeout=PATIENCE_S))
    link.close(deadline_s=0.1)
    assert not is_alive(link.pid)
    assert not Path(link.run_dir).exists()


def test_close_twice_is_close_once(fake: FakeEngine) -> None:
    link = fake("s.sendall(HEADER); f.readline()")
    link.close()
    link.close()
    link.send(cmd.Pause())


ORPHANS = """
s.sendall(HEADER)
a = os.posix_spawn("/bin/sleep", ["sleep", "600"], {})
b = os.posix_spawn("/bin/sh", ["sh", "-c", "sleep 601 & sleep 602"], {})
c = os.posix_spawn("/bin/sleep", ["sleep", "603"], {}, setsid=True)
s.sendall(json.dumps({"e": "started", "t": 1, "pid": c, "host": "server", "argv": [], "cwd": "/"}).encode() + b"\\n")
notice(f"{a} {b} {c}")
os.kill(os.getpid(), 9)
"""


def test_orphans_of_a_killed_engine_are_ended_and_reaped(fake: FakeEngine) -> None:
    before = set(subreaper.read_descendants(os.getpid()))
    link = fake(ORPHANS)
    said = next(e for e in link.events(timeout=PATIENCE_S) if isinstance(e, ev.Notice))
    pids = [int(word) for word in said.text.split()]
    assert len(pids) == 3
    link.close()
    left = set(subreaper.read_descendants(os.getpid())) - before
    assert not left
    assert not [pid for pid in pids if pid in subreaper.read_processes()]


def test_the_death_of_the_engine_is_noticed_when_its_child_holds_the_socket_open(fake: FakeEngine) -> None:
    with fake("os.set_inheritable(s.fileno(), True)\n" + ORPHANS) as link:
        events = list(link.events(timeout=PATIENCE_S))
    assert isinstance(events[-1], ev.Ended)
    assert events[-1].reason == "failed"


def test_a_child_of_the_caller_is_none_of_the_links_business(fake: FakeEngine) -> None:
    link = fake(ORPHANS)
    with subprocess.Popen(["sleep", "600"]) as plain, subprocess.Popen(["sleep", "600"], start_new_session=True) as own:
        try:
            list(link.events(timeout=PATIENCE_S))
            link.close()
            assert plain.poll() is None
            assert own.poll() is None
        finally:
            plain.kill()
            own.kill()


def test_a_module_of_the_students_own_directory_is_not_imported(tmp_path: Path) -> None:
    (tmp_path / "socket.py").write_text("raise SystemExit('the wrong socket')")
    (tmp_path / "engine.py").write_text("")
    code = "import socket, socklab.protocol.events; print('the right one')"
    boot = link_module.engine_command(0)
    prepares, newline, runs = boot[3].rpartition("\n")
    assert runs.startswith("runpy.run_module")
    done = subprocess.run(
        [*boot[:2], "-c", prepares + newline + code, boot[4], "0"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "the right one\n", done.stderr


def test_an_engine_that_cannot_be_started_is_an_error_and_leaves_no_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(link_module, "engine_command", lambda fd: ["/nonexistent/python"])
    with pytest.raises(SocklabError, match="could not be started"):
        Link.start(RunSpec(argv=("prog",)))
    assert list(tmp_path.iterdir()) == []
