"""What /proc says of tasks."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from socklab.host import processes

PF_EXITING = 0x4


def test_a_task_whose_exit_has_begun_is_over_before_it_is_a_zombie(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its descriptors are gone by then: who reads them meanwhile would tell that the program has closed them."""
    own = processes.read_stat(os.getpid())
    assert not processes.is_over(own.pid)
    monkeypatch.setattr(processes, "read_stat", lambda _tid: own._replace(state="R", flags=own.flags | PF_EXITING))
    assert processes.is_over(own.pid)


def test_a_zombie_and_a_process_that_is_gone_are_over() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert processes.read_stat(process.pid).state == "Z"
    assert processes.is_over(process.pid)
    process.wait()
    assert processes.is_over(process.pid)
