"""Shared by all tests: how many `kernel` tests ran; an unattended run in which none did is a failure."""

from __future__ import annotations

import os

import pytest

_ran: set[str] = set()
_skipped: set[str] = set()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if "kernel" not in report.keywords:
        return
    if report.skipped:
        _skipped.add(report.nodeid)
    elif report.when == "call":
        _ran.add(report.nodeid)


def _asked_for_everything(config: pytest.Config) -> bool:
    """The whole suite, not a file, a keyword or a marker of it."""
    option = config.option
    chosen = option.keyword or option.markexpr or option.collectonly
    chosen = chosen or getattr(option, "lf", False)  # only there with pytest's cache
    return not chosen and config.args in ([], ["tests"], list(config.getini("testpaths")))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """CI=true: no kernel test ran means that nothing was proved about the kernel."""
    if hasattr(session.config, "workerinput"):  # a worker of pytest-xdist sees only its share
        return
    if os.environ.get("CI") == "true" and _asked_for_everything(session.config) and not _ran:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    terminalreporter.write_line(f"kernel tests: {len(_ran)} ran, {len(_skipped)} skipped")
    if os.environ.get("CI") == "true" and _asked_for_everything(config) and not _ran:
        terminalreporter.write_line(
            "FAILED: CI=true and not one test marked `kernel` ran; this machine must allow ptrace (socklab doctor).",
            red=True,
        )
