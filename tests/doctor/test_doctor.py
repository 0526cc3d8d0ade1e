"""The doctor's table and its fixes, on machines that refuse one thing each."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from socklab.doctor import checks, fixes, report
from socklab.doctor.report import Finding
from socklab.engine.network import refusals

GOOD = Finding("ptrace", "ptrace", True, "a child process was traced")
LESS = Finding("curl", "curl", None, "not found", "One lesson can't be finished.", "sudo apt install curl")
BAD = Finding("seccomp", "seccomp filter", False, "refused", "No lesson can run.", "Do this.")


def test_every_finding_has_a_fix_and_a_meaning() -> None:
    for code, check in report._CHECKS.items():
        assert check.name
        assert check.means.endswith(".")
        assert report.fix_for(code)


def test_a_shortfall_is_shown_with_what_it_means_and_its_fix() -> None:
    lines = [line.split() for line in report.table([GOOD, LESS]).splitlines()]
    assert lines[0][:2] == ["ok", "ptrace"]
    assert lines[1] == ["less", "curl", "not", "found"]
    assert lines[2] == ["One", "lesson", "can't", "be", "finished."]
    assert lines[3] == ["Fix:", "sudo", "apt", "install", "curl"]


def test_what_is_as_it_should_be_has_no_fix() -> None:
    assert "Fix" not in report.table([GOOD])


@pytest.mark.parametrize(
    ("findings", "code", "verdict"),
    [
        ([GOOD], 0, "Everything is there"),
        ([GOOD, LESS], 0, "with less than everything"),
        ([GOOD, LESS, BAD], 4, "can't run here yet"),
    ],
)
def test_only_what_no_lesson_can_do_without_gives_exit_code_4(
    findings: list[Finding],
    code: int,
    verdict: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(report, "examine", lambda: findings)
    assert report.report() == code
    assert verdict in capsys.readouterr().out.splitlines()[-1]


def test_json_has_the_same_findings(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(report, "examine", lambda: [GOOD, LESS, BAD])
    assert report.report(as_json=True) == 4
    rows = msgspec.json.decode(capsys.readouterr().out, type=list[Finding])
    assert rows == [GOOD, LESS, BAD]


@pytest.mark.parametrize(
    ("release", "command"),
    [
        ("ID=debian\n", "apt install gcc libc6-dev"),
        ('NAME="Linux Mint"\nID=linuxmint\nID_LIKE="ubuntu debian"\n', "apt install gcc libc6-dev"),
        ("ID=fedora\n", "dnf install gcc"),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"\n', "dnf install gcc"),
        ("ID=arch\n", "pacman -S gcc"),
        ("ID=alpine\n", "apk add gcc musl-dev"),
        ('ID="opensuse-leap"\nID_LIKE="suse opensuse"\n', "zypper install gcc"),
    ],
)
def test_a_missing_compiler_is_installed_with_the_distributions_own_command(
    monkeypatch: pytest.MonkeyPatch, release: str, command: str
) -> None:
    monkeypatch.setattr(fixes, "read_switch", lambda path: release)
    monkeypatch.setattr(fixes.os, "geteuid", lambda: 1000)
    assert report.fix_for("compiler") == f"sudo {command}"


def test_an_unknown_distribution_is_offered_every_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fixes, "read_switch", lambda path: "ID=plan9\n")
    for each in ("apt install", "dnf install", "pacman -S", "apk add", "zypper install"):
        assert each in report.fix_for("curl")


def test_root_needs_no_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fixes, "read_switch", lambda path: "ID=debian\n")
    monkeypatch.setattr(fixes.os, "geteuid", lambda: 0)
    assert report.fix_for("curl") == "apt install curl"


def refuse_tracing(monkeypatch: pytest.MonkeyPatch, yama: str) -> None:
    monkeypatch.setattr(checks, "_traced", lambda: checks._Traced(seize="Operation not permitted"))
    for module in (checks, fixes):
        monkeypatch.setattr(module, "read_switch", lambda path: yama if "yama" in path else "")


@pytest.mark.parametrize("scope", ["2", "3"])
def test_yama_that_forbids_tracing_is_named_with_its_switch(monkeypatch: pytest.MonkeyPatch, scope: str) -> None:
    refuse_tracing(monkeypatch, scope)
    finding = report._examined("yama")
    assert finding.ok is False
    assert "kernel.yama.ptrace_scope=1" in finding.fix
    assert report._examined("ptrace").fix == finding.fix


def test_a_container_that_forbids_tracing_is_started_with_the_capability(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_tracing(monkeypatch, "1")
    monkeypatch.setattr(refusals, "in_container", lambda: "podman")
    finding = report._examined("ptrace")
    assert finding.ok is False
    assert finding.fix.startswith("Start the container with: podman run --cap-add=SYS_PTRACE --security-opt seccomp")


def test_the_first_wsl_is_told_how_to_become_the_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks.platform, "release", lambda: "4.4.0-19041-Microsoft")
    monkeypatch.setattr(checks.platform, "machine", lambda: "x86_64")
    finding = report._examined("kernel")
    assert finding.ok is False
    assert "wsl --set-version" in finding.fix


def test_an_unknown_architecture_is_refused_with_the_known_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks.platform, "machine", lambda: "riscv64")
    finding = report._examined("kernel")
    assert finding.ok is False
    assert "x86_64" in finding.fix
    assert "aarch64" in finding.fix


@pytest.mark.parametrize(
    ("release", "version"), [("5.3.0", (5, 3)), ("6.18.44-fc-v669", (6, 18)), ("4.19", (4, 19)), ("odd", (0, 0))]
)
def test_kernel_versions_are_numbers(monkeypatch: pytest.MonkeyPatch, release: str, version: tuple[int, int]) -> None:
    monkeypatch.setattr(checks.platform, "release", lambda: release)
    assert checks.kernel_version() == version


def test_ubuntus_apparmor_switch_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = refusals.Failure("loopback", 1)
    for module in (checks, fixes):
        monkeypatch.setattr(module, "private_host", lambda: (0, refused))
    monkeypatch.setattr(refusals, "read_switch", lambda path: "1" if "apparmor" in path else "")
    finding = report._examined("namespaces")
    assert finding.ok is None
    assert "kernel.apparmor_restrict_unprivileged_userns=0" in finding.fix


def test_the_doctor_never_sends_anyone_to_the_doctor(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = refusals.Failure("mounts", 1)
    monkeypatch.setattr(fixes, "private_host", lambda: (0, refused))
    monkeypatch.setattr(refusals, "read_switch", lambda path: "")
    monkeypatch.setattr(refusals, "in_container", lambda: "")
    assert "socklab doctor" not in report.fix_for("namespaces")


def test_a_compiler_that_does_not_compile_is_named_with_its_complaint(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tool = tmp_path / "cc"
    tool.write_text("#!/bin/sh\necho 'stdio.h: No such file' >&2\nexit 1\n")
    tool.chmod(0o755)
    monkeypatch.setenv("CC", str(tool))
    finding = report._examined("compiler")
    assert finding.ok is None
    assert "stdio.h: No such file" in finding.found
