"""What a program sees of its surroundings is what it sees under a shell, but for what docs/run.md lists."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import shlex
import subprocess
import sys
import termios
from collections import defaultdict
from pathlib import Path

import pytest

from tests.kernel.test_run_options import ROOT, printed, run
from tests.support import servers

pytestmark = pytest.mark.kernel

OF_A_USER = {"namespace_user", "Groups", "CapBnd", "NoNewPrivs"}
"""Documented as different where the lab is not run by root."""


def documented() -> set[str]:
    section = (ROOT / "docs" / "run.md").read_text().partition("## What tracing changes")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}


def facts(said: bytes) -> dict[str, list[str]]:
    found = defaultdict(list)
    for line in said.decode("utf-8", "surrogateescape").splitlines():
        name, _, value = line.partition(" ")
        found[name].append(value)
    return {name: sorted(values) for name, values in found.items()}  # a shell sorts the variables anew


def under_a_shell(words: str, cwd: Path, environment: dict[str, str]) -> bytes:
    """As the user's shell has it, at a terminal, the output in a file; with a few settings that must not get lost."""
    script = f"nice -n 3 sh -c 'umask 027; ulimit -c 0; ulimit -n 333; exec 7</dev/null; trap \"\" HUP; {words}'; true"
    master, terminal = pty.openpty()
    with (cwd / "said").open("wb+") as said:
        subprocess.run(
            ["sh", "-c", script],
            cwd=cwd,
            env=environment,
            stdin=terminal,
            stdout=said,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            check=True,
            timeout=120,
        )
        os.close(master)
        os.close(terminal)
        said.seek(0)
        return said.read()


@pytest.mark.parametrize("network", ["private", "machine"])
def test_a_program_sees_what_it_sees_under_a_shell_but_for_the_documented(network: str, tmp_path: Path) -> None:
    (tmp_path / "probe").symlink_to(servers.built("surroundings"))
    environment = {"PATH": os.environ["PATH"], "LANG": "C", "COURSE": "a b", "ODD": "\udcff", "_": "./probe"}
    environment |= {name: os.environ[name] for name in ("HOME", "TMPDIR") if name in os.environ}
    shell = facts(under_a_shell("exec ./probe x", tmp_path, environment))
    # socklab itself is found by -P and a path: a PYTHONPATH would be the program's too.
    boot = f"import sys, runpy; sys.path.insert(0, {str(ROOT)!r}); runpy.run_module('socklab', None, '__main__')"
    ours = f"{shlex.quote(sys.executable)} -P -c {shlex.quote(boot)} run --json --free --net {network} ./probe x"
    script = tmp_path / "ours.sh"
    script.write_text(f"exec {ours}\n")
    said = under_a_shell(f". {script}", tmp_path, environment)
    lab = facts(printed(subprocess.CompletedProcess((), 0, said.decode(), "")))
    differing = {name for name in shell.keys() | lab.keys() if shell.get(name) != lab.get(name)}
    expected = documented()
    assert differing <= expected, {name: (shell.get(name), lab.get(name)) for name in differing - expected}
    if network == "private" and os.geteuid() == 0:
        assert differing == expected - OF_A_USER  # nothing is listed that does not differ


def test_a_python_program_is_given_no_variable_and_no_flag(tmp_path: Path) -> None:
    text = "import os, sys\nos.environ['_'] = ''\nprint(sorted(os.environ.items()), sys.flags, sys.path, sys.argv)\n"
    (tmp_path / "app.py").write_text(text)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = run("--json", "--free", "app.py", "x", cwd=tmp_path)
    python = os.path.join(environment["VIRTUAL_ENV"], "bin", "python3")
    plain = subprocess.run(
        [python, str(tmp_path / "app.py"), "x"], cwd=tmp_path, env=environment, capture_output=True, check=True
    )

    assert printed(done) == plain.stdout
