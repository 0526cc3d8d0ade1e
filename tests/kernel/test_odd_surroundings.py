"""Started where things are missing: no current directory, no room for the output, a terminal without UTF-8."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import socklab

pytestmark = pytest.mark.kernel

ROOT = Path(socklab.__file__).resolve().parent.parent
LESSON = (sys.executable, "-m", "socklab", "lesson", "lifecycle", "--auto", "--lang", "python")


def _environment(**changes: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), **changes}


def test_a_lesson_runs_in_a_directory_that_was_removed(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    script = f'cd "{gone}" && rmdir "{gone}" && exec "$@"'
    done = subprocess.run(
        ["sh", "-c", script, "sh", *LESSON],
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "The lesson is done" in done.stdout


def socklab(*words: str, cwd: Path, closed: str = "") -> subprocess.CompletedProcess[bytes]:
    """In another directory, by a shell that closes descriptors (`2>&-`)."""
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-m", "socklab", *words],
        cwd=cwd,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("words", [("lessons",), ("doctor",), ("run", "--auto", "true")], ids=" ".join)
def test_a_closed_output_is_one_line_and_code_74(words: tuple[str, ...], tmp_path: Path) -> None:
    done = socklab(*words, cwd=tmp_path, closed=">&-")
    assert done.stderr == b"socklab: The output can't be written: standard output is closed.\n"
    assert done.returncode == 74


def test_a_closed_input_is_an_empty_one_and_a_closed_error_none(tmp_path: Path) -> None:
    done = socklab("run", "--free", "--plain", "--", "echo", "hello", cwd=tmp_path, closed="<&- 2>&-")
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"the program wrote: hello" in done.stdout


def test_names_that_are_no_text_are_found_and_run(tmp_path: Path) -> None:
    folder = tmp_path / "odd\udcff\x1b"
    folder.mkdir()
    (folder / "server\udcfe.py").write_text("import os; os.write(1, os.getcwdb() + os.environb[b'ODD'])\n")
    done = socklab("run", "--free", "--json", "--env", "ODD=\udcfd", "server\udcfe.py", cwd=folder)
    printed = b"".join(
        base64.b64decode(e["data"]) for e in map(json.loads, done.stdout.splitlines()) if e["e"] == "output"
    )
    assert printed == os.fsencode(folder) + b"\xfd", done
    (folder / "server.c").write_text("int main(void) { return 7; }\n")
    if shutil.which("cc"):
        assert socklab("run", "--free", "--plain", "server.c", cwd=folder).returncode == 7


def test_without_proc_the_lab_says_so_and_how_to_mount_it(tmp_path: Path) -> None:
    script = 'umount -l /proc && exec "$@"'
    command = ["unshare", "--mount", "--", "sh", "-c", script, "sh", sys.executable, "-m", "socklab"]
    if subprocess.run([*command[:5], "umount -l /proc"], capture_output=True, check=False).returncode:
        pytest.skip("needs root, and unshare")
    done = subprocess.run([*command, "run", "--auto", "true"], env=_environment(), capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith("socklab: /proc is not there") and "mount -t proc" in done.stderr


@pytest.mark.parametrize("option", [(), ("--json",)], ids=["plain", "json"])
def test_output_that_nothing_has_room_for_is_one_line_and_code_74(option: tuple[str, ...]) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*LESSON, *option],
            env=_environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=120,
        )
    assert done.stderr == "socklab: The output can't be written: No space left on device.\n"
    assert done.returncode == 74


def test_what_the_terminals_character_set_lacks_is_escaped() -> None:
    done = subprocess.run(
        LESSON, env=_environment(PYTHONIOENCODING="latin-1"), capture_output=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert rb"GET / HTTP/1.0\u240d\u240a" in done.stdout


def test_without_curl_another_real_program_asks_for_the_page(tmp_path: Path) -> None:
    done = subprocess.run(
        LESSON, env=_environment(PATH=str(tmp_path)), capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert "curl is not installed: a Python program asks" in done.stdout


def test_no_proxy_of_the_users_stands_between_the_labs_hosts() -> None:
    nobody = "http://127.0.0.9:9"
    done = subprocess.run(
        LESSON,
        env=_environment(http_proxy=nobody, all_proxy=nobody, no_proxy="example.org"),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,  # less than the engine gives a lesson whose client does not come
    )
    assert done.returncode == 0, done.stdout[-2000:]


@pytest.fixture
def few_processes(tmp_path: Path) -> Iterator[Callable[[int, str], subprocess.CompletedProcess[str]]]:
    """Plays a lesson in a language as a user of its own, who may have so many processes and threads."""
    if os.geteuid() or not all(map(shutil.which, ("unshare", "setpriv", "prlimit"))):
        pytest.skip("needs root, unshare, setpriv and prlimit")
    user = 1_000_000 + os.getpid()
    home = Path(tempfile.mkdtemp(dir="/tmp"))  # tmp_path is not for others
    os.chown(home, user, user)
    # What the user needs may lie in a folder that is closed to others: only that is left of it, here.
    needed = sorted({sys.base_prefix, sys.prefix, str(ROOT)})
    closed = {
        each: next((str(p) for p in reversed(Path(each).parents) if not p.stat().st_mode & 1), "") for each in needed
    }
    opened = [f"mkdir {tmp_path}/{at}; mount --bind {each} {tmp_path}/{at}" for at, each in enumerate(needed)]
    opened += [f"mount -t tmpfs -o mode=755 tmpfs {each}" for each in sorted(filter(None, set(closed.values())))]
    opened += [
        f"mkdir -p {each}; mount --bind {tmp_path}/{at} {each}" for at, each in enumerate(needed) if closed[each]
    ]
    script = "set -e; " + "; ".join([*opened, 'exec "$@"'])
    as_user = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]

    def play(most: int, language: str) -> subprocess.CompletedProcess[str]:
        limited = ["prlimit", f"--nproc={most}:{most}", *LESSON[:-1], language]
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", script, "sh", *as_user, *limited],
            env=_environment(
                HOME=str(home), XDG_RUNTIME_DIR=str(home), TMPDIR=str(home), XDG_CACHE_HOME=f"{home}/cache"
            ),
            cwd=home,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        if "unshare failed" in done.stderr or "mount:" in done.stderr:
            pytest.skip(done.stderr)
        shutil.rmtree(home / "cache", ignore_errors=True)
        assert list(home.iterdir()) == [], "left behind"
        assert [each for each in Path("/proc").glob("[0-9]*") if _owner(each) == user] == []
        return done

    yield play
    shutil.rmtree(home)


def _owner(path: Path) -> int:
    try:
        return path.stat().st_uid
    except FileNotFoundError:
        return -1


@pytest.mark.parametrize(
    ("most", "language", "said"),
    [
        (1, "python", "The engine could not be started: Resource temporarily unavailable."),
        (3, "python", "The lab needs more processes and threads than it may have here: `ulimit -u` is 3."),
        (5, "python", "The lab needs more processes and threads than it may have here: `ulimit -u` is 5."),
        (5, "c", "vfork: Resource temporarily unavailable"),
    ],
)
def test_too_few_processes_are_told_with_the_limit_and_nothing_is_left(
    few_processes: Callable[[int, str], subprocess.CompletedProcess[str]], most: int, language: str, said: str
) -> None:
    if language == "c" and not shutil.which("cc"):
        pytest.skip("no C compiler here")
    done = few_processes(most, language)
    told = done.stdout + done.stderr
    assert done.returncode in (1, 4), told
    assert said in told and "`ulimit -u" in told
    assert "Traceback" not in told and told.count("Error: ") == (most > 1)


@pytest.mark.skipif(not shutil.which("strace"), reason="no strace here")
def test_under_another_tracer_the_doctor_names_it() -> None:
    strace = ["strace", "-f", "-o", os.devnull, sys.executable, "-m", "socklab"]
    environment = _environment()
    lesson = subprocess.run([*strace, "lesson", "lifecycle", "--auto"], env=environment, capture_output=True, text=True)
    assert "Error: This machine does not let socklab trace a program" in lesson.stdout
    assert "Traceback" not in lesson.stdout + lesson.stderr
    doctor = subprocess.run([*strace, "doctor"], env=environment, capture_output=True, text=True)
    assert re.search(r"Fix: strace \(pid \d+\) is tracing socklab itself", doctor.stdout), doctor.stdout
