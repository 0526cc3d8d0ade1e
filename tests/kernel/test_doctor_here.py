"""The doctor on this machine: what it says agrees with what the kernel and the shell say."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess

import pytest

from socklab.doctor import report
from socklab.doctor.report import Finding
from socklab.host import subreaper

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def findings() -> dict[str, Finding]:
    return {finding.code: finding for finding in report.examine()}


def test_it_leaves_no_child_behind() -> None:
    before = set(subreaper.read_descendants(os.getpid()))
    report.examine()
    assert set(subreaper.read_descendants(os.getpid())) <= before


def test_it_stays_in_its_own_namespaces() -> None:
    before = [os.readlink(f"/proc/self/ns/{kind}") for kind in ("user", "net", "mnt")]
    report.examine()
    assert [os.readlink(f"/proc/self/ns/{kind}") for kind in ("user", "net", "mnt")] == before


def test_ptrace_agrees_with_strace(findings: dict[str, Finding]) -> None:
    if not shutil.which("strace"):
        pytest.skip("no strace here")
    done = subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, check=False)
    assert findings["ptrace"].ok is (done.returncode == 0)


def test_namespaces_agree_with_unshare(findings: dict[str, Finding]) -> None:
    if not shutil.which("unshare"):
        pytest.skip("no unshare here")
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    done = subprocess.run(["unshare", *user, "--net", "--mount", "true"], capture_output=True, check=False)
    assert findings["namespaces"].ok is (True if done.returncode == 0 else None)


def test_the_kernel_is_the_one_uname_names(findings: dict[str, Finding]) -> None:
    assert platform.release() in findings["kernel"].found


def test_curl_and_compiler_agree_with_the_path(findings: dict[str, Finding]) -> None:
    assert findings["curl"].found == (shutil.which("curl") or "not found")
    assert (findings["compiler"].found == "none of cc, gcc, clang") is not any(
        shutil.which(name) for name in ("cc", "gcc", "clang")
    )


def test_a_machine_that_runs_these_tests_can_run_lessons(findings: dict[str, Finding]) -> None:
    assert report.can_run(list(findings.values()))


def test_without_a_compiler_lessons_still_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    finding = report._examined("compiler")
    assert finding.ok is None
    assert "Python" in finding.means
    assert finding.fix
